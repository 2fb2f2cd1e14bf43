"""Places and spellings inside archives: names, methods, gaps, pax headers, JSON, archives in archives."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

from tests.silence import kinds, polyglots
from tests.silence.payloads import PLAIN, PROTO_2, PROTO_4, Pair, policy, serialized
from tests.silence.plan import Plan, built, single
from tests.silence.plans_programs import JSON_WAYS
from tests.silence.polyglots import headed
from tests.silence.writers import (
    BZIP2,
    DEFLATED,
    END,
    LZMA,
    by_hand,
    entry,
    header,
    hidden,
    long_name,
    padded,
    pax,
    record,
    tar_of,
    zip_of,
)

GOOD = b"\x80\x02}."


def plans() -> Iterator[Plan]:
    yield from zips()
    yield from torch_names()
    yield from tars()
    yield from tar_heads()
    yield from baselines()
    yield from nests()


def zips() -> Iterator[Plan]:
    for name, method in (("deflated", DEFLATED), ("bzip2", BZIP2), ("lzma", LZMA)):
        made = PLAIN.map(lambda data, m=method: zip_of({"good.pt": kinds.checkpoint(), "a.md": data}, method=m))  # type: ignore[misc]
        yield single("zip", f"method-{name}", "zip-member", "m.zip", made, "a.md")
    good = record("good.pt", kinds.checkpoint())
    places: dict[str, Callable[[bytes], bytes]] = {
        "gap": lambda data: by_hand([good], gap=data),
        "before": lambda data: by_hand([good], head=data),
    }
    for name, make in places.items():
        pair = PLAIN.map(make)
        yield single("zip", f"in-{name}", "offset", "m.zip", pair, str(pair.hostile.index(PLAIN.hostile)))
    for name in ("a\\b.pkl", "/a.pkl", "../a.pkl", "a/", "A.PKL", "a.pkl ", "con", "__MACOSX/._a.pkl", ".git/index"):
        made = PLAIN.map(lambda data, n=name: by_hand([good, record(n, data)]))  # type: ignore[misc]
        yield single("zip", f"named-{name}", "zip-member", "m.zip", made, name)
    two = PLAIN.map(lambda data: by_hand([good, record("a.md", GOOD), record("a.md", data)]))
    yield single("zip", "twice", "zip-member", "m.zip", two, "a.md")
    yield single(
        "zip",
        "unknown-method",
        "",
        "m.zip",
        PLAIN.map(lambda data: by_hand([good, record("a.md", data)._replace(method=93)])),
    )


def torch_names() -> Iterator[Plan]:
    """What torch's reader finds by names without case."""
    members = kinds.torch_zip()
    others = [record(name, data) for name, data in members.items() if name != "archive/data.pkl"]
    own = record("archive/data.pkl", members["archive/data.pkl"])
    for name in ("archive/DATA.PKL", "archive/Data.pkl"):
        made = PROTO_2.map(lambda data, n=name: by_hand([record(n, data), *others]))  # type: ignore[misc]
        yield single("torch-zip", f"upper-{name}", "torch", "m.pt", made)
        made = PROTO_2.map(lambda data, n=name: by_hand([own, record(n, data), *others]))  # type: ignore[misc]
        yield single("torch-zip", f"both-{name}", "torch", "m.pt", made)
    made = PROTO_2.map(lambda data: by_hand([own, record("archive/data.pkl", data), *others]))
    yield single("torch-zip", "twice", "torch", "m.pt", made)
    made = PROTO_2.map(lambda data: by_hand([own, *others, record("other/data.pkl", data)]))
    yield single("torch-zip", "second-folder", "zip-member", "m.pt", made, "other/data.pkl")
    made = PROTO_2.map(lambda data: hidden({**members, "archive/data.pkl": data}, "archive/data.pkl"))
    yield single("torch-zip", "main-behind-empty-blocks", "torch", "m.pt", made)
    for place in (
        "archive/.data/x",
        "archive/data/0.pkl",
        "archive/data/00",
        "archive/data/-1",
        "archive/.debug_pkl",
        "x.pkl",
    ):
        made = PROTO_4.map(lambda data, p=place: by_hand([own, *others, record(p, data)]))  # type: ignore[misc]
        yield single("torch-zip", f"beside-{place}", "zip-member", "m.pt", made, place)
    for suffix in (".safetensors", ".png", ".json", ".md", ""):
        made = PROTO_2.map(lambda data: by_hand([record("archive/data.pkl", data), *others]))
        yield single("torch-zip", f"file-named-m{suffix}", "zip-member", f"m{suffix}", made, "archive/data.pkl")


def tars() -> Iterator[Plan]:
    clean = entry("ok.pkl", GOOD)
    body = PLAIN

    def named(data: bytes, *before: bytes, own: str = "z", kind: bytes = b"0") -> bytes:
        return clean + b"".join(before) + entry(own, data, kind) + END

    ways: dict[str, tuple[Callable[[bytes], bytes], str]] = {
        "pax-twice": (lambda data: named(data, pax("path", "a.pkl"), pax("path", "README.md")), "a.pkl"),
        "pax-and-long": (lambda data: named(data, long_name("a.pkl"), pax("path", "README.md")), "a.pkl"),
        "long-and-pax": (lambda data: named(data, pax("path", "a.pkl"), long_name("README.md")), "a.pkl"),
        "long": (lambda data: named(data, long_name("d/" * 80 + "a.pkl")), "d/" * 80 + "a.pkl"),
        "contiguous": (lambda data: named(data, own="a.md", kind=b"7"), "a.md"),
        "old-regular": (lambda data: named(data, own="a.md", kind=b"\0"), "a.md"),
        "unknown-type": (lambda data: named(data, own="a.md", kind=b"Z"), "a.md"),
        "volume-type": (lambda data: named(data, own="a.md", kind=b"V"), "a.md"),
        "pax-size": (lambda data: clean + pax("size", str(len(data))) + header("a.md", 0) + padded(data) + END, "a.md"),
        "upper": (lambda data: named(data, own="A.PKL"), "A.PKL"),
        "twice": (lambda data: clean + entry("a.md", GOOD) + entry("a.md", data) + END, "a.md"),
        "hard-link": (lambda data: named(data, own="a.md")[:-1024] + header("b.pkl", 0, b"1", "a.md") + END, "b.pkl"),
        "soft-link": (lambda data: named(data, own="a.md")[:-1024] + header("b.pkl", 0, b"2", "a.md") + END, "b.pkl"),
        "sparse-name": (lambda data: named(data, pax("GNU.sparse.name", "a.md"), own="b.md"), "a.md"),
        "no-end": (lambda data: named(data, own="a.md")[:-1024], "a.md"),
        "folder-name-with-pax": (lambda data: named(data, pax("path", "a.pkl"), own="folder/", kind=b"\0"), ""),
    }  # fmt: skip
    for name, (make, member) in ways.items():
        if member:
            yield single("tar", name, "tar-member", "m.tar", body.map(make), member)
        else:
            yield single("tar", name, "", "m.tar", body.map(make))
    late = body.map(lambda data: clean + END + entry("a.md", data) + END)
    yield single("tar", "behind-the-end", "tar-zeros", "m.tar", late, "a.md")
    for name in ("../OUT.pkl", "/tmp/safeload-silence/OUT.pkl"):
        yield single("tar", f"leaves-{name}", "", "m.tar", body.map(lambda data, n=name: named(data, own=n)))  # type: ignore[misc]
    for member in ("storages", "tensors", "pickle"):
        made = PROTO_2.map(lambda data, m=member: tar_of({**kinds.torch_tar(), m: data}))  # type: ignore[misc]
        yield single("torch-tar", f"loaded-{member}", "torch", "m.pt", made)
    moved = PROTO_2.map(
        lambda data: b"".join(entry(name, kinds.torch_tar()[name]) for name in ("storages", "tensors"))
        + pax("path", "pickle") + pax("path", "notes") + entry("z", data) + END
    )  # fmt: skip
    yield single("torch-tar", "pickle-by-first-pax", "torch", "m.pt", moved)


def tar_heads() -> Iterator[Plan]:
    """A tar begins with a name of 100 free bytes."""
    heads = {
        "gif": ("GIF89a\x01\x01", "icon.gif"), "pdf": ("%PDF-1.4 \n%%EOF\n", "paper.pdf"),
        "text": ("# A readme\nwith words of people\n", "README.md"), "json": ('{"a": 1}', "config.json"),
        "python": ("x = 1\n", "setup.py"), "wav": ("RIFFxxxxWAVEfmt ", "a.wav"), "html": ("<html><body>", "a.html"),
        "icon": ("OggSx", "a.ogg"),
    }  # fmt: skip
    for name, (head, file) in heads.items():
        made = PLAIN.map(lambda data, h=head: entry(h, b"") + entry("a.pkl", data) + END)  # type: ignore[misc]
        yield single("tar", f"{name}-head", "tar-member", file, made, "a.pkl")
    for name in ("icon.png", "README.md"):
        yield single(
            "tar.gz",
            f"named-{name}",
            "tar-member",
            name,
            PLAIN.map(lambda data: tar_of({"a.pkl": data}, "w:gz")),
            "a.pkl",
        )


def baselines() -> Iterator[Plan]:
    plain = serialized(PROTO_2)
    ways = {
        name: JSON_WAYS[name]
        for name in (
            "blank-head",
            "blank-inside",
            "large-number",
            "not-a-number",
            "long-word-first",
            "lone-surrogate",
            "deep",
        )
    }
    for name, way in {"plain": lambda text: text, **ways}.items():  # type: ignore[misc]
        yield sb3(name, plain.map(way))
    letters = {
        "foreign-letter": lambda text: text[:8] + "é" + text[8:],
        "spaces": lambda text: " ".join(text),
        "punctuation": lambda text: text[:8] + "!-_*" + text[8:],
        "blank-head-inside": lambda text: "\n" * 5000 + text,
        "padded-head": lambda text: "====" + text,
    }
    for name, spell in letters.items():
        yield sb3(f"base64-{name}", PROTO_2.map(lambda data, s=spell: spelled(data, s)))  # type: ignore[misc]
    yield sb3("key-escaped", plain.map(lambda text: text.replace(b'":ser', b'"\\u003aser')))
    yield sb3("value-escaped", plain.map(lambda text: text.replace(b'zed:": "g', b'zed:": "\\u0067')))
    yield sb3("two-values", PROTO_2.map(two_values))
    yield sb3("other-key", PROTO_2.map(lambda data: json.dumps({"notes": policy(data)["policy_class"]}).encode()))
    yield sb3("huge-number", plain.map(lambda text: text[:-1] + b', "n": ' + b"1" * 5000 + b"}"), loader="")
    yield built(
        "sb3",
        "behind-empty-blocks",
        "sb3",
        "m.zip",
        lambda hostile: hidden({**kinds.sb3(), "data": plain.of(hostile)}, "data"),
    )
    for name, way in JSON_WAYS.items():
        made = plain.map(lambda text, w=way: zip_of({"good.pt": kinds.checkpoint(), "state.json": w(text)}))  # type: ignore[misc]
        yield single("json", f"in-a-zip-{name}", "json", "m.zip", made, "state.json")
    short = PROTO_2.map(lambda data: zip_of({**kinds.sb3(), "policy.pth": data}))
    yield single("sb3", "policy-pickle", "zip-member", "m.zip", short, "policy.pth")


def sb3(trick: str, data: Pair, loader: str = "sb3") -> Plan:
    return single("sb3", trick, loader, "m.zip", data.map(lambda text: zip_of({**kinds.sb3(), "data": text})))


def spelled(data: bytes, spell: Callable[[str], str]) -> bytes:
    item = {":type:": "x", ":serialized:": spell(base64.b64encode(data).decode())}
    return json.dumps({"policy_class": item}, ensure_ascii=False).encode()


def two_values(data: bytes) -> bytes:
    """One key twice: the last counts."""
    text = json.dumps(policy(data))
    good = base64.b64encode(GOOD).decode()
    return text.replace('":serialized:"', f'":serialized:": "{good}", ":serialized:"').encode()


def nests() -> Iterator[Plan]:
    wraps: dict[str, Callable[[str, bytes], bytes]] = {
        "zip": lambda name, data: zip_of({"README.md": b"# words\n", name: data}),
        "tar": lambda name, data: tar_of({"README.md": b"# words\n", name: data}),
        "tgz": lambda name, data: tar_of({"README.md": b"# words\n", name: data}, "w:gz"),
        "blocks": lambda name, data: hidden({"README.md": b"# words\n", name: data}, name),
    }  # fmt: skip
    for order in ("zip zip", "zip tgz zip", "tgz zip", "tar tar", "blocks blocks", "tgz blocks tgz", "zip zip zip zip"):
        for head in ("", "text-lines", "gif"):
            pair = headed(head) if head else PROTO_4
            names, data = [], pair
            for depth, wrap in enumerate(order.split()):
                inner = ("a.md", "data.bin", "icon.png", "x")[depth]
                names.append(inner)
                data = data.map(lambda d, w=wrap, n=inner: wraps[w](n, d))  # type: ignore[misc]
            yield single("nested", f"{order}-{head}", "nested", "m.zip", data, "|".join(reversed(names)))
    yield single("nested", "zip-in-a-picture-in-a-zip", "nested", "m.zip", PROTO_4.map(in_picture), "icon.png|a.pkl")


def in_picture(data: bytes) -> bytes:
    return zip_of({"icon.png": polyglots.png() + zip_of({"a.pkl": data})})
