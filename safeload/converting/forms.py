"""Which form of conversion is meant: a file, a file in shards, a sharded checkpoint, a folder of checkpoints.

The public `convert` and `verify`. Each form has its own file; this one only chooses.
"""
