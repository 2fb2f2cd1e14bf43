"""Conversions of several files: sharded checkpoints, folders of checkpoints, and outputs in shards."""
