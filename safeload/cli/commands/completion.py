"""`safeload completion`: prints what a shell needs to complete commands, options and file names.

The shell then asks safeload itself (`_SAFELOAD_COMPLETE`), through click's own mechanism. Nothing is judged or opened.
"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete
from click.shell_completion import add_completion_class as add

from safeload.cli.exit_code import write_out

VARIABLE = "_SAFELOAD_COMPLETE"

INSTALL = {
    "bash": "safeload completion bash > ~/.local/share/bash-completion/completions/safeload",
    "zsh": "echo 'eval \"$(safeload completion zsh)\"' >> ~/.zshrc",
    "fish": "safeload completion fish > ~/.config/fish/completions/safeload.fish",
}
"""What installs it for one user, for good; the next shell that starts has it."""

EXAMPLES = f"""\b
Examples:
  source <(safeload completion bash)     for this shell only
  {INSTALL["bash"]}
  {INSTALL["zsh"]}
  {INSTALL["fish"]}
"""


class OrFiles(ShellComplete):
    """Where nothing better is known, the names of files: what most arguments of safeload are."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See click; `args` are the whole words before the one to complete."""
        found = super().get_completions(args, incomplete)
        if not found and args and not incomplete.startswith("-"):
            return [CompletionItem(incomplete, type="file")]
        return found


class Bash(OrFiles, BashComplete):
    """bash 4.4 or newer."""


class Zsh(OrFiles, ZshComplete):
    """zsh."""


class Fish(OrFiles, FishComplete):
    """fish."""


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def register() -> None:
    """Has click use these classes when a shell asks."""
    for name, shell in SHELLS.items():
        add(shell, name)


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, options and file names of safeload."""
    made = SHELLS[shell](context.find_root().command, {}, "safeload", VARIABLE)
    # Not `source()`: bash's starts a bash to ask for its version, which is nothing that a printed text depends on.
    script = made.source_template % made.source_vars()
    write_out(f"# Install it: {INSTALL[shell]}\n{script.strip()}\n", color=False)
    context.exit(0)
