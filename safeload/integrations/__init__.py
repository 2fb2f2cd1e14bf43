"""Where safeload stands in for what other programs call. Each file is one such place."""
