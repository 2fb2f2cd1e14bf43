"""What a project says about itself: configuration, and a baseline of accepted findings.

Both change exit codes, never a verdict.
"""
