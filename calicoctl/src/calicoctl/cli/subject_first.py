"""Groups of commands in which the name of a thing comes before what is done with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from calicoctl.grammar import Group

_NAMED = "calicoctl.subject"


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
        named = bool(args) and args[0] not in (*known, *ctx.help_option_names)
        if named and len(args) > 1 and args[1] in self._after:
            args = [args[1], args[0], *args[2:]]
        elif named and len(args) == 1:
            self._only_named(ctx, args[0])
        elif named and not args[0].startswith("-") and not ctx.resilient_parsing:
            self._refuse(ctx, args[1] if args[1][:1] != "-" else args[0])
        return super().parse_args(ctx, args)

    def _only_named(self, ctx: click.Context, name: str) -> None:
        """Note that a shell asks what can come after a name; refuse a call that stops there."""
        ctx.meta[_NAMED] = True
        if not ctx.resilient_parsing:
            self._refuse(ctx, name)

    def _refuse(self, ctx: click.Context, word: str) -> NoReturn:
        raise click.UsageError(
            f"{word!r} is no command: there are {', '.join(self.list_commands(ctx))};"
            f" after a name: {', '.join(self._after)}",
            ctx,
        )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands: after a name, those that may come there."""
        found = super().shell_complete(ctx, incomplete)
        if not ctx.meta.get(_NAMED):
            return found
        return [item for item in found if item.value in self._after]
