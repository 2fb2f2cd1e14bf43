"""One pickle in the place of every member of every archive kind, and under foreign names beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.silence import kinds
from tests.silence.payloads import SPELLINGS, Pair
from tests.silence.plan import Plan, built
from tests.silence.polyglots import headed
from tests.silence.writers import Members, hidden, tar_of, zip_of

FOREIGN = (
    "optimizer.pkl", "README.md", "notes.png", "data/7", "extra/config.json", "LICENSE", "code.py", "weights.bin",
    "data.pkl", "Version", "tokenizer.model",
)  # fmt: skip
"""Names of members that the archive's own writer does not write there, or that another kind has."""

TEXT = (".md", ".txt", ".py", ".json", "LICENSE", ".yaml", "version", "python_version", "extern_modules", ".cpp")


def payloads() -> Callable[[str], Pair]:
    """Goes round the spellings; what is called text begins as text."""
    spellings = tuple(SPELLINGS.values())
    heads = ("text-lines", "markdown", "numbers", "quoted")
    asked = iter(range(1 << 20))

    def choose(name: str) -> Pair:
        number = next(asked)
        if name.endswith(TEXT):
            return headed(heads[number % len(heads)])
        return headed("gif") if name.endswith(".png") else spellings[number % len(spellings)]

    return choose


def top(members: Members) -> str:
    """The archive's own folder, "" for none."""
    names = {name.partition("/")[0] for name in members if "/" in name}
    return f"{names.pop()}/" if len(names) == 1 and all("/" in name for name in members) else ""


def plans() -> Iterator[Plan]:
    choose = payloads()
    for kind, (members, suffix) in kinds.ZIPS.items():
        yield from in_zip(kind, members, suffix, choose)
    for kind, (members, suffix) in kinds.TARS.items():
        yield from in_tar(kind, members, suffix, choose)


def in_zip(kind: str, members: Callable[[], Members], suffix: str, choose: Callable[[str], Pair]) -> Iterator[Plan]:
    """Two names that differ in case alone, or a storage of another size, are no benign files: those have no twin."""
    folder = top(members())
    places = [*members(), *(folder + name for name in FOREIGN if folder + name not in members())]
    for place in places:
        plan = zipped(kind, f"pickle-in-{place}", members, suffix, place, choose(place))
        yield plan._replace(
            twin=not (place == folder + "Version" or (kind == "torch-zip" and place.endswith("data/0")))
        )
    for place in (folder + "optimizer.pkl", folder + "README.md", folder + "data/7"):
        pair = choose(place)

        def make(hostile: bool, place: str = place, pair: Pair = pair) -> bytes:
            return hidden({**members(), place: pair.of(hostile)}, place)

        yield built(kind, f"empty-blocks-before-{place}", "zip-member", f"model{suffix}", make, place)


def zipped(
    kind: str,
    trick: str,
    members: Callable[[], Members],
    suffix: str,
    place: str,
    pair: Pair,
    loader: str = "zip-member",
) -> Plan:
    def make(hostile: bool) -> bytes:
        return zip_of({**members(), place: pair.of(hostile)})

    return built(kind, trick, loader, f"model{suffix}", make, place)


def in_tar(kind: str, members: Callable[[], Members], suffix: str, choose: Callable[[str], Pair]) -> Iterator[Plan]:
    for place in [*members(), *(name for name in FOREIGN[:8] if name not in members())]:
        pair = choose(place)
        for mode, ending in (("w", suffix), ("w:gz", f"{suffix}.gz")):
            if mode != "w" and kind == "torch-tar":
                continue

            def make(hostile: bool, place: str = place, pair: Pair = pair, mode: str = mode) -> bytes:
                return tar_of({**members(), place: pair.of(hostile)}, mode)

            yield built(
                kind, f"{mode.replace(':', '-')}-pickle-in-{place}", "tar-member", f"model{ending}", make, place
            )
