"""The rules by which a file may be skipped in silence. What no rule here names is judged, or reported as unjudged."""
