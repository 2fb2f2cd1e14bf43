"""What may be passed over in silence, and why. Everything that no rule here names is judged or said to be unjudged."""
