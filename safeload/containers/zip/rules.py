"""The verdict, severity and remedy of each zip rule, and the collector that bounds the number of findings.

Holds data and keeps count; reads no byte of a file. A rule is here for one of two reasons: two readers in use take
different bytes for the same member, or bytes lie where our reader does not look. DANGEROUS means that no known writer
makes such a file, and that it hides something from one of the readers. UNJUDGED means that there is more than one way
to understand the file.
"""

from __future__ import annotations

from typing import NamedTuple

from safeload.findings import Finding, Severity, Verdict

EXAMPLES = 10
"""How many findings of one rule are kept for one archive. One more finding then says how many there were."""

_DANGEROUS, _UNJUDGED, _UNVETTED, _CLEAN = Verdict.DANGEROUS, Verdict.UNJUDGED, Verdict.UNVETTED, Verdict.CLEAN
_CRITICAL, _HIGH, _MEDIUM, _LOW, _INFO = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO

_FORGED = "Do not load this file: no known program writes this. Get it again from its source."
_REPACK = "Get the file again from its source, or write it anew with torch.save or a zip program."
_PROGRAM = "Load it only if you trust its source: ask its author for the weights as a safetensors file."


class Rule(NamedTuple):
    """What a finding of one rule says."""

    verdict: Verdict
    severity: Severity
    remedy: str


RULES: dict[str, Rule] = {
    # Two readings of one file. miniz is torch's reader; `zipfile` is that of numpy, Keras and skops.
    # miniz goes to the offset in the end record, `zipfile` to the place in front of it.
    "zip-two-directories": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    # miniz follows the zip64 locator, `zipfile` takes the zip64 record in front of it.
    "zip-zip64-elsewhere": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    # miniz reads as many entries as announced, `zipfile` all that the directory has room for.
    "zip-count-mismatch": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    # Readers that search for the end record in other ways find the records in the comment.
    "zip-end-hidden": Rule(_DANGEROUS, _HIGH, _FORGED),
    # miniz finds an arbitrary one of several, in any case; `zipfile` the last one with exactly this name.
    "zip-duplicate-name": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    # `zipfile` cuts the name at the NUL, miniz does not.
    "zip-name-nul": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    "zip-name-traversal": Rule(_DANGEROUS, _HIGH, "Do not extract this file: a member would be written elsewhere."),
    # `zipfile` of Python 3.13 takes the name in the extra field, older ones and miniz that of the entry.
    "zip-unicode-path": Rule(_DANGEROUS, _HIGH, _FORGED),
    # Readers of a stream take the local header's name, readers that seek the directory's; `zipfile` refuses the member.
    "zip-local-name": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    # The same bytes are two members, and are judged as one thing and read as another.
    "zip-overlap": Rule(_DANGEROUS, _HIGH, _FORGED),
    # miniz reads `size` bytes of the member, `zipfile` reads `length`.
    "zip-stored-size": Rule(_DANGEROUS, _HIGH, _FORGED),
    # Bytes outside the members, in which another program may find another file; or end records that do not agree.
    "zip-prefix": Rule(_UNJUDGED, _HIGH, "Cut the bytes before the archive off and judge the two files separately."),
    "zip-gap": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-directory-gap": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-trailing-data": Rule(_UNJUDGED, _MEDIUM, "Cut the bytes behind the archive off and judge them separately."),
    "zip-comment": Rule(_CLEAN, _INFO, ""),
    "zip-comment-binary": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-end-mismatch": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-multi-disk": Rule(_UNJUDGED, _MEDIUM, "Join the parts of the archive into one file first."),
    "zip-order": Rule(_UNJUDGED, _LOW, _REPACK),
    # Single members.
    "encrypted": Rule(_UNJUDGED, _MEDIUM, "Decrypt the archive and judge what comes out."),
    "zip-method": Rule(_UNJUDGED, _MEDIUM, "Unpack the archive and judge its members as files."),
    "zip-flags": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-extra": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-name-characters": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-directory-entry": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-symlink": Rule(_UNJUDGED, _MEDIUM, "Replace the symbolic link by the file that it means."),
    "zip-local-signature": Rule(_UNJUDGED, _MEDIUM, "The file is damaged or forged: get it again from its source."),
    "zip-local-method": Rule(_UNJUDGED, _HIGH, _REPACK),
    "zip-local-flags": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-local-sizes": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-descriptor": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "zip-out-of-bounds": Rule(_UNJUDGED, _MEDIUM, "The file is damaged or forged: get it again from its source."),
    # Contents.
    "zip-crc": Rule(_UNJUDGED, _MEDIUM, "The member was changed after it was written: get the file again."),
    "zip-deflate": Rule(_UNJUDGED, _MEDIUM, "The file is damaged or forged: get it again from its source."),
    "zip-limit": Rule(_UNJUDGED, _HIGH, "Raise the limit named here if you trust the size."),
    "foreign-member": Rule(_UNVETTED, _LOW, "Find out who put this member there before you use the file."),
    "zip-python-code": Rule(_UNVETTED, _HIGH, "Load this file only if you trust where it comes from: its code runs."),
    # Formats whose use runs what they carry: never better than unvetted.
    "package-code": Rule(_UNVETTED, _HIGH, _PROGRAM),
    "mar-code": Rule(_UNVETTED, _HIGH, _PROGRAM),
    "keras-model": Rule(_UNVETTED, _MEDIUM, _PROGRAM),
    "pt2-program": Rule(_UNVETTED, _MEDIUM, _PROGRAM),
    "zip-nothing-to-scan": Rule(_UNJUDGED, _INFO, "Check that this is the file you meant."),
    # torch.
    "torch-zip-no-pickle": Rule(_UNJUDGED, _MEDIUM, "Check that this is a torch checkpoint."),
    "torch-zip-outside-folder": Rule(_UNJUDGED, _HIGH, _REPACK),
    "torch-zip-name-case": Rule(_DANGEROUS, _CRITICAL, _FORGED),
    "torch-zip-record": Rule(_UNJUDGED, _MEDIUM, _REPACK),
    "torchscript-code": Rule(
        _UNVETTED, _HIGH, "Load it only if you trust its source; safeload convert --allow unvetted takes its tensors."
    ),
}


class Notes:
    """Collects the findings of one archive, and keeps a bounded number of each rule."""

    __slots__ = ("_counts", "_new")

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Verdict], int] = {}
        self._new: list[Finding] = []

    def add(
        self,
        rule: str,
        message: str,
        *,
        member: str = "",
        offset: int | None = None,
        verdict: Verdict | None = None,
        evidence: str = "",
    ) -> None:
        """Add a finding of `rule`. `verdict` replaces that of the rule, where the place makes a difference."""
        worth = RULES[rule]
        verdict = verdict or worth.verdict
        # SECURITY: counted by rule and verdict. Counted by rule alone, ten mild cases would push out a dangerous one.
        seen = self._counts[rule, verdict] = self._counts.get((rule, verdict), 0) + 1
        if seen <= EXAMPLES:
            self._new.append(
                Finding(
                    rule,
                    verdict,
                    worth.severity,
                    message,
                    worth.remedy,
                    member=member[:500],
                    offset=offset,
                    evidence=evidence[:200],
                )
            )

    def take(self) -> tuple[Finding, ...]:
        """The findings since the last call."""
        new, self._new = self._new, []
        return tuple(new)

    def rest(self) -> tuple[Finding, ...]:
        """As `take`, with one more finding for each rule that was met too often to list. Call it last."""
        return self.take() + tuple(
            Finding(
                rule,
                verdict,
                RULES[rule].severity,
                f"{count} places have this problem; the first {EXAMPLES} are listed",
                RULES[rule].remedy,
            )
            for (rule, verdict), count in self._counts.items()
            if count > EXAMPLES
        )
