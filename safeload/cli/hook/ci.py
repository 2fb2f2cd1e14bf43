"""`safeload hook ci`: judges a checkout by the rules of the commit it builds on. What action.yml calls.

Speaks to a GitHub runner through the files it names in the environment, and on its standard output. Elsewhere it prints
the report as text.
"""

from __future__ import annotations

import os
import time

import click

from safeload.cli import accepted, outfile, outputs
from safeload.cli.configured import current_folder
from safeload.cli.exit_code import write_out
from safeload.cli.hook.judging import FAIL_ON, exit_code, follows_pointer, judge_all
from safeload.cli.patterns import pattern_options, top_folder
from safeload.errors import UsageError
from safeload.inputs.selecting import Selection, selection
from safeload.inputs.walk import select
from safeload.integrations.git.base_rules import BaseRules, RulesInForce
from safeload.integrations.git.files import GitFiles
from safeload.integrations.git.repository import Repository
from safeload.integrations.runner_files import fence, set_outputs, summary
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.project.configuration import from_environment
from safeload.reports import FORMATS, Outcome, Style
from safeload.workers import Settings

EXAMPLES = """\b
Examples:
  safeload hook ci models/                                  by the rules of the commit that is checked out
  safeload hook ci --base origin/main models/               a proposed change, by the rules of its base
  safeload hook ci --base "$BASE" --report sarif=safeload.sarif --report junit=safeload.xml

\b
Exit codes:
  0   every file passes
  1   a file is refused, or the change is to configuration, baseline or policy pack
  2   a file could not be judged, nothing was scanned, or the command line is wrong
"""

_EVENTS = ("pull_request", "merge_group")


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.UNPROCESSED)
@click.option("--base", metavar="COMMIT", envvar="SAFELOAD_ACTION_BASE", help="Whose rules count.  [default: HEAD]")
@click.option(
    "--policy",
    metavar="FILE|NAME",
    envvar="SAFELOAD_ACTION_POLICY",
    help="A policy pack of the base commit, or a name.",
)
@click.option("--baseline", metavar="FILE", envvar="SAFELOAD_ACTION_BASELINE", help="A baseline of the base commit.")
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), envvar="SAFELOAD_ACTION_FAIL_ON",
    help="The least verdict that ends with exit code 1; an unjudged file always ends with 2.  [default: unvetted]",
)  # fmt: skip
@click.option(
    "--allow-empty", is_flag=True, default=None, help="Nothing to scan, or nothing but skipped files, is fine."
)
@pattern_options
@click.option("--report", "written", multiple=True, metavar="FORMAT=FILE", help="Write a report too; repeatable.")
@click.pass_context
def ci(
    context: click.Context,
    paths: tuple[str, ...],
    base: str | None,
    policy: str | None,
    baseline: str | None,
    fail_on: str | None,
    allow_empty: bool | None,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    written: tuple[str, ...],
) -> None:
    """Judge a checkout in CI, by configuration, baseline and policy of its base commit.

    PATH is a file or a folder of the checkout, by default all of it. In a step of a GitHub workflow without PATH, the
    lines of SAFELOAD_ACTION_PATHS are taken.
    """
    start = time.perf_counter()
    named = paths or tuple(filter(None, os.environ.get("SAFELOAD_ACTION_PATHS", "").splitlines())) or (".",)
    files = _files(written)
    with BaseRules(Repository(), base or _own_commit()) as held:
        set_here = from_environment(os.environ)
        rules = held.rules(
            policy or (str(set_here["policy"].value) if "policy" in set_here else None),
            baseline or (str(set_here["baseline"].value) if "baseline" in set_here else None),
        )
        given = str(fail_on or _value(rules, "fail-on") or FAIL_ON[0])
        if given not in FAIL_ON:
            raise UsageError(f"'fail-on' is {' or '.join(FAIL_ON)}, and not {given!r}")
        terms = accepted.terms(Policy.find(rules.policy), rules.baseline, (), given)._replace(baseline=rules.label)
        limits = _limits(rules)
        patterns = _patterns(rules, exclude, include)
        targets, excluded = select(named, patterns, top_folder())
        outputs.check(files, tuple(target.path for target in targets))
        found = judge_all(targets, GitFiles(), terms, limits)
    empty = _empty(allow_empty, rules)
    code = exit_code(found, terms, given, allow_empty=empty)
    if code == 0 and rules.changes:
        code = 1  # whatever --fail-on lets pass: what lets things pass is what changed
    reports = (*found.reports, *rules.changes)
    settings = Settings(terms.policy, None, limits)
    details = outputs.detailed(files, [one for one in found.reports if not follows_pointer(one)], settings)
    outcome = Outcome(
        reports,
        terms.policy.digest,
        time.perf_counter() - start,
        empty,
        details,
        outputs.explanations(files),
        current_folder(),
        excluded,
    )
    for form, path in files:
        outfile.write(str(path), form.render(outcome, Style()))
    _tell(outcome)
    accepted.explain(found, terms)
    if "GITHUB_OUTPUT" in os.environ:
        sarif = next((str(path) for form, path in files if form.name == "sarif"), "")
        set_outputs(os.environ["GITHUB_OUTPUT"], {"verdict": str(outcome.verdict), "sarif": sarif})
    context.exit(code)


def _own_commit() -> str:
    """The commit that is checked out: right for a push, where whoever pushed may change the rules."""
    event = os.environ.get("GITHUB_EVENT_NAME", "")
    # SECURITY: without a base, the rules of a proposed change would be its own.
    if event.startswith(_EVENTS) or os.environ.get("CI_MERGE_REQUEST_IID"):
        raise UsageError("this is a proposed change: --base must name the commit that it builds on")
    return "HEAD"


def _files(written: tuple[str, ...]) -> tuple[outputs.Output, ...]:
    """What --report asks for; the SARIF file of the action comes from the environment."""
    found: dict[str, outputs.Output] = {}
    known = {form.name: form for form in FORMATS}
    sarif = os.environ.get("SAFELOAD_ACTION_SARIF", "")
    for text in (*written, *([f"sarif={sarif}"] if sarif else [])):
        name, _, path = text.partition("=")
        if not path or name not in known or name in found:
            raise UsageError(f"--report takes FORMAT=FILE, each format once, and not {text!r}")
        found[name] = outputs.Output(known[name], path)
    return tuple(found.values())


def _limits(rules: RulesInForce) -> Limits:
    limits = _value(rules, "limit")
    return Limits.parse(limits if isinstance(limits, tuple) else ())


def _patterns(rules: RulesInForce, exclude: tuple[str, ...], include: tuple[str, ...]) -> Selection | None:
    """What is left out: as the command line says, then the action, then as any other setting."""
    # SECURITY: never as the checkout sets it: a change would leave out what it brings along.
    found = []
    for key, given in (("exclude", exclude), ("include", include)):
        lines = os.environ.get(f"SAFELOAD_ACTION_{key.upper()}", "").splitlines()
        value = given or tuple(line for line in lines if line.strip()) or _value(rules, key)
        found.append(value if isinstance(value, tuple) else ())
    return selection(*found)


def _value(rules: RulesInForce, key: str) -> object:
    """What the environment sets, or the configuration of the base commit; None for neither."""
    setting = from_environment(os.environ).get(key) or rules.settings.get(key)
    return None if setting is None else setting.value


def _empty(given: bool | None, rules: RulesInForce) -> bool:
    """Whether nothing to scan is fine."""
    if given is None:
        given = os.environ.get("SAFELOAD_ACTION_ALLOW_EMPTY", "") in {"true", "1"} or None
    return (_value(rules, "allow-empty") in {True, "true", "1"}) if given is None else given


def _rendered(name: str, outcome: Outcome) -> str:
    return next(form for form in FORMATS if form.name == name).render(outcome, Style())


def _tell(outcome: Outcome) -> None:
    """Prints the report; in a GitHub workflow with annotations, and a summary page."""
    text = _rendered("text", outcome)
    if os.environ.get("GITHUB_ACTIONS") != "true":
        write_out(text, color=False)
        return
    # SECURITY: the runner takes commands out of the log, and a log has names from files in it.
    word = fence()
    write_out(f"::stop-commands::{word}\n{text}::{word}::\n{_rendered('github', outcome)}", color=False)
    if "GITHUB_STEP_SUMMARY" in os.environ:
        summary(os.environ["GITHUB_STEP_SUMMARY"], _rendered("markdown", outcome))
