"""What the commands have in common: help with examples, and the options that many of them take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

Callback = Callable[..., Any]


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
    """A group of such commands; without arguments it prints its help."""

    command_class: type[click.Command] | None = Command
    group_class: type[click.Group | type] | None = type

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; no arguments at all are a question."""
        if not args:
            click.echo(ctx.get_help())
            ctx.exit(0)
        return super().parse_args(ctx, args)

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


config = click.option(
    "-c",
    "--config",
    metavar="FILE",
    help="Datastore settings in place of /etc/calico/calicoctl.cfg.",
)
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
