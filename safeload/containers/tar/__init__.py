"""The tar reader: members as `tarfile` resolves them, and the two kinds of checkpoint that are tars."""
