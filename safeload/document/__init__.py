"""The object tree that a pickle denotes, without torch: the Document, its leaves, cells and records."""
