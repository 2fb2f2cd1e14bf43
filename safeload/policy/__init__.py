"""What the rules say of a global: `Policy.decide(module, name)`. The rules are data, reviewed in rules/*.toml."""

from safeload.policy.decide import NAMES, Decision, Policy, Standing

__all__ = ["NAMES", "Decision", "Standing", "Policy"]
