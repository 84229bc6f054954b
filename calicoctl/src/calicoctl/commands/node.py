"""node: run and look at the services of this host.

The services are another program, ``calico-node``; it is called as a user would call it.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from calicoctl.grammar import Group
from calicoctl.node_status import render
from libcalico.errors import CalicoError, ConfigError

#: Option → variable that calico-node reads. Source: calico-control-plane reference, section 6.6.
_VARIABLES = {
    "name": "NODENAME",
    "ip": "IP",
    "ip6": "IP6",
    "as_number": "AS",
    "ip_autodetection_method": "IP_AUTODETECTION_METHOD",
    "ip6_autodetection_method": "IP6_AUTODETECTION_METHOD",
    "backend": "CALICO_NETWORKING_BACKEND",
}


@click.group(cls=Group, examples=("calicoctl node run --ip=autodetect", "calicoctl node status"))
def node() -> None:
    """Run and inspect Calico's services on this host."""


@node.command(
    examples=(
        "ETCD_ENDPOINTS=http://10.0.0.1:2379 calicoctl node run --ip=autodetect",
        "calicoctl node run --name=host-1 --ip=10.0.0.5/24 --no-default-ippools",
    )
)
@click.option("--name", help="Name of this node  [default: the host's name]")
@click.option("--ip", help="IPv4 address for routing, autodetect or none  [default: autodetect]")
@click.option("--ip6", help="IPv6 address for routing, autodetect or none  [default: none]")
@click.option("--as", "as_number", help="AS number of this node  [default: the cluster's]")
@click.option("--ip-autodetection-method", help="first-found, interface=REGEX, cidr=CIDR, ...")
@click.option("--ip6-autodetection-method", help="The same for IPv6.")
@click.option(
    "--backend", type=click.Choice(["bird", "vxlan", "none"]), help="Routing  [default: bird]"
)
@click.option("--no-default-ippools", is_flag=True, help="Do not create pools if there are none.")
@click.option(
    "--runtime",
    type=click.Choice(["native"]),
    default="native",
    show_default=True,
    help="native: processes of this host, under a supervisor.",
)
@click.option("--foreground", is_flag=True, help="Stay with the services until they end.")
@click.option("--dryrun", is_flag=True, help="Print the command and its settings, do nothing.")
def run(**options: Any) -> None:
    """Start Calico's services on this host.

    They are Felix, the BGP agent with BIRD, and the workload server. Returns when they are ready.
    """
    settings = _settings(options)
    command = [_calico_node(), "run", *([] if options["foreground"] else ["--detach"])]
    if options["dryrun"]:
        shown = [f"{name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
        click.echo(" ".join([*shown, shlex.join(command)]))
        return
    _need_root("node run")
    sys.stdout.flush()
    os.execve(command[0], command, {**os.environ, **settings})


@node.command(examples=("calicoctl node stop",))
def stop() -> None:
    """Stop Calico's services on this host.

    Policy and routes stay in force.
    """
    _need_root("node stop")
    _exit_with(subprocess.run([_calico_node(), "stop"], check=False))


@node.command(examples=("calicoctl node status",))
def status() -> None:
    """Show whether Calico runs on this host, and its BGP sessions."""
    _need_root("node status")
    reply = subprocess.run(
        [_calico_node(), "status", "--output", "json"],
        check=False,
        capture_output=True,
        text=True,
    )
    try:
        report = json.loads(reply.stdout)
    except ValueError as error:
        raise CalicoError(reply.stderr.strip() or "calico-node gave no status") from error
    text, healthy = render(report)
    click.echo(text)
    if not healthy:
        raise click.exceptions.Exit(1)


def _settings(options: Mapping[str, Any]) -> dict[str, str]:
    settings = {
        variable: str(options[option])
        for option, variable in _VARIABLES.items()
        if options[option] is not None
    }
    if options["no_default_ippools"]:
        settings["NO_DEFAULT_POOLS"] = "true"
    return settings


def _calico_node() -> str:
    """Return the path of the calico-node program: beside this one, or on PATH."""
    beside = Path(sys.argv[0]).resolve().parent / "calico-node"
    found = str(beside) if beside.exists() else shutil.which("calico-node")
    if found is None:
        raise ConfigError(
            "calico-node is not installed here; install it with: pip install calico-node"
        )
    return found


def _need_root(command: str) -> None:
    if os.geteuid() != 0:
        raise ConfigError(f"calicoctl {command} needs root; run it with sudo")


def _exit_with(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode:
        raise click.exceptions.Exit(done.returncode)
