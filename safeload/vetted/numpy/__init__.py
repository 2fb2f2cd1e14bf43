"""The vetted constructors of numpy: arrays, dtypes and random states. Does not import numpy."""
