"""Files that name what they should not, or call a harmless name with arguments that make it something else.

Every payload prints one line, or would ask for memory that nobody gives it.
"""

from __future__ import annotations

from samples.assemble import (
    ECHO,
    ORDERED_DICT,
    PROTO4,
    Code,
    build,
    call,
    name,
    new,
    pickle,
    stack_name,
    tensor,
)
from samples.files_of_torch import legacy, zip_of
from samples.sample import Sample, dangerous, unvetted

LINE = "echo safeload-sample"
SOURCE = "print('safeload-sample')"
GETATTR = name("builtins", "getattr")
PARTIAL = call(name("functools", "partial"), name("os", "system"))


def one(path: str, what: str, item: Code, *rules: str, proto: bytes = b"\x80\x02") -> Sample:
    """A dangerous bare pickle."""
    return dangerous(path, what, pickle(item, proto), *rules)


SAMPLES = (
    one("names/eval.pkl", "the plainest payload: builtins.eval", call(name("builtins", "eval"), SOURCE), "runs-code"),
    one("names/ordered-dict-of-source.pkl", "OrderedDict called with source text instead of pairs",
        call(name("collections", "OrderedDict"), SOURCE), "argument-shape"),
    one("names/other-codec.pkl", "_codecs.encode with a codec that imports a module and takes quadratic time",
        call(name("_codecs", "encode"), "a" * 40, "punycode"), "argument-shape"),
    one("names/getattr-of-module.pkl", "getattr reaches a function through a module",
        call(call(GETATTR, name("shutil", "os"), "system"), LINE), "call-of-result", "enum-lookup", "module-attribute"),
    one("names/getattr-dotted.pkl", "getattr with a dunder name",
        call(GETATTR, name("mylib.kinds", "Kind"), "__subclasses__"), "reaches-attributes", "unknown-global"),
    one("names/partial-called.pkl", "functools.partial of os.system, then called",
        call(PARTIAL, LINE), "call-of-result", "known-class", "runs-programs"),
    one("names/reduce-chain.pkl", "functools.reduce applies a getter of attributes to a list",
        call(name("functools", "reduce"), GETATTR, [name("builtins", "object"), "__subclasses__"]),
        "calls-functions", "reaches-attributes"),
    one("names/methodcaller.pkl", "operator.methodcaller makes a function that is then called",
        call(call(name("operator", "methodcaller"), "system", LINE), name("shutil", "os")),
        "call-of-result", "module-attribute", "reaches-attributes"),
    one("names/call-of-call.pkl", "the result of an unknown function is called",
        call(call(name("mylib", "make")), LINE), "call-of-result", "unknown-global"),
    one("names/state-on-result.pkl", "state set on an object whose class is unknown, holding a payload",
        build(new(name("mylib", "Thing")), {"x": ECHO}), "runs-programs", "unknown-global"),
    one("names/write-file.pkl", "opens a file for writing",
        call(name("io", "open"), "safeload-sample-ran", "w"), "writes-files"),
    one("names/write-text.pkl", "a method of a vetted class, reached by a dotted name, writes a file",
        call(stack_name("pathlib", "Path.write_text"), call(name("pathlib", "PosixPath"), "safeload-sample-ran"), "x"),
        "dotted-name", "unknown-global", proto=PROTO4),
    one("names/storage-from-file.pkl", "UntypedStorage.from_file maps any file, shared and writable",
        call(stack_name("torch.storage", "UntypedStorage.from_file"), "safeload-sample-ran", True, 64),
        "dotted-name", "known-class", proto=PROTO4),
    one("names/nested-loads.pkl", "hands bytes to pickle.loads",
        call(name("pickle", "loads"), pickle(ECHO)), "nested-loader", "nested-pickle"),
    one("names/nested-torch-load.pkl", "hands bytes to torch.load",
        call(name("torch", "load"), b"x"), "nested-loader"),
    one("names/load-from-bytes.pkl", "torch.storage._load_from_bytes of a checkpoint with a payload",
        tensor(call(name("torch.storage", "_load_from_bytes"), legacy(ECHO, {}))),
        "argument-shape", "nested-pickle", "runs-programs"),
    one("names/pickle-in-bytes.pkl", "a pickle with a payload as a bytes value, for whoever loads it next",
        Code(b"}X\x04\0\0\0dataB" + len(pickle(ECHO)).to_bytes(4, "little") + pickle(ECHO) + b"s"), "nested-pickle"),
    one("names/bytearray-of-8-gib.pkl", "bytearray of a number allocates that many bytes",
        call(name("builtins", "bytearray"), 1 << 33), "argument-shape"),
    one("names/tensor-class-with-size.pkl", "a tensor class called with a size allocates it",
        call(name("torch", "FloatTensor"), 1 << 40), "argument-shape"),
    one("names/set-of-range.pkl", "a set made of something that counts by itself",
        call(name("builtins", "set"), call(name("builtins", "range"), 0, 1 << 40, 1)), "argument-shape"),
    one("names/import-module.pkl", "imports a module of the file's choice",
        call(name("importlib", "import_module"), "antigravity"), "imports-modules"),
    one("names/code-object.pkl", "makes a function out of bytecode",
        call(name("types", "FunctionType"), call(name("types", "CodeType"), 0, 0, 0), {}), "runs-code"),
    one("names/network.pkl", "opens a connection",
        call(name("urllib.request", "urlopen"), "http://localhost:9/safeload-sample"), "network"),
    one("names/native-library.pkl", "loads a native library",
        call(name("ctypes", "CDLL"), "safeload-sample.so"), "runs-programs"),
    one("names/control-character.pkl", "a NUL in a name: one reader cuts it there, another does not",
        call(stack_name("os\0x", "system"), LINE), "control-character", "unknown-global", proto=PROTO4),
    one("names/right-to-left.pkl", "a direction mark in a name: it is shown in another order than it is read",
        call(stack_name("torch\u202e", "so"), LINE), "control-character", "unknown-global", proto=PROTO4),
    one("names/factory-of-default-dict.pkl", "a defaultdict whose factory starts a shell at the first missing key",
        call(name("collections", "defaultdict"), name("os", "system")), "argument-shape", "runs-programs"),
    dangerous("names/payload-in-data-pkl.pt", "a checkpoint with one more key",
              zip_of({"w": tensor(), "epoch": ECHO}).build(), "runs-programs"),
    dangerous("names/hooks-of-tensor.pt", "backward hooks that call the interpreter's own functions",
              zip_of({"w": tensor(hooks=Code(ORDERED_DICT + b"K\x01" + name("os", "system") + b"s"))}).build(),
              "argument-shape", "runs-programs"),
    unvetted("names/look-alike.pkl", "a Cyrillic letter in the name of a torch module",
             pickle(call(stack_name("t\u043erch._utils", "_rebuild_tensor_v2"), 1), PROTO4), "unknown-global"),
    unvetted("names/known-class.bin", "training arguments of a library: a class that is known, and not vetted",
             pickle(build(new(name("transformers.training_args", "TrainingArguments")), {"learning_rate": 1e-4})),
             "known-class"),
    unvetted("names/unknown-class.pkl", "an object of a project's own class",
             pickle(build(new(name("myproject.model", "Net")), {"layers": 3})), "unknown-global"),
)  # fmt: skip
