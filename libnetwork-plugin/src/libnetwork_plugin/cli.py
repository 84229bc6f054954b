"""libnetwork-plugin: the command line. Errors are one line on stderr and exit code 1."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal

import click

from libcalico import logs
from libcalico.errors import CalicoError


class _Group(click.Group):
    """A group whose errors of ours become one line; bugs still show their traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CalicoError as error:
            click.echo(f"libnetwork-plugin: {' '.join(str(error).split())}", err=True)
            context.exit(1)


@click.group(
    cls=_Group,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "CALICO_LIBNETWORK",
    },
)
@click.version_option(package_name="libnetwork-plugin", prog_name="libnetwork-plugin")
def main() -> None:
    """Calico as Docker's network and IPAM driver.

    \b
    Example:
      ETCD_ENDPOINTS=http://10.0.0.1:2379 libnetwork-plugin serve &
      docker network create -d calico --ipam-driver calico net1
    """


@main.command()
@click.option(
    "--socket",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("/run/docker/plugins/calico.sock"),
    show_default=True,
    help="Where Docker finds the plugin; its name without suffix is the driver's.",
)
@click.option(
    "--docker",
    "docker_url",
    default="unix:///var/run/docker.sock",
    show_default=True,
    help="Docker's API: names of networks and labels of containers come from it.",
)
@click.option(
    "--namespace", default="libnetwork", show_default=True, help="Of the workload endpoints."
)
@click.option(
    "--scope",
    type=click.Choice(["local", "global"]),
    default="local",
    show_default=True,
    help="Global: only for daemons that share a store of networks (--cluster-store).",
)
@click.option(
    "--node-name",
    default="",
    help="Of this host in Calico.  [default: NODENAME, or as calico-node chose]",
)
@click.option(
    "--mtu", default=0, help="Of containers' interfaces.  [default: as Felix found, else 1500]"
)
@click.option(
    "--interface-prefix",
    default="cali",
    show_default=True,
    help="As in Felix's InterfacePrefix.",
)
@click.option(
    "--log-level", default="info", show_default=True, help="debug, info, warning, error or none."
)
def serve(
    socket: Path,
    docker_url: str,
    namespace: str,
    scope: Literal["local", "global"],
    node_name: str,
    mtu: int,
    interface_prefix: str,
    log_level: str,
) -> None:
    """Serve until SIGTERM or SIGINT. The datastore is found through ETCD_ENDPOINTS and so on."""
    logs.configure(log_level)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # each question to Docker is told at debug
    from libnetwork_plugin import plugin  # noqa: PLC0415 - only this command needs what is heavy

    node, mtu = plugin.node_and_mtu(node_name, mtu, os.environ)
    settings = plugin.Settings(
        socket=socket,
        docker_url=docker_url,
        namespace=namespace,
        scope=scope,
        node=node,
        mtu=mtu,
        interface_prefix=interface_prefix,
    )
    plugin.serve(settings, os.environ)
