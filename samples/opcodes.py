"""Files that mean something else than they seem to: opcodes that readers other than CPython take for harmless.

Every payload prints one line.
"""

from __future__ import annotations

from samples.assemble import (
    BUILD,
    DUP,
    ECHO,
    MARK,
    MEMOIZE,
    PERSID_END,
    POP,
    PROTO2,
    PROTO4,
    REDUCE,
    STACK_GLOBAL,
    STOP,
    Code,
    after,
    build,
    call,
    get,
    inst,
    name,
    new,
    new_ex,
    obj,
    persistent,
    pickle,
    put,
    short,
    stack_name,
    tensor,
    value,
)
from samples.files_of_torch import legacy, zip_of
from samples.sample import dangerous, unjudged

LINE = "echo safeload-sample"
ARGUMENTS = value((LINE,))
LAZY = new(name("builtins", "map"), name("os", "system"), [LINE])
FRAME = b"\x95"

# b"\x8c\x02os\x94" and so on: names come out of the memo, in the wrong order of their making.
FROM_MEMO = put("system", 7) + POP + put("os", 3) + POP + get(3) + get(7) + STACK_GLOBAL + ARGUMENTS + REDUCE
OVERWRITTEN = put("math", 1) + POP + put("os", 1) + POP + get(1) + value("system") + STACK_GLOBAL + ARGUMENTS + REDUCE
MIXED = short("os") + MEMOIZE + POP + put("math", 1) + POP + b"g0\n" + value("system") + STACK_GLOBAL
MIXED += ARGUMENTS + REDUCE
ESCAPED = b"S'o\\x73'\n" + b"Vsyst\\u0065m\n" + STACK_GLOBAL + ARGUMENTS + REDUCE
COMPUTED = value("os") + call(name("_codecs", "encode"), "system", "latin1") + STACK_GLOBAL + ARGUMENTS + REDUCE

SAMPLES = (
    dangerous("opcodes/name-from-memo.pkl", "STACK_GLOBAL takes both strings from the memo",
              PROTO4 + FROM_MEMO + STOP, "runs-programs"),
    dangerous("opcodes/memo-overwritten.pkl", "a memo slot that is written twice: the second value counts",
              PROTO4 + OVERWRITTEN + STOP, "runs-programs"),
    dangerous("opcodes/memo-mixed.pkl", "MEMOIZE, LONG_BINPUT and GET share one numbering",
              PROTO4 + MIXED + STOP, "runs-programs"),
    dangerous("opcodes/memo-huge-index.pkl", "a memo index of two billion, which must not take memory",
              PROTO2 + put(1, 0x7FFFFFFF) + POP + ECHO + STOP, "not-canonical", "runs-programs"),
    dangerous("opcodes/name-escaped.pkl", "the strings of STACK_GLOBAL are spelled with escapes",
              PROTO4 + ESCAPED + STOP, "runs-programs"),
    unjudged("opcodes/name-computed.pkl", "one of the strings of STACK_GLOBAL is what a call returns",
             PROTO4 + COMPUTED + STOP, "malformed-pickle"),
    dangerous("opcodes/inst.pkl", "a call by INST", pickle(inst("os", "system", LINE), b""), "runs-programs"),
    dangerous("opcodes/obj.pkl", "a call by OBJ", pickle(obj(name("os", "system"), LINE), b""), "runs-programs"),
    dangerous("opcodes/newobj.pkl", "tuple.__new__ by NEWOBJ: it walks a map that calls a function",
              pickle(new(name("builtins", "tuple"), LAZY)), "argument-shape", "calls-functions", "runs-programs"),
    dangerous("opcodes/newobj-ex.pkl", "tuple.__new__ by NEWOBJ_EX: it walks a map that calls a function",
              pickle(new_ex(name("builtins", "tuple"), (LAZY,), {}), PROTO4),
              "argument-shape", "calls-functions", "runs-programs"),
    dangerous("opcodes/extension-code.pkl", "EXT1 and EXT4: what they name is decided by the loading process",
              pickle([Code(b"\x82\x05"), Code(b"\x84\x07\0\0\0")]), "extension-code"),
    dangerous("opcodes/state-on-class.pkl", "BUILD on a class replaces its attributes for the whole process",
              pickle(build(name("collections", "Counter"), (None, {"get": name("os", "system")}))),
              "foreign-state", "runs-programs"),
    dangerous("opcodes/state-on-function.pkl", "BUILD on a function replaces its defaults for the whole process",
              pickle(build(name("torch._utils", "_rebuild_tensor"), (None, {"__defaults__": (1, 2, 3)}))),
              "foreign-state"),
    dangerous("opcodes/items-on-module.pkl", "SETITEM on something that was imported: sys.modules",
              pickle(Code(name("sys", "modules") + value("os") + value(None) + b"s")),
              "foreign-state", "introspection"),
    dangerous("opcodes/popped-call.pt", "the result of the call is thrown away; the call ran",
              zip_of({"w": Code(ECHO + POP + tensor())}).build(), "runs-programs"),
    dangerous("opcodes/broken-after-payload.pkl", "an opcode that does not exist, after the payload ran",
              PROTO2 + ECHO + b"\xff", "malformed-pickle", "runs-programs"),
    dangerous("opcodes/cut-off-after-payload.pkl", "the stream ends before STOP, after the payload ran",
              PROTO2 + ECHO, "malformed-pickle", "runs-programs"),
    dangerous("opcodes/cut-off-in-name.pkl", "the last line has no end: CPython drops one byte and imports the rest",
              PROTO2 + b"cos\nsystemX", "malformed-pickle", "not-canonical", "runs-programs"),
    unjudged("opcodes/number-hexadecimal.pkl", "INT 0x1: one Python reads 1, another nothing", b"I0x1\n.",
             "not-canonical"),
    unjudged("opcodes/number-octal.pkl", "INT 010: eight to some readers, ten to others", b"I010\n.", "not-canonical"),
    unjudged("opcodes/number-spaced.pkl", "INT with a space, LONG with two suffixes: readers differ",
             b"(I 0\nL1LL\nF 1.5\nt.", "malformed-pickle", "not-canonical"),
    dangerous("opcodes/frame-too-long.pkl", "a FRAME that announces more than the file holds, around a payload",
              PROTO4 + FRAME + (1 << 20).to_bytes(8, "little") + ECHO + STOP, "not-canonical", "runs-programs"),
    dangerous("opcodes/frame-too-short.pkl", "a FRAME that ends inside an opcode",
              PROTO4 + FRAME + (5).to_bytes(8, "little") + ECHO + STOP, "not-canonical", "runs-programs"),
    dangerous("opcodes/protocol-late.pkl", "PROTO in the middle, which changes how later names are read",
              value("x") + POP + PROTO4 + stack_name("posix", "system") + ARGUMENTS + REDUCE + STOP,
              "not-canonical", "runs-programs"),
    dangerous("opcodes/second-stream.pkl", "a harmless pickle, and a second one behind its STOP",
              pickle({"a": 1}) + pickle(ECHO), "runs-programs"),
    dangerous("opcodes/stream-after-data-pkl.pt", "a second pickle behind the STOP of data.pkl",
              zip_of(Code(value({"w": tensor()}) + STOP + PROTO2 + ECHO)).build(), "runs-programs", "trailing-bytes"),
    dangerous("opcodes/dotted-name.pkl", "protocol 4 walks the dots of a name from a harmless class to eval",
              pickle(call(stack_name("collections", "namedtuple.__builtins__.get"), "eval"), PROTO4),
              "dotted-name", "unknown-global"),
    dangerous("opcodes/python2-name.pkl", "a name of python 2, which CPython renames to builtins.eval",
              pickle(call(name("__builtin__", "eval"), "print('safeload-sample')"), b""), "runs-code"),
    dangerous("opcodes/python2-module.pkl", "a module of python 2: commands.getoutput is subprocess.getoutput",
              pickle(call(name("commands", "getoutput"), "echo > safeload-sample-ran"), b""), "runs-programs"),
    dangerous("opcodes/forged-storage-id.pt", "a persistent id whose type is a function",
              zip_of({"w": tensor(persistent(("storage", name("os", "system"), LINE, "cpu", 4)))}).build(),
              "argument-shape", "persistent-id", "runs-programs"),
    dangerous("opcodes/storage-id-in-bare-pickle.pkl", "a persistent id where nothing can be named by one",
              pickle(persistent(ECHO)), "persistent-id", "runs-programs"),
    unjudged("opcodes/text-persistent-id.pt", "a persistent id as text, which would have to be parsed",
             zip_of(Code(b"P('storage', 0)" + PERSID_END)).build(), "text-persistent-id"),
    dangerous("opcodes/duplicated-value.pkl", "DUP and POP_MARK around a payload",
              PROTO2 + MARK + ECHO + DUP + b"1" + value(1) + STOP, "runs-programs"),
    dangerous("opcodes/state-called-twice.pkl", "BUILD whose state is the result of a payload",
              pickle(Code(call(name("collections", "OrderedDict")) + ECHO + BUILD)), "argument-shape", "runs-programs"),
    dangerous("opcodes/legacy-class-in-storage-id.pt", "a legacy module id: a class with its source text, called",
              legacy(call(persistent(("module", name("os", "system"), "x.py", "pass")), LINE), {}), "runs-programs"),
    dangerous("opcodes/payload-as-key.pkl", "the payload stands as a key of a dict",
              PROTO2 + b"}" + after(ECHO, "k") + value(1) + b"s" + STOP, "runs-programs"),
)  # fmt: skip
