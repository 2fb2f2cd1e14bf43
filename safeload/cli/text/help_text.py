"""The texts of `safeload help TOPIC`: plain words, up to 80 columns, each with the commands to try next."""

from __future__ import annotations

from safeload.install import install_line
from safeload.limits import Limits

VERDICTS = """
Verdicts

  clean      every byte of every pickle was understood, and all it does is in the
             vetted table, with arguments of the shape written there
  unvetted   understood; it names something outside the table that no rule calls
             dangerous: often a class of the project that saved the file
  dangerous  it does something that a rule or a check calls dangerous
  unjudged   not fully understood: damaged, cut short, ambiguous, encrypted, over a
             limit, of an unknown binary format, or not there
  skipped    met in a folder or an archive, not named by you: all of it was read, and
             it is text, a picture, a program, empty; listed and counted

Of several files the worst decides: dangerous, unjudged, unvetted, clean. No
option, pack, baseline or setting changes a verdict; some change exit codes.

clean is about loading, not about what the weights do, and about these bytes:
scan what you load, or load with safeload.load, which judges what it loads.

  safeload scan --verbose models/    clean and skipped files too
  safeload help exit-codes
"""

EXIT_CODES = """
Exit codes

  0    every file is clean, or as good as clean by the options that you gave
  1    a file is dangerous or unvetted: it was understood, and is refused
  2    a file could not be judged, nothing was there to scan, the output could not
       be written, or the command line is wrong
  130  interrupted by Ctrl-C

What changes them, and never a verdict:

  --fail-on dangerous   unvetted files end with 0
  --allow-empty         nothing to scan, or only skipped files, ends with 0
  --policy, a baseline  accept what a team has looked at: safeload help policies

An unjudged file passes only where a baseline names it, byte for byte. A shell
script that tests for 1 alone takes a damaged file for a good one: test for 0.
"""

POLICIES = """
Policies

The rules of safeload are a table of vetted names, each with one shape of
arguments, and lists of dangerous and of known names that explain the rest.

By name, with --policy:

  weights-only   only the vetted names that torch's own weights_only admits
  standard       the whole table: what holds without --policy
  strict         the whole table, and nothing is accepted: no record, no baseline,
                 and a clean file with remarks ends with 1

Or a pack: a TOML file of yours on top of the rules (--policy FILE).

  [[dangerous]]     names that you want reported as dangerous
  [[known]]         names that you want explained: your own classes
  [[narrow]]        names taken out of the vetted table
  [[record_safe]]   classes whose inert records you accept: exit codes and loads
                    with records change, the verdict does not

A pack adds nothing to the vetted table and makes nothing clean. It is checked as
it is read; an error names its file and line.

A baseline lists findings that a team knows of and lets pass for a time, each with
a reason and a day on which it ends. What is new still fails, and a file that
changed is new.

  safeload scan models/ --policy weights-only
  safeload scan models/ --policy pack.toml
  safeload --version                          the digest of the rules in force
"""

FORMATS = """
Formats

Content decides, never a name. These are read, and every pickle in them is judged:

  torch zips (.pth, .pt, .ckpt, .bin), legacy torch files, torch tars, TorchScript,
  pickles alone or one after the other, .npy and .npz, safetensors with its tree,
  the index of safetensors shards, stable-baselines3, skops, NeMo, zips and tars
  that hold any of these, JSON with pickles in base64, YAML that names Python
  objects, and one layer of compression around them

Programs: TorchScript, .ptl, torch.package, torch.export .pt2, AOTInductor, .mar
and Keras run code when they are used. They are unvetted at best, and their parts
are judged by closed tables.

Folders that a loader takes whole are judged whole, beside their files: Hugging
Face, MLflow, SageMaker, TorchServe, NeMo and SavedModel folders, and an unpacked
torch.package.

A file that is two formats at once is judged as both. What is no model, in a
folder or an archive, is skipped with a reason once all of it was read; a file
that you name is never skipped. Binary formats that nobody here knows are
unjudged.

Reports are written as: {reports}

  safeload scan models/ --format json -o report.json
"""

LIMITS = """
Limits

No input makes a scan endless or its memory grow without bound. A limit that is
reached makes the file unjudged, and the message names the limit. Raise it when
you know why the file is large; k, m and g stand for 1024, 1024^2 and 1024^3.

  safeload scan big.ckpt --limit opcodes=500m --limit depth=2000

{limits}

Time: --timeout S gives each file S seconds, in a process of its own.
"""

LOADING = """
Loading

  safeload.load("model.pth", map_location="cpu")      in place of torch.load
  safeload.load("old.pt", unvetted="record")          unknown classes stay inert
  safeload.load("old.pt", trust=[MyModel])            your own class is rebuilt
  safeload.state_dict(records)                        weights without the class
  with safeload.open("huge.pth") as f: ...            one tensor at a time
  safeload.protect()                                  torch.load is gated from here
  safeload run train.py                               a whole program is

The file is judged, and what was judged is built from the same bytes. Nothing is
unpickled, whatever weights_only says. A file that is refused raises
safeload.UnsafeCheckpoint, whose message says why and what the ways forward are.

Tensors view the file until you copy them: do not write over a file that you hold
tensors of, or load with mmap=False.

This needs torch: {install_torch}
"""

CONVERTING = """
Converting

  safeload convert model.pth                  writes and verifies model.safetensors
  safeload convert models/my-model/           a sharded checkpoint, with its index
  safeload convert models/ out/ --recursive   every checkpoint in a folder
  safeload convert net.pt --records           a pickled module: its state_dict
  safeload convert evil.pt --disarm           the tensors of a dangerous file
  safeload verify model.pth model.safetensors compare again, later

Only a clean file converts without an option. Bytes are moved, nothing is loaded,
and the result is compared with the source, byte for byte, before it gets its
name. What is no tensor stays as a tree in the metadata: safeload.load gives the
same nested object back.

This needs no torch: {install_convert}
"""

ENVIRONMENT = """
Environment

  NO_COLOR              no colors, when it is set and not empty
  FORCE_COLOR           colors also where the output is no terminal, unless it is 0
  TERM=dumb             no colors
  --color WHEN          auto, always or never: goes before all of these

Options of scan may be set once: in safeload.toml, under [tool.safeload] in
pyproject.toml, or by variables. The command line goes before a variable, and a
variable before a file.

{variables}

  SAFELOAD_PURE=1       while installing: plain Python, nothing is compiled
  SAFELOAD_RUN          written by safeload run for the programs it starts; setting
                        it by hand cannot lift the guard
  SAFELOAD_ACTION_*     inputs of the GitHub action, for safeload hook ci

Nothing is downloaded, and nothing is reported anywhere.

  safeload doctor       what is installed, and what is missing
"""

CI = """
CI

One line fails a job on anything that is not clean:

  safeload scan models/

For people who read the result later, and for files that may hang or crash:

  safeload scan models/ --jobs 4 --timeout 60 --format sarif -o safeload.sarif

For a proposed change, by the configuration, baseline and pack of its base, so
that the change cannot bring its own excuse:

  safeload hook ci --base origin/main models/

Before a commit: safeload hook scan --staged, or the hooks for pre-commit.

A repository of models usually wants: unjudged files to fail (they do, and
a Git LFS pointer is one: fetch the files first), an empty folder to fail (it
does), and skipped files to be looked at once (--verbose). What nobody loads is
left out by patterns, and counted: exclude = ["docs/"] in safeload.toml. Pin the
version of safeload: a new one may know a new kind of attack, and judge more
strictly.

  safeload help exit-codes
"""

TOPICS: dict[str, tuple[str, str]] = {
    "verdicts": ("what clean, unvetted, dangerous, unjudged and skipped mean", VERDICTS),
    "exit-codes": ("0, 1 and 2, and what changes them", EXIT_CODES),
    "policies": ("the rules, and packs of your own", POLICIES),
    "formats": ("what is read, and how reports are written", FORMATS),
    "limits": ("every limit, its default, and how to raise it", LIMITS),
    "loading": ("from Python, in place of torch.load", LOADING),
    "converting": ("checkpoints to safetensors", CONVERTING),
    "environment": ("variables that are read", ENVIRONMENT),
    "ci": ("in a pipeline", CI),
}
"""Topic -> its line in the list, and its text."""

LIMIT_WORDS = {
    "opcodes": "opcodes of one pickle",
    "pickle_bytes": "bytes of one pickle",
    "string_bytes": "bytes of one string",
    "integer_bytes": "bytes of one whole number",
    "memo": "entries of a pickle's memo",
    "stack": "values on a pickle's stack at once",
    "depth": "containers inside containers",
    "key_elements": "elements of one key of a dict or set",
    "numeric_tuple_keys": "keys that are tuples of numbers",
    "tensors": "distinct tensors in a file",
    "expansion": "a tensor's bytes as a multiple of its storage",
    "expansion_bytes": "... and what is always allowed",
    "names": "names of tensors, where parts are shared",
    "validated_bytes": "index values read to validate sparse tensors",
    "inflated_bytes": "bytes that one member inflates to",
    "inflation_ratio": "... as a multiple of its compressed size",
    "members": "members of one archive",
    "nesting": "checkpoints inside checkpoints",
    "nested_files": "files inside one file",
    "findings": "findings kept for one file",
    "header_bytes": "bytes of a safetensors header",
    "tree_bytes": "bytes of the tree of a safetensors file",
    "index_bytes": "bytes of an index of shards",
    "shards": "files of one sharded checkpoint",
    "passive_bytes": "bytes of a text, picture or library that is read whole",
    "passive_steps": "parts of one of them that are looked at",
    "json_bytes": "bytes of a JSON that is searched",
    "template_bytes": "bytes of a chat template",
    "yaml_bytes": "bytes of a YAML that says how to load a folder",
    "expanded": "values once everything shared is written out",
}
"""Each field of Limits in words."""


def limits_text() -> str:
    """A line for each limit: name, default, what it counts."""
    rows = [(name, spelled(value), LIMIT_WORDS[name]) for name, value in Limits()._asdict().items()]
    name, value = (max(len(row[at]) for row in rows) for at in (0, 1))
    return "\n".join(f"  {row[0]:{name}}  {row[1]:>{value}}  {row[2]}" for row in rows)


def spelled(number: int) -> str:
    """A number as `--limit` takes it: "4g", "300k", "500"."""
    for power, suffix in ((30, "g"), (20, "m"), (10, "k")):
        if number >= 1 << power and number % (1 << power) == 0:
            return f"{number >> power}{suffix}"
    return str(number)


def variables_text() -> str:
    """A line for each variable that sets an option."""
    from safeload.project.configuration import KEYS, PREFIX

    keys = (*KEYS, "config")
    return "\n".join(f"  {PREFIX + key.upper().replace('-', '_'):20}  --{key}" for key in keys)


def text_of(topic: str) -> str:
    """The text of one of TOPICS, with what is computed filled in."""
    text = TOPICS[topic][1]
    computed = (
        ("{limits}", limits_text),
        ("{reports}", reports_text),
        ("{variables}", variables_text),
        ("{install_torch}", lambda: install_line("torch")),
        ("{install_convert}", lambda: install_line("convert")),
    )
    for mark, made in computed:
        if mark in text:
            text = text.replace(mark, made())
    return text.strip() + "\n"


def reports_text() -> str:
    """The names of the report formats."""
    from safeload.reports import FORMATS as REPORTS

    return ", ".join(report.name for report in REPORTS)
