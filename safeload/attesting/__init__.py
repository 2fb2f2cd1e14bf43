"""Statements of clean verdicts, and the check of a file against one.

A gerund beside `scanning`, whose verdicts it states.
"""
