"""safeload: judge, load and convert model checkpoints without running them."""
