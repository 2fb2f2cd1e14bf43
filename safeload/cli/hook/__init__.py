"""`safeload hook`: what pre-commit and CI call."""
