"""The folder that `safeload run` puts on PYTHONPATH: Python imports `sitecustomize` from it when it starts."""
