"""What a project sets for itself: a configuration, and a baseline of accepted findings.

Both change exit codes, never a verdict.
"""
