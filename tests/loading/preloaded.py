"""Imported once by the server that `contained` forks from: torch, numpy and all of safeload."""

import numpy  # noqa: F401
import torch  # noqa: F401

from tests.loading.contained import import_all

import_all()
