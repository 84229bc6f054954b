"""What the commands have in common: help with examples, and the options that many of them take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any, cast

import click

Callback = Callable[..., Any]
#: More letters than the first sentence of a help has.
_SENTENCE = 300


class Command(click.Command):
    """A command whose help ends with examples, one in a line."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what click writes."""
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    """A group of such commands; without arguments it prints its help.

    Args:
        lazy: command → ``module:attribute``, imported when the command is called or described.
    """

    command_class: type[click.Command] | None = Command
    group_class: type[click.Group | type] | None = type

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        lazy: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now if it has not been."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; a word that is nearly a command is answered with that command."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            import difflib  # noqa: PLC0415 - only errors pay for it

            known = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], known, n=1)
            raise click.NoSuchCommand(args[0], possibilities=near, ctx=ctx) from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; no arguments at all are a question."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit(0)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their first sentences, which click would cut off at the line's end."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(_SENTENCE))
            for name, command in found
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then what click writes."""
        write_examples(formatter, self.examples)
        super().format_epilog(ctx, formatter)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write the examples as they are; they are to be copied, so nothing is wrapped."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


@dataclass(frozen=True, slots=True)
class Input:
    """Which manifests a command is to read, and the namespace of those that name none."""

    filename: str | None
    recursive: bool
    skip_empty: bool
    namespace: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the datastore.

    Attributes:
        config: the file named by ``-c``; None is the usual one, or the environment.
        any_version: work on a cluster of another version as well.
    """

    config: str | None = None
    any_version: bool = False


_ANY_VERSION = click.option(
    "--allow-version-mismatch", is_flag=True, help="Work on a cluster of another version as well."
)
_CONTEXT = click.option(
    "--context",
    metavar="NAME",
    help="Of a kubeconfig file; a datastore that is etcd has none, so this changes nothing.",
)
_CONFIG = click.option(
    "-c",
    "--config",
    metavar="FILE",
    help="Datastore settings in place of /etc/calico/calicoctl.cfg.",
)
_ALLOWED = "calicoctl.any_version"


def accepts_access(callback: Callback) -> Callback:
    """Give the program those options of :func:`access` that may also come before the command."""

    @wraps(callback)
    def remembering(context: str | None, allow_version_mismatch: bool, **others: Any) -> Any:
        del context
        click.get_current_context().find_root().meta[_ALLOWED] = allow_version_mismatch
        return callback(**others)

    return cast(Callback, _CONTEXT(_ANY_VERSION(remembering)))


def access(callback: Callback) -> Callback:
    """Give a command the options of :class:`Access`, as its argument ``connection``."""

    @wraps(callback)
    def with_access(
        *args: Any,
        config: str | None,
        context: str | None,
        allow_version_mismatch: bool,
        **others: Any,
    ) -> Any:
        del context
        anyhow = allow_version_mismatch or click.get_current_context().meta.get(_ALLOWED, False)
        return callback(*args, connection=Access(config, anyhow), **others)

    return cast(Callback, _CONFIG(_CONTEXT(_ANY_VERSION(with_access))))


def _complete_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    del ctx, param
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds

    return [word for word, _ in kinds.words() if word.startswith(incomplete.lower())]


def kind_argument(*, required: bool = True) -> Callable[[Callback], Callback]:
    """Give a command the argument ``kind``; shells complete it."""
    return click.argument("kind", required=required, shell_complete=_complete_kind)


namespace = click.option(
    "-n", "--namespace", metavar="NS", help="Namespace of namespaced resources.  [default: default]"
)
_INPUT = (
    click.option("-f", "--filename", metavar="FILE", help="A file, a folder, or - for stdin."),
    click.option("-R", "--recursive", is_flag=True, help="Read the folder's folders as well."),
    click.option("--skip-empty", is_flag=True, help="No resources in the input is no error."),
    namespace,
)


def takes_input(callback: Callback) -> Callback:
    """Give a command the options of :class:`Input`, as its first argument."""

    @wraps(callback)
    def with_input(
        filename: str | None,
        recursive: bool,
        skip_empty: bool,
        namespace: str | None,
        **others: Any,
    ) -> Any:
        return callback(Input(filename, recursive, skip_empty, namespace), **others)

    decorated: Callback = with_input
    for option in reversed(_INPUT):
        decorated = option(decorated)
    return decorated


@dataclass(frozen=True, slots=True)
class Manner:
    """How a batch is written: in one transaction, or not at all but only told."""

    dry_run: bool = False
    atomic: bool = False


#: One after the other.
WRITTEN = Manner()
_DRY_RUN = click.option(
    "--dry-run",
    is_flag=True,
    help="Write nothing; show what would be created, changed (by field) or stay as it is.",
)
_ATOMIC = click.option(
    "--atomic", is_flag=True, help="Write all resources in one transaction, or none of them."
)


def takes_manner(callback: Callback) -> Callback:
    """Give a command the options of :class:`Manner`, as its argument ``manner``."""

    @wraps(callback)
    def with_manner(*args: Any, dry_run: bool, atomic: bool, **others: Any) -> Any:
        return callback(*args, manner=Manner(dry_run, atomic), **others)

    return cast(Callback, _DRY_RUN(_ATOMIC(with_manner)))
