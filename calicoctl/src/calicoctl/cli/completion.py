"""completion: the script that completes calicoctl's words in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from calicoctl.grammar import Command

_SHELLS = ("bash", "zsh", "fish")
#: The variable that the script sets when it asks for words.
VARIABLE = "_CALICOCTL_COMPLETE"


@click.command(
    cls=Command,
    examples=(
        "source <(calicoctl completion bash)",
        "calicoctl completion zsh > ~/.zfunc/_calicoctl",
        "calicoctl completion fish > ~/.config/fish/completions/calicoctl.fish",
    ),
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and kinds in a shell."""
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"no completion for {shell}")
    program = click.get_current_context().find_root().command
    click.echo(made(program, {}, "calicoctl", VARIABLE).source())
