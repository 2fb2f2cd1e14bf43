"""One file for each kind of folder that a loader takes whole: how it is known, and what of it runs."""
