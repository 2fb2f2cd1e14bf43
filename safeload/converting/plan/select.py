"""What of a Document goes over when not all of it does: a module's state_dict, chosen names, other names.

Gives a Document with another root over the same leaves, so that all that follows is the same as for a whole one. Of
the shards of one checkpoint it says what each gives, so that names are chosen and changed over all of them. Reads no
bytes, but for `disarm`, which looks for storages that cannot be read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeGuard

from safeload.converting.interface import Dropped, Options
from safeload.converting.plan.dropping import dropped_arrays
from safeload.converting.plan.naming import is_tensor
from safeload.document.document import Built, Document, Enclosed, resolve
from safeload.errors import NotConvertible, UsageError
from safeload.limits import Limits
from safeload.modules import state_dict
from safeload.modules.node import computed, is_module, mapping
from safeload.tree.paths import named_leaves

_FURTHER = "a further object of the file, which no load gives"
_WITHOUT_OBJECT = frozenset({"npy", "npz", "zip", "zip-sequence", "tar"})
_ORDERED = "collections.OrderedDict"


class Selection(NamedTuple):
    """What is converted, and what of the file is not."""

    document: Document
    dropped: tuple[Dropped, ...] = ()


def selected(document: Document, options: Options, *, bare: bool = False) -> Selection:
    """`document` as `options` want it. Raises NotConvertible and UsageError for names that do not fit them.

    `bare` takes the tensors alone, whatever the options: of a dangerous file nothing else goes over.
    """
    chosen = _chosen(document, options)
    if not (options.selects or bare):
        drops = options.disarm or options.allow == "unvetted"
        return Selection(chosen, dropped_arrays(chosen, options.limits) if drops else ())
    return _flat(chosen, options)


def _chosen(document: Document, options: Options) -> Document:
    return _with_root(document, _modules(document.root)) if options.records else document


def offered(document: Document, options: Options) -> tuple[str, ...]:
    """The names of the tensors that the shard `document` can give. Raises as `selected` does."""
    return tuple(named_leaves(_chosen(document, options).root, is_tensor, options.limits, strict=True))


def gives(offer: Iterable[str], options: Options) -> bool:
    """Whether anything of a shard goes over."""
    return any(_wanted(name, options.keys) for name in offer)


def shared_out(offers: Mapping[str, tuple[str, ...]], options: Options) -> dict[str, Options]:
    """The options for each shard that gives something, so that all together do what was asked.

    offers   file name -> what `offered` gives

    Each glob has to match in some shard, each old name to be in some, the prefix to be on all names that are chosen,
    and no two shards may have one new name. Raises NotConvertible and UsageError.
    """
    every = [name for offer in offers.values() for name in offer]
    for glob in options.keys:
        if not any(fnmatchcase(name, glob) for name in every):
            raise _nothing((glob,), every)
    wanted = {
        file: [name for name in offer if _wanted(name, options.keys)]
        for file, offer in offers.items()
        if gives(offer, options)
    }
    if not wanted:
        raise NotConvertible("the shards hold no tensor")
    prefix = options.strip_prefix
    _prefixed([name for names in wanted.values() for name in names], prefix)
    bare = {file: {name[len(prefix) :] for name in names} for file, names in wanted.items()}
    _known(options.rename, set().union(*bare.values()))
    given = {}
    seen: dict[str, tuple[str, str]] = {}
    for file, names in wanted.items():
        rename = {old: new for old, new in options.rename.items() if old in bare[file]}
        given[file] = replace(options, rename=rename)
        for old, new in zip(names, _renamed(names, given[file]), strict=True):
            if new in seen:
                other, before = seen[new]
                raise NotConvertible(
                    f"{before[:200]!a} of {other!a} and {old[:200]!a} of {file!a} would both be called {new[:200]!a}"
                )
            seen[new] = file, old
    return given


def new_key(name: str, options: Options) -> str | None:
    """What a tensor called `name` is called in the output, None when it is not wanted."""
    if not _wanted(name, options.keys):
        return None
    name = name.removeprefix(options.strip_prefix)
    return options.rename.get(name, name)


def rooted(document: Document, limits: Limits) -> Selection:
    """`document`, when its file holds an object; and what of the file no load of it gives.

    Raises NotConvertible for files that were judged and have no object, or hold such files.
    """
    inside: set[int] = set()
    todo = [("", document)]
    while todo:
        name, file = todo.pop()
        if id(file) in inside:
            continue
        inside.add(id(file))
        if resolve(file.root) is None and file.container in _WITHOUT_OBJECT:
            where = ascii(document.source.name)[1:-1] + (f" at {name!a}" if name else "")
            raise NotConvertible(
                f"{where} holds no object that could be converted: unpack archives first; of numpy's types, text, "
                "dates, objects and fields have no form outside a pickle"
            )
        todo += [(path, found.document) for path, found in named_leaves((file.root,), _is_file, limits).items()]
    further = [
        (member, value)
        for member, value in document.others
        if document.container == "pickle" or (_is_file(value) and id(value.document) not in inside)
    ]
    return Selection(
        document,
        tuple(
            Dropped("value", f"object {number}", member=member, reason=_FURTHER)
            for number, (member, _) in enumerate(further, 2)
        ),
    )


def _is_file(value: object) -> TypeGuard[Enclosed]:
    return isinstance(value, Enclosed)


def _with_root(document: Document, root: object) -> Document:
    return Document(
        root, document.source, document.storages, document.big_endian, document.container, document.metadata
    )


def _modules(root: object) -> object:
    """The state_dict of a module, or a mapping with the modules in it replaced by theirs."""
    root = resolve(root)
    while isinstance(root, Enclosed):
        root = resolve(root.document.root)
    items = mapping(root)
    if items is None or not any(_is_module(value) for value in items.values()):
        return state_dict(root)
    changed = {key: state_dict(value) if _is_module(value) else value for key, value in items.items()}
    return Built(root.kind, root.args, changed, root.state) if isinstance(root, Built) else changed


def _is_module(value: object) -> bool:
    value = resolve(value)
    return is_module(value) or computed(value) is not None


def _flat(document: Document, options: Options) -> Selection:
    """A flat state_dict of the tensors that are wanted, under the names that are wanted."""
    limits = options.limits
    found = named_leaves(document.root, is_tensor, limits, strict=True)
    if not found:
        raise NotConvertible("the file holds no tensors")
    kept = {name: leaf for name, leaf in found.items() if _wanted(name, options.keys)}
    if not kept:
        raise _nothing(options.keys, list(found))
    names = _renamed(list(kept), options)
    items = dict(zip(names, kept.values(), strict=True))
    metadata = _stripped(_metadata(document.root, limits), options)
    state: dict[str, object] | None = {"_metadata": metadata} if metadata else None
    dropped = [Dropped("tensor", name, reason="not selected") for name in found if name not in kept]
    dropped.append(Dropped("value", "", reason="the tree around the selected tensors, and all in it that is no tensor"))
    return Selection(_with_root(document, Built(_ORDERED, (), items, state)), tuple(dropped))


def _wanted(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def _nothing(globs: Iterable[str], names: list[str]) -> UsageError:
    shown = ", ".join(ascii(name) for name in names[:5])
    return UsageError(f"no tensor matches {', '.join(map(ascii, globs))}; the first of {len(names)}: {shown}")


def _prefixed(names: list[str], prefix: str) -> None:
    """Raise NotConvertible unless each of `names` has the prefix."""
    missing = [name for name in names if not name.startswith(prefix)]
    if missing:
        raise NotConvertible(
            f"the prefix {prefix!r} is not taken off: {len(missing)} of {len(names)} names do not have it, "
            f"first {missing[0][:200]!a}; choose names with --keys first"
        )


def _known(rename: Mapping[str, str], names: set[str]) -> None:
    """Raise NotConvertible when there is nothing to be renamed under an old name."""
    unknown = [old for old in rename if old not in names]
    if unknown:
        raise NotConvertible(f"there is no tensor {unknown[0][:200]!a} to be renamed")


def _renamed(names: list[str], options: Options) -> list[str]:
    """The new name of each of `names`."""
    _prefixed(names, options.strip_prefix)
    new = [name[len(options.strip_prefix) :] for name in names]
    _known(options.rename, set(new))
    new = [options.rename.get(name, name) for name in new]
    seen: dict[str, str] = {}
    for name, old in zip(new, names, strict=True):
        if not name:
            raise NotConvertible(f"nothing would be left of the name {old[:200]!a}")
        if name in seen:
            raise NotConvertible(f"{seen[name]!a} and {old!a} would both be called {name!a}")
        seen[name] = old
    return new


def _metadata(root: object, limits: Limits) -> Iterator[tuple[str, object]]:
    """(path of a module, what `_metadata` says of it) for each state_dict in the object."""
    top = resolve(root)
    if _versions(top):
        states: Mapping[str, object] = {"": top}
    else:
        states = named_leaves(root, lambda value: bool(_versions(value)), limits)
    for path, value in states.items():
        for module, versions in _versions(value).items():
            if type(module) is str:
                yield ".".join(part for part in (path, module) if part), versions


def _versions(value: object) -> Mapping[object, object]:
    """The `_metadata` of a state_dict, empty when there is none."""
    if isinstance(value, OrderedDict):
        found = vars(value).get("_metadata")
    elif isinstance(value, Built) and value.kind == _ORDERED and value.state:
        found = value.state.get("_metadata")
    else:
        return {}
    return mapping(found) or {}


def _stripped(entries: Iterator[tuple[str, object]], options: Options) -> dict[str, object]:
    prefix = options.strip_prefix
    found: dict[str, object] = {}
    for path, versions in entries:
        # A module's own path has no dot at its end; the root's is empty.
        below = f"{path}." if path else ""
        if below.startswith(prefix):
            found[below[len(prefix) :].rstrip(".")] = versions
    return found
