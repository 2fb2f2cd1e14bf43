"""The tar reader: the members of a tar under the names that `tarfile` gives them, and two checkpoints that are tars."""
