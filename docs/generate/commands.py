"""Reference of a program's commands, from the click commands themselves."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from generate.markdown import code, table

_WIDTH = 100


def page(name: str, command: click.Command) -> str:
    """Return the page of a program: a section for each command that does something."""
    context = click.Context(command, info_name=name)
    return "\n\n".join([f"# {name}", *_text(command, context), *_sections(command, context)]) + "\n"


def page_of_help(name: str) -> str:
    """Return the page of a program that is no click command: what it says of itself.

    Raises:
        subprocess.CalledProcessError: it does not start.
    """
    program = Path(sys.executable).parent / name
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    return f"# {name}\n\n```text\n{done.stdout}```\n"


def _sections(command: click.Command, context: click.Context) -> Iterator[str]:
    options = _options(command, context)
    if options:
        yield options
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is None or child.hidden:
            continue
        inner = click.Context(child, info_name=name, parent=context)
        yield f"## {inner.command_path}"
        yield from _text(child, inner)
        if not isinstance(child, click.Group):
            yield f"```text\n{inner.command_path} {' '.join(child.collect_usage_pieces(inner))}\n```"
        yield from _sections(child, inner)


def _text(command: click.Command, context: click.Context) -> Iterator[str]:
    text = inspect.cleandoc(command.help or "").partition("\f")[0]
    if text.strip():
        yield from _paragraphs(text)
    formatter = click.HelpFormatter(width=_WIDTH)
    command.format_epilog(context, formatter)
    epilog = textwrap.dedent(formatter.getvalue()).strip("\n")
    if epilog:
        yield f"```text\n{epilog}\n```"


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs that click would not rewrap keep their lines."""
    for paragraph in text.split("\n\n"):
        body = paragraph.removeprefix("\b").removeprefix(r"\b").strip("\n")
        if body != paragraph.strip("\n"):
            yield f"```text\n{body}\n```"
        elif body.strip():
            yield body.replace("<", "&lt;")


def _options(command: click.Command, context: click.Context) -> str:
    rows = [
        _row(parameter, context)
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option) and not _is_plain(parameter)
    ]
    return table(("option", "meaning", "default", "variable"), rows) if rows else ""


def _is_plain(option: click.Option) -> bool:
    """Whether it needs no explanation: hidden, or the help that every command has."""
    return option.hidden or "--help" in option.opts


def _row(option: click.Option, context: click.Context) -> tuple[str, str, str, str]:
    extra = option.get_help_extra(context)
    default = extra.get("default", "")
    variables = ", ".join(code(name) for name in extra.get("envvars", ()))
    names = ", ".join(code(name) for name in [*option.opts, *option.secondary_opts])
    if not option.is_flag:
        names += f" {code(option.make_metavar(context))}"
    return names, _escaped(option.help or ""), code(default), variables


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")
