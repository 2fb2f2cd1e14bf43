"""`safeload help [TOPIC]`: short plain texts, shipped with the package, for a reader without the docs at hand.

What can be computed (limits, report formats) is; the texts themselves are in `text/help_text.py`. Judges nothing.
"""

from __future__ import annotations

import click

from safeload.cli.exit_code import write_out
from safeload.cli.suggesting import closest

EXAMPLES = """\b
Examples:
  safeload help                  the list of topics
  safeload help verdicts         one of them
  safeload help scan             the same as safeload scan --help
"""


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("topic", required=False, metavar="[TOPIC]")
@click.pass_context
def help(context: click.Context, topic: str | None) -> None:
    """Explain a topic, or list the topics there are. A command's name shows the help of that command."""
    from safeload.cli.text.help_text import TOPICS, text_of

    if topic is None:
        write_out(listing({name: line for name, (line, _) in TOPICS.items()}), color=False)
        context.exit(0)
    if topic in TOPICS:
        write_out(text_of(topic), color=False)
        context.exit(0)
    group = context.find_root().command
    names = group.list_commands(context) if isinstance(group, click.Group) else []
    if isinstance(group, click.Group) and topic in names:
        command = group.get_command(context, topic)
        if command is not None:
            with click.Context(command, info_name=topic, parent=context.parent) as own:
                write_out(command.get_help(own) + "\n", color=False)
            context.exit(0)
    message = f"No such topic or command {topic!r}."
    if close := closest(topic, [*TOPICS, *names]):
        message += f" Did you mean {' or '.join(map(repr, close))}?"
    raise click.UsageError(message, context)


def listing(topics: dict[str, str]) -> str:
    """The topics, a line each, and how to read one."""
    width = max(map(len, topics))
    lines = [f"  {name:{width}}  {line}" for name, line in topics.items()]
    return (
        "\n".join(["Topics:", *lines, "", "safeload help TOPIC shows one; safeload COMMAND --help, a command."]) + "\n"
    )
