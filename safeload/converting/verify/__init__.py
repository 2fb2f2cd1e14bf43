"""Does the output hold what the source holds? Reads both again, with no code of `write/`."""
