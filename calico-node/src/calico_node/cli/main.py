"""The command line of a node's services. Errors are one line on stderr and exit code 1."""

from __future__ import annotations

import os
from importlib.metadata import version as installed_version
from typing import Any

import click

from calico_node.cli import agents, health, start, status, uninstall
from libcalico import logs
from libcalico.errors import CalicoError


class _Group(click.Group):
    """A group whose errors of ours become one line; bugs still show their traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CalicoError as error:
            click.echo(f"calico-node: {' '.join(str(error).split())}", err=True)
            context.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--log-level",
    default=lambda: os.environ.get("CALICO_STARTUP_LOGLEVEL") or "info",
    help="debug, info, warning, error or none  [default: CALICO_STARTUP_LOGLEVEL, else info]",
)
def main(log_level: str) -> None:
    """Run Calico's services on this host.

    The datastore is found through the environment: ETCD_ENDPOINTS and so on.

    \b
    Examples:
      ETCD_ENDPOINTS=http://10.0.0.1:2379 calico-node run --detach
      calico-node status
      calico-node health --felix-ready --bird-ready
      calico-node stop
    """
    logs.configure(log_level)


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(installed_version("calico-node"))


for command in (
    start.startup,
    start.run,
    start.wait,
    start.stop,
    uninstall.uninstall,
    status.status,
    agents.felix,
    agents.bgp,
    agents.workloads,
    health.health,
    version,
):
    main.add_command(command)
