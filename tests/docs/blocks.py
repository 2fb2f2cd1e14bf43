"""What is printed in the documentation: its blocks, its commands, its links, and the folder they are tried in."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

SHELLS = {"", "sh", "bash", "console", "yaml"}
"""Kinds of block that may hold commands; "" is a block without a word, or one that is indented."""

FENCE = re.compile(r"^( *)```(\w*) *$")


class Block(NamedTuple):
    """A block of code: its kind, its text, the line of its first line, and the comment `<!-- ... -->` before it."""

    kind: str
    text: str
    line: int
    mark: str


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page, and the indented ones outside of lists."""
    lines = text.splitlines()
    at, mark = 0, ""
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence:
            end = next(n for n in range(at + 1, len(lines)) if lines[n].strip() == "```")
            body = [line.removeprefix(fence[1]) for line in lines[at + 1 : end]]
            yield Block(fence[2], "\n".join(body) + "\n", at + 2, mark)
            at, mark = end + 1, ""
            continue
        if lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            end = next((n for n in range(at, len(lines)) if not lines[n].startswith("    ")), len(lines))
            yield Block("", "\n".join(line[4:] for line in lines[at:end]) + "\n", at + 1, mark)
            at = end
            continue
        if lines[at].strip():
            comment = re.fullmatch(r"<!-- (.+) -->", lines[at])
            mark = comment[1] if comment else ""
        at += 1


def prose(text: str) -> str:
    """A page without its fenced blocks."""
    kept, inside = [], False
    for line in text.splitlines():
        if re.match(r"^ *```", line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def commands(block: Block) -> Iterator[tuple[int, str]]:
    """Each command of safeload in a block: its line, and its text without what a shell does with it."""
    if block.kind not in SHELLS:
        return
    joined = block.text.replace("\\\n", "  ")
    for number, line in enumerate(joined.splitlines(), start=block.line):
        for match in re.finditer(r"(?:^|[|;] ?|&& ?|\$ |run: |- |script: |entry: |\$\()(safeload(?: .*)?$)", line):
            yield number, match[1]


def words(command: str) -> list[str]:
    """The words of one command, up to a pipe, a redirection or a comment."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars="|;&<>()")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|;&<>()"):
            break
        found.append(word)
    return found


def slugs(text: str) -> set[str]:
    """The anchors of a page, as the common renderers of Markdown make them from its headings."""
    found: set[str] = set()
    for title in re.findall(r"^#+ +(.+?) *$", prose(text), re.MULTILINE):
        bare = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", title)
        slug = re.sub(r"[^\w\- ]", "", bare.lower()).replace(" ", "-")
        count = 1
        unique = slug
        while unique in found:
            unique, count = f"{slug}-{count}", count + 1
        found.add(unique)
    return found


def links(text: str) -> list[str]:
    """The targets of the links of a page."""
    return re.findall(r"(?<!\\)\[[^]]*]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(text)))


class Payload:
    """What loading would run: it prints a line. Nothing here ever loads it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("echo this could be anything",)


def own_model() -> bytes:
    """A whole model, pickled with a class of somebody's own, as a reader's project would have one."""

    class MyModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(2, 2)

    MyModel.__module__, MyModel.__qualname__ = "my_project", "MyModel"
    module = types.ModuleType("my_project")
    module.MyModel = MyModel  # type: ignore[attr-defined]
    sys.modules["my_project"] = module
    try:
        out = io.BytesIO()
        torch.save(MyModel(), out)
    finally:
        del sys.modules["my_project"]
    return out.getvalue()


LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 334643268\n"
)


def shard(weights: dict[str, torch.Tensor], folder: Path) -> None:
    """A sharded checkpoint as transformers writes it: two files and their index."""
    names = sorted(weights)
    where = {name: f"pytorch_model-0000{1 + (name == names[0])}-of-00002.bin" for name in names}
    for file in set(where.values()):
        torch.save({name: tensor for name, tensor in weights.items() if where[name] == file}, folder / file)
    index = {"metadata": {"total_size": 156}, "weight_map": where}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))


def furnish(folder: Path) -> None:
    """The files that the pages talk about, made anew: the same bytes every time."""
    torch.manual_seed(0)
    models = folder / "models"
    for name in ("", "my-model", "checkpoints", "Stable-diffusion"):
        (models / name).mkdir(parents=True)
    embed = torch.arange(12, dtype=torch.float32).reshape(4, 3)
    weights = {
        "embed.weight": embed,
        "layer.weight": embed * 2,
        "layer.bias": embed[0].clone(),
        "lm_head.weight": embed,
    }
    torch.save(weights, folder / "model.pth")
    torch.save(weights, folder / "model.pt")
    torch.save(weights, models / "base.pt")
    torch.save({"state_dict": weights, "callback": Payload()}, models / "finetuned.pt")
    (models / "vae.safetensors").write_text(LFS_POINTER)
    shard(weights, models / "my-model")
    torch.save({"state_dict": weights}, models / "checkpoints" / "style.ckpt")
    torch.save({"state_dict": weights}, models / "Stable-diffusion" / "style.ckpt")
    moved = {**weights, "layer.bias": weights["layer.bias"] + 1}
    torch.save({f"module.{name}": tensor for name, tensor in moved.items()}, folder / "after.pth")
    (folder / "old_model.pt").write_bytes(own_model())
    state = {"epoch": 3, "state_dict": weights, "optimizer_states": [{"state": {0: {"step": 9}}, "param_groups": []}]}
    torch.save(state, folder / "last.ckpt")
    with zipfile.ZipFile(folder / "notes.zip", "w") as archive:
        archive.writestr("readme.txt", "no model")
    shutil.copy(models / "finetuned.pt", folder / "evil.pt")
    (folder / "team.toml").write_text(
        '[[known]]\nmodule = "our_project.config"\nname = "TrainConfig"\nlibrary = "our_project"\nwhat = "settings"\n'
    )
    (folder / "train.py").write_text("import sys\nprint('training with', *sys.argv[1:])\n")
