"""Input -> Report and Document: the only place that joins inputs, containers, machine, policy and checks.

A gerund, because the public function `safeload.scan` has the noun. `scanner.py` is the entry. It asks `recognition`
which readings an input has; `reader` reads each of them, `judge` judges each stream, and the worst verdict counts.
"""
