"""Checkpoints in several files: the index that names the shards, and whether the set that was met is whole."""
