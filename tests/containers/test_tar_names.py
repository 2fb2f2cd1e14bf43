"""Names in tars: tarfile's own answer, what programs differ about, what leads out, and NeMo's checkpoints."""

import io
import tarfile

import pytest

from safeload.containers.interface import ImportedName, Nested
from safeload.containers.tar.archive import TarArchive
from safeload.containers.tar.directory import entries
from safeload.containers.tar.torch_tar import TorchTar
from safeload.errors import Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from tests.containers.driver import drive
from tests.containers.fuzzing import hold_contract
from tests.differential import tar_tricks
from tests.differential.tar_tricks import extension, header, pad, record

END = bytes(1024)


def member(name, body=b"x", **fields):
    return header(name, size=len(body), **fields) + pad(body)


def pax(path):
    return extension(b"x", record(b"path", path))


def read(data):
    return drive(TarArchive(), MemorySource(data))[0]


def told(data):
    return [(part.rule, part.verdict.value, part.member) for part in read(data) if isinstance(part, Finding)]


def test_the_first_of_two_paths_is_the_name_and_programs_differ():
    data = pax(b"../out.pkl") + pax(b"ok.pkl") + member(b"z") + END
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getnames() == ["../out.pkl"]
    assert told(data)[0] == ("unsafe-member-name", "dangerous", "../out.pkl")
    assert ("tar-name-ambiguous", "unjudged", "../out.pkl") in told(data)
    # ... and the other way round, for a program that takes the last.
    assert told(pax(b"ok.pkl") + pax(b"../out.pkl") + member(b"z") + END)[0] == (
        "unsafe-member-name", "dangerous", "ok.pkl",
    )  # fmt: skip
    mixed = extension(b"L", b"../out\0") + pax(b"ok") + member(b"z") + END
    assert told(mixed)[0] == ("unsafe-member-name", "dangerous", "../out")


@pytest.mark.parametrize(
    "name", [b"/a", b"../a", b"a/../../b", b"c:\\a", b"C:a", b"..\\a", b"\\\\host\\a", b"..", b"//a"]
)
def test_a_name_that_leaves_the_folder_is_dangerous(name):
    rules = told(member(name) + END)
    assert ("unsafe-member-name", "dangerous") in [rule[:2] for rule in rules]


@pytest.mark.parametrize(
    ("kind", "name", "target", "rule"),
    [
        (b"2", b"l", b"/etc/passwd", ("unsafe-member-name", "dangerous")),
        (b"2", b"d/l", b"../../a", ("unsafe-member-name", "dangerous")),
        (b"1", b"d/l", b"../a", ("unsafe-member-name", "dangerous")),
        (b"2", b"d/l", b"s/../../a", ("tar-member", "unjudged")),
        (b"2", b"l", b"absent", ("tar-member", "unjudged")),
        (b"1", b"model_config.yaml", b"a", ("tar-member", "unjudged")),
    ],
)
def test_links(kind, name, target, rule):
    data = member(b"a") + header(b"d/s", b"2", linkname=b"..") + header(name, kind, linkname=target) + END
    assert rule in [found[:2] for found in told(data)]


def test_a_link_that_leads_up_and_down_inside_is_that_file():
    data = member(b"x/a") + header(b"d/l", b"2", linkname=b"../x/a") + END
    assert told(data) == []


def test_a_link_to_a_file_of_the_archive_is_that_file():
    data = member(b"d/a") + header(b"d/l", b"2", linkname=b"a") + header(b"h", b"1", linkname=b"d/a") + END
    assert told(data) == []
    # A hard link to what comes later is none to tarfile; a file behind a link lies elsewhere.
    assert told(header(b"h", b"1", linkname=b"d/a") + member(b"d/a") + END) == [("tar-member", "unjudged", "h")]
    behind = header(b"d", b"2", linkname=b"e") + member(b"d/a") + END
    assert ("tar-name-ambiguous", "unjudged", "d/a") in told(behind)


@pytest.mark.parametrize(
    "data",
    [
        pax(b"a\0b") + member(b"z"), pax(b"") + member(b"z"), pax(b"pickle/") + member(b"z"), member(b"a/"),
        pax(b"a") + header(b"z/", b"\0"), member(b"a", prefix=b"p", magic=b"ustar  \0"), member(b"a", type=b"Z"),
        extension(b"L", b"a\0b") + member(b"z"), member(b"a\\b"), member(b"a/../b"), member(b""),
        extension(b"x", record(b"hdrcharset", b"BINARY") + record(b"path", b"\xc3\xa9")) + member(b"z"),
    ],
)  # fmt: skip
def test_what_programs_differ_about(data):
    assert "tar-name-ambiguous" in [rule for rule, _, _ in told(data + END)]


@pytest.mark.parametrize(
    "data",
    [
        extension(b"g", record(b"path", b"a")) + member(b"z"), extension(b"X", record(b"path", b"a")) + member(b"z"),
        extension(b"L", b"abc", padding=b"#") + member(b"z"), member(b"a", mode=b"junk"), member(b"a", type=b"S"),
        member(b"a", digits=b"\0" + b"1" * 11), header(b"d", b"5", 4) + pad(b"xxxx"), pax(b"a"),
        extension(b"x", record(b"size", b"3")) + member(b"z"), extension(b"x", b"9 path=b") + member(b"z"),
        extension(b"x", record(b"comment", b"22 hdrcharset=BINARY\n")) + member(b"z"), pax(b"a") * 20 + member(b"z"),
    ],
)  # fmt: skip
def test_what_is_malformed(data):
    with pytest.raises(Malformed):
        read(data + END)


def test_a_member_of_more_than_eight_gib_has_its_size_in_a_pax_header():
    size = 9 << 30
    data = extension(b"x", record(b"size", b"%d" % size)) + header(b"big")
    view = {0: data[:512], 512: data[512:1024], 1024: data[1024:]}

    def fetch(at, length):
        return view[at][:length] if at in view else bytes(length)

    found = list(entries(fetch, len(data) + size + 1024, 10))
    assert [(entry.name, entry.offset, entry.size) for entry in found] == [("big", 1536, size)]


def test_a_checkpoint_with_another_pickle_under_a_second_name():
    body = [member(name, b"\x80\x02K\x00.") for name in (b"storages", b"tensors", b"pickle")]
    data = b"".join(body) + pax(b"pickle") + pax(b"notes") + member(b"z") + END
    assert TorchTar().recognise(MemorySource(data))
    with pytest.raises(Malformed, match="two members of the tar"):
        drive(TorchTar(), MemorySource(data))
    other = b"".join(body) + pax(b"notes") + pax(b"pickle") + member(b"z") + END
    with pytest.raises(Malformed, match="differ about the member 'notes'"):
        drive(TorchTar(), MemorySource(other))
    # Its own members count wherever they stand.
    assert TorchTar().recognise(MemorySource(b"".join(member(b"m%d" % n) for n in range(100)) + b"".join(body) + END))


CONFIG = b"""target: nemo.collections.asr.models.EncDecCTCModel
encoder: {_target_: nemo.encoders.Conformer, labels: [a, "target", b]}
tokenizer: nemo:0123_tok.model
deep: [[{x: {? _target_ : &t os.system}}], {_target_: *t}]
"""


def named(parts):
    return [f"{part.module}.{part.name}" for part in parts if isinstance(part, ImportedName)]


def test_nemo():
    data = (
        member(b"./model_config.yaml", CONFIG) + member(b"./model_weights.ckpt") + member(b"./0123_tok.model")
        + member(b"./other.py") + END
    )  # fmt: skip
    parts = read(data)
    assert named(parts) == [
        "nemo.collections.asr.models.EncDecCTCModel", "nemo.encoders.Conformer", "os.system", "os.system",
    ]  # fmt: skip
    assert [(part.rule, part.member, part.verdict) for part in parts if isinstance(part, Finding)] == [
        ("foreign-member", "./other.py", Verdict.UNVETTED)
    ]
    assert [(part.member, part.skippable) for part in parts if isinstance(part, Nested)] == [
        ("./model_config.yaml", True), ("./model_weights.ckpt", False), ("./0123_tok.model", True),
        ("./other.py", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        b"a: [", b"\xff", b"_target_: [a.b]", b"_target_: ${x}", b"_target_: plain", b"x: !!python/tuple [1]",
        b'x: "\\UFFFFFFFF"', b"x: *absent", b"[" * 5000, b"x: " + b"y" * (1 << 20),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_understood_is_unjudged(config):
    rules = told(member(b"model_config.yaml", config) + member(b"model_weights.ckpt") + END)
    assert [rule[:2] for rule in rules] == [("nemo-config", "unjudged")]


def test_a_tag_of_python_is_a_name():
    data = member(b"model_config.yaml", b"x: !!python/object/apply:os.system [id]\n") + END
    assert named(read(data)) == ["os.system"]


def test_odd_tars_are_read_as_tarfile_reads_them_or_told():
    outcome = tar_tricks.campaign(3000, 20, torch=False)
    assert outcome.wrong == ()
    assert outcome.quiet > 150


def test_torch_reads_the_same_object():
    pytest.importorskip("torch")
    outcome = tar_tricks.campaign(1000, 21)
    assert outcome.wrong == ()
    assert outcome.torch >= 5


def test_fuzz():
    data = member(b"model_config.yaml", CONFIG) + member(b"model_weights.ckpt") + END
    hold_contract(TarArchive(), data, 9, 400)
    assert Limits().members > 3
