"""Checkpoints in several files: reads the index that names the shards, and judges index and shards as one input."""
