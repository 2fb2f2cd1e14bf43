"""Certificates of clean verdicts, and the independent verifier that a file and its certificate must both get past."""
