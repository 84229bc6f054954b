"""Groups of commands in which the name of a thing comes before what is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from calicoctl.grammar import Group


class SubjectFirst(Group):
    """A group that takes ``NAME COMMAND ...`` as ``COMMAND NAME ...``.

    Args:
        after: the commands that may come after the name.
    """

    def __init__(self, *args: Any, after: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._after = after

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in front."""
        known = self.list_commands(ctx)
        if len(args) > 1 and args[0] not in known and args[1] in self._after:
            args = [args[1], args[0], *args[2:]]
        if (
            len(args) == 1
            and not ctx.resilient_parsing
            and args[0] not in (*known, *ctx.help_option_names)
        ):
            raise click.UsageError(
                f"{args[0]!r} is no command: there are {', '.join(known)};"
                f" after a name: {', '.join(self._after)}",
                ctx,
            )
        return super().parse_args(ctx, args)
