"""The zip reader: directory, entries and members, and every way in which two readers of zips could disagree."""
