"""numpy's random generators: bit generators, Generator, RandomState, SeedSequence.

Semantics: numpy 1.17 to 2.4, numpy/random/_pickle.py, the `state` setters of numpy/random/_*.pyx and bit_generator.pyx.
The setters copy a state into C structures. So every word of a state is checked, by type and range, and their number.
"""

from __future__ import annotations

from safeload.document.document import ArraySpec, Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import (
    INTEGER_BITS,
    elements,
    inert,
    known,
    made,
    spend,
    symbol,
    unchanged,
    unmade,
    whole,
)
from safeload.vetted.interface import Constructor, Context, ShapeError, positional

GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
_KINDS = tuple(f"numpy.random.{name}" for name in GENERATORS)
_CTOR = "numpy.random._pickle.__bit_generator_ctor"
_BITS: dict[str, dict[str, object]] = {
    "MT19937": {"key": ("u4", 624), "pos": 625},
    "PCG64": {"state": 1 << 128, "inc": 1 << 128},
    "PCG64DXSM": {"state": 1 << 128, "inc": 1 << 128},
    "Philox": {"counter": ("u8", 4), "key": ("u8", 2)},
    "SFC64": {"state": ("u8", 4)},
}
_TAIL: dict[str, object] = {"has_uint32": 2, "uinteger": 1 << 32}
_EXTRA: dict[str, dict[str, object]] = {"MT19937": {}, "Philox": {"buffer": ("u8", 4), "buffer_pos": 5, **_TAIL}}
_SEQUENCE = "numpy.random.SeedSequence"
# To make an array of one int takes numpy as long as this many reads; and so many mixes take as long as one read.
_ARRAY = 64
_MIXES = 4


def _name(value: object) -> str:
    """The name of the bit generator that a text or a class stands for."""
    found = resolve(value)
    if inert(found):
        raise ShapeError("takes a bit generator outside the vetted table", Verdict.UNVETTED)
    name = found if type(found) is str else symbol(found).removeprefix("numpy.random.")
    if name not in GENERATORS:
        raise ShapeError("takes the name or class of a bit generator of numpy")
    return str(name)


def bit_generator(call: Call, ctx: Context) -> Built:
    """`__bit_generator_ctor(name or class)`; its state comes with BUILD."""
    args = positional(call, 0, 1)
    return Built(f"numpy.random.{_name(args[0]) if args else 'MT19937'}", (None,))


def change_bit_generator(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD state, or (state, SeedSequence) from numpy 1.25 on."""
    built = made(call, *_KINDS)
    state = _payload(ctx, mutation)
    sequence: object = None
    if type(state) is tuple and len(state) == 2:
        sequence = resolve(state[1])
        if inert(sequence):
            raise ShapeError("has a seed sequence outside the vetted table", Verdict.UNVETTED)
        if sequence is not None and not (isinstance(sequence, Built) and sequence.kind == _SEQUENCE):
            raise ShapeError("takes a SeedSequence beside its state")
        unchanged(ctx, mutation.offset, state[1], state[0])
        state = resolve(state[0])
    built.state = _state(ctx, state, built.kind, mutation.offset)
    built.args = (sequence,)


def _payload(ctx: Context, mutation: Mutation) -> object:
    """The payload of a BUILD, resolved. Raises ShapeError when it was changed after it was consumed."""
    if mutation.kind != "build":
        raise ShapeError("a generator takes a state only")
    state = resolve(mutation.payload)
    if inert(state):
        raise ShapeError("takes a state that is outside the vetted table", Verdict.UNVETTED)
    unchanged(ctx, mutation.offset, mutation.payload)
    return state


def _state(ctx: Context, state: object, kind: str, offset: int) -> dict[str, object]:
    """The state of a bit generator of `kind`. Raises ShapeError for other keys, types, sizes or ranges than it has."""
    name = kind.removeprefix("numpy.random.")
    if type(state) is not dict or state.get("bit_generator") != name:
        raise ShapeError(f"takes a state of {name}")
    extra = _EXTRA.get(name, _TAIL)
    if state.keys() != {"bit_generator", "state", *extra}:
        raise ShapeError(f"takes a state of {name} and no other keys")
    inner = resolve(state["state"])
    if type(inner) is not dict or inner.keys() != _BITS[name].keys():
        raise ShapeError(f"takes a state of {name}")
    unchanged(ctx, offset, state, state["state"])
    checked: dict[str, object] = {"bit_generator": name}
    checked["state"] = {key: _word(ctx, inner[key], rule, offset) for key, rule in _BITS[name].items()}
    checked.update((key, _word(ctx, state[key], rule, offset)) for key, rule in extra.items())
    return checked


def _word(ctx: Context, value: object, rule: object, offset: int) -> object:
    """One value of a state: an int below `rule`, or an array when `rule` is (kind and size, count)."""
    if isinstance(rule, int):
        return whole(value, 0, rule, "a word of a state")
    found = resolve(value)
    if inert(found):
        raise ShapeError("takes words that are outside the vetted table", Verdict.UNVETTED)
    unchanged(ctx, offset, value)
    if not (isinstance(found, ArraySpec) and isinstance(rule, tuple)) or found.scalar:
        raise ShapeError("takes words as an array")
    if found.dtype[1:] != rule[0] or found.shape != (rule[1],):
        raise ShapeError("takes words as an array of another size")
    return found


def generator(call: Call, ctx: Context) -> Built:
    """`__generator_ctor(bit generator)`, or by name with the constructor of bit generators (numpy before 1.25)."""
    return Built("numpy.random.Generator", (_inside(call, ctx),))


def random_state(call: Call, ctx: Context) -> Built:
    """`__randomstate_ctor(bit generator)` or by name, as above; its state comes with BUILD."""
    return Built("numpy.random.RandomState", (_inside(call, ctx),))


def _inside(call: Call, ctx: Context) -> object:
    """The bit generator that a generator wraps, as its Cell."""
    args = positional(call, 0, 2)
    if len(args) == 2 and symbol(args[1]) != _CTOR:
        # SECURITY: numpy calls this argument, whatever it is.
        raise ShapeError("takes the constructor of bit generators and no other")
    found = resolve(args[0]) if args else "MT19937"
    if isinstance(found, Built):
        if found.kind.removeprefix("numpy.random.") not in GENERATORS:
            raise ShapeError("takes a bit generator")
        unchanged(ctx, call.offset, args[0])
        return args[0]
    return Built(f"numpy.random.{_name(found)}", (None,))


def _wrapped(call: Call) -> tuple[Built, Built]:
    """A generator, and the bit generator inside. BUILD changes that one in place: other generators may share it."""
    built = made(call, "numpy.random.Generator", "numpy.random.RandomState")
    inside = resolve(built.args[0])
    if not isinstance(inside, Built):
        raise unmade()
    return built, inside


def change_generator(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD with the state of the bit generator inside (before 1.25); later with nothing, or that generator again."""
    state = _payload(ctx, mutation)
    _, inside = _wrapped(call)
    if state is None or state is inside:
        return
    inside.state = _state(ctx, state, inside.kind, mutation.offset)


def change_random_state(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD with the dict of `RandomState.get_state(legacy=False)`, or the tuple of numpy before 1.17."""
    state = _payload(ctx, mutation)
    built, inside = _wrapped(call)
    if type(state) is tuple and len(state) == 5 and state[0] == "MT19937":
        state = {
            "bit_generator": state[0],
            "state": {"key": state[1], "pos": state[2]},
            "has_gauss": state[3],
            "gauss": state[4],
        }
    if type(state) is not dict or not {"has_gauss", "gauss"} <= state.keys():
        raise ShapeError("takes a state of RandomState")
    gauss = resolve(state["gauss"])
    if type(gauss) is not float:
        raise ShapeError("takes a float as the next gaussian")
    tail: dict[str, object] = {"has_gauss": whole(state["has_gauss"], 0, 2, "has_gauss"), "gauss": gauss}
    bits = {key: value for key, value in state.items() if key not in tail}
    inside.state = _state(ctx, bits, inside.kind, mutation.offset)
    built.state = tail


def seed_sequence(call: Call, ctx: Context) -> Built:
    """`__pyx_unpickle_SeedSequence(SeedSequence, checksum, None)`; its state comes with BUILD."""
    owner, checksum, state = known(call, object, int, object)
    if symbol(owner) != _SEQUENCE or state is not None:
        raise ShapeError(
            "takes SeedSequence, a checksum and None", Verdict.UNVETTED if inert(owner) else Verdict.DANGEROUS
        )
    whole(checksum, 0, 1 << 32, "a checksum")
    return Built(_SEQUENCE, (0, (), 4, 0))


def change_seed_sequence(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (entropy, children, pool, pool size, spawn key), the attributes in the order of their names (Cython)."""
    made(call, _SEQUENCE)
    state = _payload(ctx, mutation)
    if type(state) is not tuple or len(state) != 5:
        raise ShapeError("takes a state of five parts")
    size = whole(state[3], 4, 1025, "the size of a pool")
    _word(ctx, state[2], ("u4", size), mutation.offset)
    children = whole(state[1], 0, 1 << 32, "a count of children")
    parts: list[object] = []
    for raw in (state[0], state[4]):
        part = resolve(raw)
        if part is None or type(part) is int:
            parts.append(part if part is None else whole(part, 0, 1 << INTEGER_BITS, "entropy"))
            continue
        if inert(part):
            raise ShapeError("has entropy outside the vetted table", Verdict.UNVETTED)
        words = elements(ctx, part, raw, mutation.offset)
        parts.append(tuple(whole(word, 0, 1 << INTEGER_BITS, "entropy") for word in words))
    _mixed(ctx, parts, size, mutation.offset)
    if not isinstance(parts[1], tuple):
        raise ShapeError("takes a tuple as spawn key")
    call.value = Built(_SEQUENCE, (parts[0], parts[1], size, children))


def _mixed(ctx: Context, parts: list[object], size: int, offset: int) -> None:
    """Count the work that this entropy makes numpy do, for a pool of `size` words.

    SECURITY: numpy makes an array of each int, and mixes each word into each word of the pool. Many sequences may share
    one entropy, and the size of a pool is a number: a few bytes of the file could cost hours.
    """
    numbers = [number for part in parts for number in (part if isinstance(part, tuple) else (part,))]
    words = sum(1 + number.bit_length() // 32 for number in numbers if isinstance(number, int))
    spend(ctx, _ARRAY * len(numbers) + size * (size + words) // _MIXES, offset)


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("numpy-bit-generator", bit_generator, change_bit_generator),
    Constructor("numpy-generator", generator, change_generator),
    Constructor("numpy-random-state", random_state, change_random_state),
    Constructor("numpy-seed-sequence", seed_sequence, change_seed_sequence),
)
