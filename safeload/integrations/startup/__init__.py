"""The folder that `safeload run` puts on PYTHONPATH, so that Python imports its `sitecustomize` when it starts."""
