"""Everything of Calico's off this host: uninstall."""

from __future__ import annotations

import os
from typing import Any

import click

from calico_node import paths as node_paths
from calico_node.cli.start import own_program
from libcalico.errors import ConfigError, UnavailableError


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def uninstall(*, yes: bool) -> None:
    """Remove everything of Calico's from this host: processes, interfaces, routes, rules, files.

    What the operator wrote to /etc/calico stays, and so does the Node in the datastore: 'calicoctl delete
    node NAME'. IP forwarding stays as it is.
    """
    from calico_node.supervisor.apply import Supervisor  # noqa: PLC0415 - only this command needs it
    from calico_node.uninstall import apply  # noqa: PLC0415 - as above

    paths = node_paths.from_environ(os.environ)
    supervisor = Supervisor(paths)
    _refuse_foreign_supervisor(supervisor)
    found = apply.find(paths, own_program())
    lines = found.lines()
    if lines:
        click.echo("\n".join(["This removes:", *(f"  {line}" for line in lines)]))
        if not yes:
            click.confirm("Workloads lose their network. Remove all this?", abort=True)
        supervisor.stop()
        apply.remove(found)
        click.echo("Removed")
    plugins = apply.remove_plugins()
    for sentence in plugins or ([] if lines else ["Nothing of Calico is on this host"]):
        click.echo(sentence)


def _refuse_foreign_supervisor(supervisor: Any) -> None:
    """Refuse when the services run, but where we cannot end them for good: in a container."""
    if supervisor.pid() is not None:
        return
    try:
        supervisor.states()
    except UnavailableError:
        return
    raise ConfigError("calico-node runs in a container; stop it first: calicoctl node stop")
