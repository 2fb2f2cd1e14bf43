"""What the shipped rules say of names that matter, one by one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from safeload.findings import Verdict
from safeload.policy import Policy, Standing

DANGEROUS = {
    "runs-code": (
        "builtins.eval builtins.exec builtins.compile __builtin__.eval __builtin__.execfile "
        "types.FunctionType types.CodeType code.InteractiveInterpreter timeit.timeit cProfile.run "
        "profile.runctx pdb.run doctest.debug_script numpy.testing._private.utils.runstring "
        "numpy.f2py.crackfortran.getlincoef torch.fx.graph_module.reduce_graph_module "
        "torch.jit.unsupported_tensor_ops.execWrapper torch.utils.cpp_extension.load_inline "
        "torch._inductor.compile_fx.graph_returns_tuple torch.utils.bottleneck.__main__.run_prof "
        "torch._dynamo.eval_frame.optimize jinja2.environment.Template idlelib.pyshell.ModifiedInterpreter "
        "lib2to3.pgen2.grammar.Grammar sympy.core.sympify.sympify pandas.eval keras.layers.core.Lambda "
        "dataclasses.make_dataclass _xxsubinterpreters.run_string"
    ),
    "runs-programs": (
        "os.system os.path.exists posix.system nt.system os.popen os.execv posix.fork subprocess.Popen "
        "subprocess.run _posixsubprocess.fork_exec _winapi.CreateProcess commands.getoutput popen2.popen2 "
        "pty.spawn platform.popen uuid._get_command_stdout webbrowser.open pydoc.pipepager "
        "multiprocessing.process.BaseProcess concurrent.futures.ThreadPoolExecutor threading.Thread "
        "_thread.start_new_thread thread.start_new_thread asyncio.create_subprocess_shell ctypes.CDLL "
        "_ctypes.dlopen cffi.FFI ensurepip._run_pip pip.main distutils.spawn.spawn torch.distributed.run.run "
        "numpy.ctypeslib.load_library signal.signal"
    ),
    "imports-modules": (
        "builtins.__import__ importlib.import_module imp.load_source _imp.create_dynamic runpy.run_path "
        "runpy._run_code pkgutil.resolve_name pydoc.locate zipimport.zipimporter logging.config.dictConfig "
        "site.addsitedir torch.hub.load torch.package.PackageImporter unittest.mock._importer "
        "hydra.utils.instantiate monai.bundle.ConfigParser "
        "transformers.dynamic_module_utils.get_class_from_dynamic_module transformers.pipeline"
    ),
    "reaches-attributes": (
        "builtins.setattr builtins.delattr __builtin__.getattr builtins.super operator.attrgetter "
        "_operator.methodcaller operator.itemgetter operator.anything string.Formatter copy_reg.add_extension "
        "pickle._getattribute"
    ),
    "calls-functions": "builtins.map builtins.filter __builtin__.apply functools.reduce itertools.starmap",
    "writes-files": (
        "builtins.open __builtin__.file io.open _io.FileIO _pyio.open codecs.open os.remove shutil.rmtree "
        "tempfile.mkstemp zipfile.ZipFile tarfile.open sqlite3.connect numpy.memmap numpy.core.memmap.memmap "
        "torch.save joblib.memory.Memory"
    ),
    "reads-files": "os.listdir linecache.getline numpy.loadtxt pandas.read_csv",
    "network": (
        "socket.socket _socket.socket ssl.wrap_socket urllib.request.urlopen urllib2.urlopen "
        "http.client.HTTPConnection ftplib.FTP smtplib.SMTP xmlrpc.client.ServerProxy requests.get "
        "requests.api.get huggingface_hub.hf_hub_download"
    ),
    "nested-loader": (
        "pickle.loads _pickle.loads cPickle.loads pickle.Unpickler marshal.loads dill.loads "
        "dill._dill._create_code cloudpickle.cloudpickle._make_function joblib.load "
        "joblib.externals.cloudpickle.loads shelve.open yaml.load jsonpickle.decode torch.load "
        "torch.serialization.load numpy.load numpy.lib.npyio.load pandas.read_pickle "
        "pandas.io.pickle.read_pickle keras.models.load_model"
    ),
    "introspection": (
        "builtins.globals builtins.vars inspect.currentframe gc.get_objects sys.modules sys._getframe sys.exit"
    ),
    "environment": "os.environ os.putenv posix.environ os.chdir codecs.register time.sleep",
    "module-attribute": "torch.os enum.__builtins__ torch.__setattr__ any.where.subprocess any.__getattribute__",
}

KNOWN = (
    "functools.partial torch.nn.modules.linear.Linear torch.nn.functional.binary_cross_entropy "
    "torch.optim.sgd.SGD torch.jit._pickle.restore_type_tag sklearn.preprocessing._data.StandardScaler "
    "joblib.numpy_pickle.NumpyArrayWrapper transformers.training_args.TrainingArguments "
    "transformers.trainer_utils.IntervalStrategy ultralytics.nn.tasks.DetectionModel models.yolo.Model "
    "omegaconf.dictconfig.DictConfig __main__.Net __torch__.Net dill._dill._load_type builtins.ValueError "
    "gym.spaces.box.Box pandas.core.frame.DataFrame xgboost.core.Booster operator.add"
)

VETTED = (
    "collections.OrderedDict torch._utils._rebuild_tensor_v2 torch.FloatStorage "
    "torch.storage.UntypedStorage torch.float32 torch.device torch.Size numpy.dtype numpy.ndarray "
    "numpy.core.multiarray._reconstruct numpy._core.multiarray.scalar _codecs.encode argparse.Namespace "
    "collections.defaultdict builtins.set builtins.getattr"
)

UNKNOWN = "nobody.knows.this builtins.nosuchbuiltin xml.dom.minidom.Document test.Net code.models.Net"

CASES = [
    *((name, Standing.DANGEROUS, family) for family, names in DANGEROUS.items() for name in names.split()),
    *((name, Standing.KNOWN, "known-class") for name in KNOWN.split()),
    *((name, Standing.VETTED, None) for name in VETTED.split()),
    *((name, Standing.UNKNOWN, "unknown-global") for name in UNKNOWN.split()),
]


@pytest.mark.parametrize(("dotted", "kind", "rule"), CASES, ids=[case[0] for case in CASES])
def test_names(dotted: str, kind: Standing, rule: str | None) -> None:
    module, _, name = dotted.rpartition(".")
    decision = Policy.default().decide(module, name)
    assert decision.kind is kind
    if rule is not None:
        assert decision.rule == rule


def test_getattr_is_an_enum_lookup_or_dangerous() -> None:
    decision = Policy.default().decide("builtins", "getattr")
    assert (decision.kind, decision.shape, decision.verdict) == (Standing.VETTED, "enum-lookup", Verdict.UNVETTED)
    assert decision.otherwise is not None
    assert (decision.otherwise.rule, decision.otherwise.verdict) == ("reaches-attributes", Verdict.DANGEROUS)


def test_verdicts_follow_the_kind() -> None:
    policy = Policy.default()
    for dotted, kind, _ in CASES:
        module, _, name = dotted.rpartition(".")
        verdict = policy.decide(module, name).verdict
        assert (verdict is Verdict.DANGEROUS) == (kind is Standing.DANGEROUS)
        assert (verdict is Verdict.CLEAN) <= (kind is Standing.VETTED)


def test_the_default_is_made_once() -> None:
    assert Policy.default() is Policy.default()


def test_asking_imports_nothing() -> None:
    """In a fresh process: deciding about a module must not load it."""
    code = (
        "import sys\n"
        "from safeload.policy import Policy\n"
        "before = set(sys.modules)\n"
        "policy = Policy.default()\n"
        "for name in ('torch', 'numpy', 'webbrowser', 'antigravity', 'ftplib', 'not_there'):\n"
        "    policy.decide(name, 'x')\n"
        "print(sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['safeload.policy.table']\n"
