"""Commands under the names that they had in the first years; they say what to use now.

Options that have no meaning any more are accepted, so that scripts go on. Source: python-era reference,
sections 1.10 and 1.11.
"""

from __future__ import annotations

import click

from calicoctl.commands import node
from calicoctl.docker_node import LOG_DIR
from calicoctl.grammar import Command

_RUNTIME = click.option("--runtime", hidden=True, help="Found by itself.")
_BACKEND = click.option("--backend", hidden=True, help="Found by itself.")


@click.command(
    cls=Command,
    hidden=True,
    deprecated="Use calicoctl node status.",
    examples=("calicoctl status",),
)
@_RUNTIME
@_BACKEND
@click.pass_context
def status(context: click.Context, runtime: str | None, backend: str | None) -> None:
    """Show whether Calico runs on this host, and its BGP sessions."""
    del runtime, backend
    context.invoke(node.status)


@click.command(
    cls=Command, hidden=True, deprecated="Use calicoctl node diags.", examples=("calicoctl diags",)
)
@click.option("--log-dir", default=LOG_DIR, show_default=True, help="Logs to put in, too.")
@click.pass_context
def diags(context: click.Context, log_dir: str) -> None:
    """Collect what this host says in one archive."""
    context.invoke(node.diags, log_dir=log_dir)


@click.command(
    cls=Command,
    hidden=True,
    deprecated="Use calicoctl node checksystem.",
    examples=("calicoctl checksystem",),
)
@click.option("--fix", is_flag=True, hidden=True, help="There is nothing to fix.")
@click.option("--libnetwork", is_flag=True, hidden=True, help="Docker is asked when it is used.")
@_RUNTIME
@click.pass_context
def checksystem(context: click.Context, fix: bool, libnetwork: bool, runtime: str | None) -> None:
    """Check that this host's kernel has what Calico needs."""
    del fix, libnetwork, runtime
    context.invoke(node.checksystem)
