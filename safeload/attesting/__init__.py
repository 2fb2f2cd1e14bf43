"""Statements of clean verdicts, and the comparison of a file with one.

A gerund, because the command `safeload attest` has the verb; beside `scanning`, whose verdicts it states.
"""
