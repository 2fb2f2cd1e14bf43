"""The zip reader: directory, entries and members.

It looks for every way in which two readers of zips could disagree about a file, and reports each as a finding.
"""
