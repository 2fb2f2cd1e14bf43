"""What is known of a global: `Policy.decide(module, name)`. The rules are data, reviewed in rules/*.toml."""

from safeload.policy.decide import NAMES, Decision, Kind, Policy

__all__ = ["NAMES", "Decision", "Kind", "Policy"]
