"""Configuration: where it is looked for, what it may say, and which file is never read."""

from __future__ import annotations

from pathlib import Path

import pytest

from safeload.errors import UsageError
from safeload.project import configuration
from safeload.project.configuration import Setting, files_of, find, from_environment, in_folder, is_own, read


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a folder in it, and a model folder below that."""
    place = tmp_path / "project"
    (place / ".git").mkdir(parents=True)
    (place / "sub" / "models").mkdir(parents=True)
    return place


def values(folder: Path) -> dict[str, object]:
    return {key: setting.value for key, setting in find(str(folder)).settings.items()}


def test_every_key_and_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "safeload.toml"
    path.write_text(
        'policy = "packs/team.toml"\n# a remark\n"fail-on" = "dangerous"\nallow-empty = true\njobs = 4\n'
        'timeout = 2.5\nlimit = ["opcodes=1m", "findings=9"]\nformat = "json"\nbaseline = "b.toml"\ncolor = "never"\n'
        'exclude = ["docs/", "*.csv"]\ninclude = "*.pt"\n'
    )
    found = read(str(path))
    assert found is not None
    assert dict(found.settings) == {
        "policy": Setting(str(tmp_path / "packs/team.toml"), f"{path}:1"),
        "fail-on": Setting("dangerous", f"{path}:3"),
        "allow-empty": Setting(True, f"{path}:4"),
        "jobs": Setting(4, f"{path}:5"),
        "timeout": Setting(2.5, f"{path}:6"),
        "limit": Setting(("opcodes=1m", "findings=9"), f"{path}:7"),
        "format": Setting(("json",), f"{path}:8"),
        "baseline": Setting(str(tmp_path / "b.toml"), f"{path}:9"),
        "color": Setting("never", f"{path}:10"),
        "exclude": Setting(("docs/", "*.csv"), f"{path}:11"),
        "include": Setting(("*.pt",), f"{path}:12"),
    }
    assert found.settings.keys() == configuration.KEYS.keys()
    assert files_of(found) == (str(path), str(tmp_path / "packs/team.toml"), str(tmp_path / "b.toml"))


def test_a_policy_by_name_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "safeload.toml"
    path.write_text('policy = "strict"\n')
    found = in_folder(str(tmp_path))
    assert found.settings["policy"].value == "strict"
    assert files_of(found) == (str(path),)


def test_pyproject(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[project]\nname = "safeload-user"\njobs = 1\n\n[tool.safeload]\njobs = 3\n\n[tool.x]\njobs = 9\n')
    assert dict(in_folder(str(tmp_path)).settings) == {"jobs": Setting(3, f"{path}:6")}
    path.write_text("[tool.other]\njobs = 3\n")
    assert read(str(path)) is None
    path.write_text("[tool]\nsafeload = 3\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml:1: write 'tool\.safeload' as a table"):
        in_folder(str(tmp_path))


def test_two_configurations_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "safeload.toml").write_text("jobs = 1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.safeload]\njobs = 1\n")
    with pytest.raises(UsageError, match=r"both configure safeload: keep one"):
        find(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nfail_on = 1\n", "2: unknown key 'fail_on'; did you mean 'fail-on'?"),
        ("zzz = 1\n", "1: unknown key 'zzz'; the keys are policy, baseline, fail-on"),
        ("[safeload]\njobs = 1\n", "1: unknown key 'safeload'"),
        ("jobs = true\n", "1: 'jobs' must be a whole number"),
        ("jobs = 1.5\n", "1: 'jobs' must be a whole number"),
        ('\n\njobs = "4"\n', "3: 'jobs' must be a whole number"),
        ("timeout = '1'\n", "1: 'timeout' must be a number of seconds"),
        ("allow-empty = 1\n", "1: 'allow-empty' must be true or false"),
        ("policy = ''\n", "1: 'policy' must be a text, and not empty"),
        ("limit = ['a', 1]\n", "1: 'limit' must be a text or a list of texts, and not empty"),
        ("fail-on = ['a']\n", "1: 'fail-on' must be a text, and not empty"),
        ("a\n", "1: "),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "safeload.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        find(str(tmp_path))
    assert str(caught.value).startswith(f"{path}:{message}")


def test_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "safeload.toml").write_bytes(b"jobs = 1\n# \xff\n")
    with pytest.raises(UsageError, match=r"safeload\.toml:2: a configuration is UTF-8 text"):
        find(str(tmp_path))


def test_the_nearest_up_to_the_root_of_the_repository(project: Path) -> None:
    (project.parent / "safeload.toml").write_text("jobs = 1\n")
    assert values(project / "sub") == {}  # what lies above the repository is not the project's
    (project / "pyproject.toml").write_text("[tool.safeload]\njobs = 2\n")
    (project / "sub" / "pyproject.toml").write_text('[project]\nname = "safeload-sub"\n')
    assert values(project / "sub" / "models") == {"jobs": 2}
    (project / "sub" / "safeload.toml").write_text("jobs = 3\n")
    assert values(project / "sub" / "models") == {"jobs": 3}
    assert values(project) == {"jobs": 2}


def test_without_a_repository_only_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "safeload.toml").write_text("jobs = 1\n")
    (tmp_path / "sub").mkdir()
    assert values(tmp_path / "sub") == {}
    assert values(tmp_path) == {"jobs": 1}


def test_a_repository_within_ends_the_search(project: Path) -> None:
    (project / "safeload.toml").write_text("jobs = 1\n")
    (project / "sub" / ".git").write_text("gitdir: elsewhere\n")
    assert values(project / "sub" / "models") == {}


def test_environment() -> None:
    given = {"SAFELOAD_FAIL_ON": "dangerous", "SAFELOAD_LIMIT": "a=1 b=2", "SAFELOAD_JOBS": "", "SAFELOAD_RUN": "{}"}
    assert from_environment(given) == {
        "fail-on": Setting("dangerous", "SAFELOAD_FAIL_ON"),
        "limit": Setting(("a=1", "b=2"), "SAFELOAD_LIMIT"),
    }


@pytest.mark.parametrize(("text", "value"), [("1", True), ("True", True), ("on", True), ("0", False), ("no", False)])
def test_flags_of_the_environment(text: str, value: bool) -> None:
    assert from_environment({"SAFELOAD_ALLOW_EMPTY": text})["allow-empty"].value is value
    with pytest.raises(UsageError, match="SAFELOAD_ALLOW_EMPTY: 'allow-empty' must be true or false, not 'maybe'"):
        from_environment({"SAFELOAD_ALLOW_EMPTY": "maybe"})


class TestOwn:
    """Who may say how a scan is done."""

    def test_what_lies_outside_may(self, project: Path) -> None:
        assert is_own(str(project / "b.toml"), [str(project / "sub")], str(project))
        assert is_own(str(project / "b.toml"), ["-", "none"], "/")

    def test_a_folder_below_brings_nothing(self, project: Path) -> None:
        models = project / "sub" / "models"
        assert not is_own(str(models / "b.toml"), [str(models)], str(project))
        assert not is_own(str(models / "deep" / "b.toml"), [str(models)], str(project))

    def test_the_folder_you_stand_in_may_in_a_repository(self, project: Path) -> None:
        sub = project / "sub"
        assert is_own(str(project / "b.toml"), [str(project)], str(project))
        assert is_own(str(sub / "b.toml"), [str(sub)], str(sub))
        assert is_own(str(sub / "b.toml"), [str(project)], str(sub))

    def test_a_downloaded_folder_may_not_though_you_stand_in_it(self, tmp_path: Path) -> None:
        assert not is_own(str(tmp_path / "b.toml"), [str(tmp_path)], str(tmp_path))

    def test_a_repository_inside_is_another_project(self, project: Path) -> None:
        (project / "sub" / ".git").mkdir()
        assert not is_own(str(project / "sub" / "b.toml"), [str(project)], str(project))

    def test_links_are_followed(self, project: Path) -> None:
        (project / "link").symlink_to(project / "sub" / "models")
        assert not is_own(str(project / "sub/models/b.toml"), [str(project / "link")], str(project))
        assert not is_own(str(project / "link" / "b.toml"), [str(project / "sub/models")], str(project))
        (project / "sub" / "models" / "b.toml").write_text("")
        (project / "b.toml").symlink_to(project / "sub/models/b.toml")
        assert not is_own(str(project / "b.toml"), [str(project / "sub")], str(project))
