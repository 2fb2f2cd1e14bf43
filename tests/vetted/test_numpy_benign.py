"""Real objects of numpy, pickled at every protocol, against literals and against numpy itself."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from safeload.document.document import ArraySpec, Built, resolve
from tests.vetted.vetted_driver import clean, plain, refusal

PROTOCOLS = range(6)
POINT = np.dtype([("x", "<i4"), ("y", ">f8", (2,))])
NESTED = np.dtype({"names": ["p", "n"], "formats": [POINT, "S3"], "offsets": [4, 0], "itemsize": 40})


def array(spec: object) -> np.ndarray:
    """The array that an ArraySpec describes, built by numpy from its parts."""
    if isinstance(spec, Built):
        assert spec.kind == "numpy.ndarray.transpose"
        return array(spec.args[0]).transpose(spec.args[1])
    assert isinstance(spec, ArraySpec)
    dtype = np.dtype(spec.dtype if spec.fields is None else spec.fields)
    if spec.objects is not None:
        flat = np.empty(len(spec.objects), object)
        flat[:] = spec.objects
    else:
        flat = np.frombuffer(bytearray(spec.data), dtype)
    return flat.reshape(spec.shape, order="F" if spec.fortran and spec.objects is None else "C")


ARRAYS = [
    np.arange(3, dtype="<f4"),
    np.arange(6, dtype=">i2").reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
    np.arange(6)[::-2],
    np.array(1.5),
    np.zeros((0, 3)),
    np.zeros((3, 0, 2), ">c16"),
    np.array([True, False]),
    np.array([1, -1], "i1"),
    np.array([1 + 2j], "<c8"),
    np.array([1.5], "<f2"),
    np.array(["ab", "\u00e9\U0001f600"]),
    np.array([b"ab", b""]),
    np.array([b"ab"], "V2"),
    np.array(["2020-01-01"], "M8[ns]"),
    np.array([5], "m8[25s]"),
    np.array([5], "m8"),
    np.zeros(2, POINT),
    np.zeros((2, 1), NESTED),
    np.zeros(1, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    np.zeros(1, np.dtype([(("title", "a"), "i4")])),
    np.array([1, "a", None, (2, 3)], dtype=object),
    np.array([[1, 2], [3, 4]], dtype=object, order="F"),
    np.array([], dtype=object),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", ARRAYS, ids=lambda v: v.dtype.str)
def test_arrays(value, protocol):
    made = array(clean(pickle.dumps(value, protocol)))
    # Up to protocol 4 the state of an array comes back in native byte order, by numpy and by us.
    swapped = protocol < 5 and value.dtype.str[0] == ">"
    assert made.dtype == (value.dtype.newbyteorder("<") if swapped else value.dtype)
    assert made.shape == value.shape
    assert repr(made.tolist()) == repr(value.tolist())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_array_as_a_literal(protocol):
    made = plain(clean(pickle.dumps(np.asfortranarray(np.array([[1, 2], [3, 4]], "<u2")), protocol)))
    assert made == ("array", "<u2", (2, 2), True, b"\x01\0\x03\0\x02\0\x04\0", None, False)


SCALARS = [
    (np.float32(1), ("array", "<f4", (), False, b"\0\0\x80?", None, True)),
    (np.int64(-1), ("array", "<i8", (), False, b"\xff" * 8, None, True)),
    (np.bool_(True), ("array", "|b1", (), False, b"\1", None, True)),
    (np.complex64(1j), ("array", "<c8", (), False, b"\0\0\0\0\0\0\x80?", None, True)),
    (np.str_("a"), ("array", "<U1", (), False, b"a\0\0\0", None, True)),
    (np.str_(""), ("array", "<U0", (), False, b"", None, True)),
    (np.bytes_(b"ab"), ("array", "|S2", (), False, b"ab", None, True)),
    (np.void(b"abc"), ("array", "|V3", (), False, b"abc", None, True)),
    (np.datetime64("1970-01-02"), ("array", "<M8[D]", (), False, b"\1" + bytes(7), None, True)),
    (np.timedelta64(2, "h"), ("array", "<m8[h]", (), False, b"\2" + bytes(7), None, True)),
    (
        np.array([(7,)], [("a", "<i2")])[0],
        ("array", "|V2", (), False, b"\7\0", {"names": ["a"], "formats": ["<i2"], "offsets": [0], "itemsize": 2}, True),
    ),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("value", "expected"), SCALARS, ids=lambda v: type(v).__name__)
def test_scalars(value, expected, protocol):
    assert plain(clean(pickle.dumps(value, protocol))) == expected


DTYPES = ["<f4", ">i8", "|b1", "|u1", "<U7", "|S3", "|V5", "<M8[us]", ">m8[7D]", "<M8", "|O", "<f2", "<c16", "|V0"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DTYPES)
def test_dtypes(name, protocol):
    made = clean(pickle.dumps(np.dtype(name), protocol))
    assert made.kind == "numpy.dtype"
    assert made.args[:3] == (name, None, np.dtype(name).itemsize)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("value", [POINT, NESTED, np.dtype(("<i4", (2, 3))), np.dtype([]), np.dtype([("o", POINT, 2)])])
def test_dtypes_with_parts(value, protocol):
    made = clean(pickle.dumps(value, protocol))
    assert np.dtype(made.args[1]) == value
    assert made.args[2] == value.itemsize


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_names(protocol):
    values = [np.ndarray, np.float32, np.bool_, np.dtypes.Float32DType, np.str_]
    expected = ["ndarray", "float32", "bool_", "dtypes.Float32DType", "str_"]
    assert plain(clean(pickle.dumps(values, protocol))) == [f"<numpy.{name}>" for name in expected]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"])
def test_bit_generators(name, protocol):
    value = getattr(np.random, name)(5)
    value.random_raw(3)
    made = clean(pickle.dumps(value, protocol))
    assert made.kind == f"numpy.random.{name}"
    assert plain(made.args) == (("numpy.random.SeedSequence", (5, (), 4, 0), None, None),)
    again = getattr(np.random, name)(0)
    again.state = built(made.state)
    assert again.random_raw() == value.random_raw()


def built(state: object) -> object:
    """A state with its arrays built."""
    state = resolve(state)
    if isinstance(state, dict):
        return {key: built(value) for key, value in state.items()}
    return array(state) if isinstance(state, ArraySpec) else state


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_generators(protocol):
    value = np.random.default_rng(7)
    made = clean(pickle.dumps(value, protocol))
    inside = resolve(made.args[0])
    assert (made.kind, inside.kind) == ("numpy.random.Generator", "numpy.random.PCG64")
    again = np.random.PCG64(0)
    again.state = built(inside.state)
    assert np.random.Generator(again).random() == value.random()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_random_state(protocol):
    value = np.random.RandomState(7)
    value.normal()
    made = clean(pickle.dumps(value, protocol))
    inside = resolve(made.args[0])
    assert made.kind == "numpy.random.RandomState"
    again = np.random.RandomState(0)
    again.set_state({**built(inside.state), **made.state})
    assert again.normal() == value.normal()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_generator_shares_its_bit_generator(protocol):
    inside = np.random.PCG64(3)
    first, second = clean(pickle.dumps([np.random.Generator(inside), inside], protocol))
    assert resolve(resolve(first).args[0]) is resolve(second)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_seed_sequences(protocol):
    values = [np.random.SeedSequence(5, spawn_key=(1, 2), pool_size=8), np.random.SeedSequence([1, 2])]
    values[1].spawn(3)
    assert plain(clean(pickle.dumps(values, protocol))) == [
        ("numpy.random.SeedSequence", (5, (1, 2), 8, 0), None, None),
        ("numpy.random.SeedSequence", ((1, 2), (), 4, 3), None, None),
    ]


def test_names_of_numpy_one():
    data = pickle.dumps(np.arange(3, dtype="<i2"), 3).replace(b"numpy._core", b"numpy.core")
    assert plain(clean(data)) == ("array", "<i2", (3,), False, b"\0\0\1\0\2\0", None, False)


def test_arrays_of_python_two():
    data = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\n"
        b"U\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\x00\xff\xfftb."
    )
    assert plain(clean(data, encoding="latin1")) == ("array", "<i2", (2,), False, b"\1\0\xff\xff", None, False)


def test_generators_of_older_numpy():
    state = np.random.PCG64(1).state

    class Old:
        def __reduce__(self):
            from numpy.random import _pickle

            return _pickle.__dict__["__generator_ctor"], ("PCG64",), state

    made = clean(pickle.dumps(Old(), 2))
    assert resolve(made.args[0]).state == state


def test_random_state_of_older_numpy():
    state = np.random.RandomState(1).get_state()

    class Old:
        def __reduce__(self):
            return np.random.__dict__["__RandomState_ctor"], (), state

    data = pickle.dumps(Old(), 2).replace(
        b"numpy.random._pickle\n__randomstate_ctor", b"numpy.random\n__RandomState_ctor"
    )
    made = clean(data)
    assert made.state == {"has_gauss": 0, "gauss": 0.0}
    assert built(resolve(made.args[0]).state)["state"]["pos"] == state[2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        np.array([1]).view(np.memmap),
        np.rec.array([(1,)], dtype=[("a", "i4")]),
        np.dtype("f4", metadata={"a": 1}),
        np.zeros(1, [("o", "O")]),
        np.array(["a"], np.dtypes.StringDType()),
    ],
    ids=["memmap", "recarray", "metadata", "object field", "StringDType"],
)
def test_not_modelled_is_unvetted(value, protocol):
    assert refusal(pickle.dumps(value, protocol))[0] == "unvetted"
