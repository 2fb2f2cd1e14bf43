"""What is known of a global: `Policy.decide(module, name)`. The rules are data, reviewed in rules/*.toml."""

from safeload.policy.decide import Decision, Kind, Policy

__all__ = ["Decision", "Kind", "Policy"]
