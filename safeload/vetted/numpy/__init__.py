"""The vetted constructors of numpy: arrays, dtypes and random states. Imports nothing of numpy."""
