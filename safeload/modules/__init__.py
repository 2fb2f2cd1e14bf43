"""The record graph of a pickled nn.Module -> the state_dict that the module itself would have given.

Torch-free, over any kind of leaf: loaded tensors in loaded Records, or the specs and Cells of a Document. Runs no
method of any class: `node.py` reads one module, `computed.py` names the classes whose state_dict is no plain walk,
`walk.py` walks.
"""

from __future__ import annotations

from safeload.modules.walk import state_dict

__all__ = ["state_dict"]
