"""What runs on this host, and with whom it speaks: status."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator

import click

from calico_node import paths as node_paths
from calico_node.paths import Paths
from libcalico.errors import CalicoError, UnavailableError


@click.command()
@click.option(
    "--output", "-o", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def status(output: str) -> None:
    """Show the state of each process, with its exit code, and the BGP sessions."""
    from calico_node.supervisor import apply, model  # noqa: PLC0415 - only this command needs it

    paths = node_paths.from_environ(os.environ)
    try:
        states = apply.Supervisor(paths).states()
    except UnavailableError:
        states = ()
    bgp = asyncio.run(_bgp_sessions(paths))
    if output == "json":
        services = {state.name: state.state for state in states}
        click.echo(json.dumps({"services": services, "bgp": bgp}))
    elif not states:
        raise UnavailableError("calico-node is not running; start it with 'calico-node run'")
    else:
        click.echo(model.table(states))
        for line in _session_lines(bgp):
            click.echo(line)
    if not states or not all(state.is_running for state in states):
        raise click.exceptions.Exit(1)


async def _bgp_sessions(paths: Paths) -> dict[str, list[dict[str, str]]] | None:
    from calico_node.bgp import control, readiness  # noqa: PLC0415 - only this command needs it

    try:
        return readiness.peers(await control.show_protocols(paths.bird_socket))
    except CalicoError:
        return None


def _session_lines(bgp: dict[str, list[dict[str, str]]] | None) -> Iterator[str]:
    for family, peers in (bgp or {}).items():
        for peer in peers:
            yield f"bgp {family} {peer['type']} {peer['address']} {peer['info'] or peer['state']}"
