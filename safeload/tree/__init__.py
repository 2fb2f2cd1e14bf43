"""The object tree of a Document: naming its parts. Torch-free; walks are iterative and bounded."""
