"""`safeload attest verify`: the independent verifier over one file and its certificate. Judges and loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from safeload.cli.configured import Configured
from safeload.cli.exit_code import refuse, write_out
from safeload.cli.suggesting import Suggesting
from safeload.errors import NotAttested

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

EXAMPLES = """\b
Examples:
  safeload scan model.pt --attest model.attest.json
  safeload attest verify model.pt model.attest.json

\b
Exit codes:
  0   the certificate says what the independent verifier derives from the file
  1   it does not, or the file is outside what the verifier takes
  2   one of the two could not be read, or the command line is wrong
"""


@click.group(cls=Suggesting, epilog=EXAMPLES, no_args_is_help=False)
def attest() -> None:
    """Certificates of clean verdicts: `safeload scan FILE --attest OUT` writes one."""


@attest.command(cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("file", type=click.UNPROCESSED)
@click.argument("certificate", type=click.UNPROCESSED)
@click.option("--policy", "policy_file", metavar="FILE", help="The policy pack that the scan was given.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing when it holds.")
@click.pass_context
def verify(context: click.Context, file: str, certificate: str, policy_file: str | None, quiet: bool) -> None:
    """Derive from FILE what CERTIFICATE says of it.

    This is done by a reader of its own, which shares no code with the scanner.
    A certificate that holds is a second opinion on a scan, and no proof of who wrote it: sign it for that.
    """
    from safeload.attesting.reading import read_statement
    from safeload.attesting.statement import verify as verified
    from safeload.inputs import open_source
    from safeload.policy import Policy

    policy = Policy.find(policy_file)
    source = open_source(file)
    try:
        given = read_statement(certificate)
        derived = verified(source, given, policy.digest)
    except NotAttested as error:
        refuse(str(error), 1)
    finally:
        source.close()
    if not quiet:
        write_out(_text(file, derived, given), color=False)
    context.exit(0)


def _text(file: str, derived: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    """What was found to hold, in a few lines."""
    from safeload.reports import escape

    streams, storages = derived["streams"], derived["storages"]
    names = {name["name"] for stream in streams for name in stream["names"]}
    whole = "every byte, by its sha256" if len(given["subject"]) == 2 else "all but the storages' bytes"
    return (
        f"{escape.exact(file)}: the certificate holds\n"
        f"  {derived['container']}, pickles: {len(streams)}, names: {len(names)}, storages: {len(storages)}\n"
        f"  bound: {whole}\n"
    )
