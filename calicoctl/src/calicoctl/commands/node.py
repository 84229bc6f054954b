"""node: run and look at the services of this host.

The services are another program, ``calico-node``, on this host or in a container; it is called as a
user would call it.
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

from calicoctl import docker_node, node_container
from calicoctl.grammar import Access, Group, access
from calicoctl.node_status import render
from calicoctl.privileges import require_root
from libcalico import process
from libcalico.datastore import config
from libcalico.errors import CalicoError, ConfigError, ValidationError
from libcalico.net.addresses import parse_interface

#: Option → variable that calico-node reads. Source: calico-control-plane reference, section 6.6.
_VARIABLES = {
    "name": "NODENAME",
    "ip": "IP",
    "ip6": "IP6",
    "as_number": "AS",
    "ip_autodetection_method": "IP_AUTODETECTION_METHOD",
    "ip6_autodetection_method": "IP6_AUTODETECTION_METHOD",
    "backend": "CALICO_NETWORKING_BACKEND",
    "felix_config": docker_node.FELIX_CONFIG,
}

_TIMEOUT_S = 60.0
#: What may be said in place of an address.
_WORDS = frozenset({"", "autodetect", "none"})


class _Node(Group):
    """In the first years ``calicoctl node --ip=...`` started the node; it still does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; options without a command are those of run."""
        if args and args[0].startswith("-") and args[0] not in ctx.help_option_names:
            click.echo("calicoctl node is deprecated, use calicoctl node run", err=True)
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Node,
    lazy={
        "bgp": "calicoctl.cli.imperative:node_bgp",
        "remove": "calicoctl.cli.imperative:node_remove",
        "show": "calicoctl.cli.imperative:node_show",
    },
    examples=("calicoctl node run --ip=autodetect", "calicoctl node status"),
)
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
    type=click.Choice(["docker", "native"]),
    default="docker",
    show_default=True,
    help="docker: the container calico-node. native: processes of this host, under a supervisor.",
)
@click.option(
    "--node-image", default=docker_node.IMAGE, show_default=True, help="Image of the container."
)
@click.option(
    "--log-dir", default=docker_node.LOG_DIR, show_default=True, help="The container's logs, here."
)
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    help="Datastore settings for the services, in place of ETCD_... in the environment.",
)
@click.option(
    "--felix-config",
    type=click.Path(exists=True, dir_okay=False, resolve_path=True),
    metavar="FILE",
    help="Felix's settings on this host, in place of /etc/calico/felix.cfg.",
)
@click.option("--libnetwork", is_flag=True, help="Serve as Docker's network and IPAM driver, too.")
@click.option(
    "--etcd",
    type=click.Choice(["embedded"]),
    help="embedded: run an etcd of this host's own, for a trial on one host (native only).",
)
@click.option(
    "--timeout", "timeout_s", type=float, help="Seconds to wait until ready.  [default: 60]"
)
@click.option(
    *("--foreground", "--init-system"), is_flag=True, help="Stay with the services until they end."
)
@click.option("--detach", type=bool, hidden=True, help="In the first years: not --foreground.")
@click.option("--no-pull", is_flag=True, hidden=True, help="Docker has the image, or gets it.")
@click.option("--dryrun", is_flag=True, help="Print the command and its settings, do nothing.")
def run(**options: Any) -> None:
    """Start Calico's services on this host.

    They are Felix, the BGP agent with BIRD, and the workload server. Returns when they are ready.
    """
    settings = _settings(options)
    if options["detach"] is False:
        options["foreground"] = True
    environ = _environ(options["config"])
    if options["runtime"] == "docker":
        _run_container(options, settings, environ)
    else:
        _run_native(options, settings, environ)


def _environ(file: str | None) -> Mapping[str, str]:
    """Return the environment for the services: ours, with the datastore's settings of a file.

    Raises:
        ConfigError: the file cannot be used; or the services would read another one in its place.
    """
    if file is None:
        return os.environ
    environ = config.as_environment(os.environ, Path(file))
    default = config.DEFAULT_FILE
    if default.is_file() and not default.samefile(file):
        raise ConfigError(
            f"{default} exists, and the services read that; put the settings of {file} there"
        )
    return environ


def _run_container(
    options: Mapping[str, Any], settings: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    if options["etcd"]:
        raise click.UsageError("--etcd=embedded needs --runtime=native")
    command = docker_node.command(
        docker_node.NodeContainer(
            settings=settings,
            environ=environ,
            image=options["node_image"],
            log_dir=options["log_dir"],
            foreground=options["foreground"],
            libnetwork=options["libnetwork"],
        )
    )
    if options["dryrun"]:
        click.echo(shlex.join(["docker", *command]))
        return
    node_container.require(options["node_image"])
    # The container's supervisor answers outside of it, too: it is replaced by the new container.
    if _runs_natively() and not node_container.is_running():
        raise ConfigError(
            "Calico's services run on this host already, outside Docker; stop them first:"
            " calicoctl node stop"
        )
    if options["foreground"]:
        node_container.become(command, environ)
    node_container.start(command, environ, timeout_s=options["timeout_s"] or _TIMEOUT_S)
    click.echo("Calico node started successfully")


def _run_native(
    options: Mapping[str, Any], settings: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    command = [_calico_node(), "run"]
    if not options["foreground"]:
        command.append("--detach")
    if options["timeout_s"] is not None:
        command.append(f"--timeout={options['timeout_s']:g}")
    if options["etcd"]:
        command.append(f"--etcd={options['etcd']}")
    if options["libnetwork"]:
        settings = {**settings, "CALICO_LIBNETWORK_ENABLED": "true"}
    if options["dryrun"]:
        shown = [f"{name}={shlex.quote(value)}" for name, value in sorted(settings.items())]
        click.echo(" ".join([*shown, shlex.join(command)]))
        return
    require_root("node run --runtime=native")
    if node_container.is_running():
        raise ConfigError(
            "calico/node runs in Docker on this host already; stop it first: calicoctl node stop"
        )
    sys.stdout.flush()
    os.execve(command[0], command, {**environ, **settings})


@node.command(examples=("calicoctl node stop", "calicoctl node stop --force"))
@click.option("--force", is_flag=True, help="Although workloads are on this host.")
@access
def stop(force: bool, connection: Access) -> None:
    """Stop Calico's services on this host.

    Policy and routes stay in force, as they are: what is changed meanwhile has no effect here. While
    workloads are on this host, that needs --force.
    """
    in_docker = node_container.state() is not None
    if not in_docker:
        require_root("node stop")
    if not force and (node_container.is_running() if in_docker else _runs_natively()):
        _require_no_workloads(connection)
    if in_docker:
        ran = node_container.stop()
        click.echo("Calico node stopped" if ran else "Calico node is not running")
        return
    _exit_with(subprocess.run([_calico_node(), "stop"], check=False))


def _require_no_workloads(connection: Access) -> None:
    """Refuse to go on while the datastore has workload endpoints of this host.

    A datastore that does not answer keeps nobody from stopping; that is told.
    """
    from calicoctl.commands import bgp, endpoints  # noqa: PLC0415 - load the client
    from calicoctl.session import connected  # noqa: PLC0415

    name = bgp.this_node()
    try:
        with connected(connection) as client:
            count = len(endpoints.matching(client, endpoints.Filter(host=name)))
    except CalicoError as error:
        click.echo(f"Whether workloads are on this host is not known: {error}", err=True)
        return
    if count:
        raise ConfigError(
            f"{name} has {count} workload endpoint(s), whose policy and routes would no longer be kept"
            " up to date; stop all the same: calicoctl node stop --force"
        )


@node.command(examples=("calicoctl node status",))
def status() -> None:
    """Show whether Calico runs on this host, and its BGP sessions."""
    if node_container.is_running():
        said, complaint = node_container.report(), ""
    else:
        require_root("node status")
        said, complaint = _native_report()
    try:
        report = json.loads(said)
    except ValueError as error:
        raise CalicoError(complaint or "calico-node gave no status") from error
    text, healthy = render(report)
    click.echo(text)
    if not healthy:
        raise click.exceptions.Exit(1)


@node.command(examples=("calicoctl node diags", "calicoctl node diags --log-dir=/var/log/calico"))
@click.option(
    "--log-dir", default=docker_node.LOG_DIR, show_default=True, help="Logs to put in, too."
)
def diags(log_dir: str) -> None:
    """Collect what this host says of routes, policy, sockets and logs in one archive.

    What a tool cannot say is recorded in its place. The archive holds addresses and logs: look at it
    before you give it away.
    """
    from calicoctl import host  # noqa: PLC0415 - only this command needs it

    require_root("node diags")
    texts = {}
    for file, command in host.COMMANDS.items():
        click.echo(f"Dumping {file}")
        texts[file] = host.said_by(command)
    texts["calico-node-status.json"] = _native_report()[0]
    place = host.bundle("diags", texts, Path(log_dir))
    click.echo(f"\nDiags saved to {place}")


@node.command(
    examples=(
        "calicoctl node checksystem",
        "calicoctl node checksystem -f /boot/config-6.1.0-18-amd64",
    )
)
@click.option(
    "-f",
    "--kernel-config",
    metavar="FILE",
    help="The kernel's configuration, where it is not found.",
)
def checksystem(kernel_config: str | None) -> None:
    """Check that this host's kernel has what Calico needs."""
    from calicoctl import host, systemchecks  # noqa: PLC0415 - only this command needs them

    lines, good = systemchecks.check(systemchecks.kernel(*host.kernel_texts(kernel_config)))
    click.echo("\n".join(lines))
    if not good:
        raise click.exceptions.Exit(1)


def _settings(options: Mapping[str, Any]) -> dict[str, str]:
    """Return what the services are told: checked here, where who typed it sees what is wrong.

    Raises:
        ValidationError: an address or an AS number is none.
    """
    settings = {
        variable: str(options[option])
        for option, variable in _VARIABLES.items()
        if options[option] is not None
    }
    if options["no_default_ippools"]:
        settings["NO_DEFAULT_POOLS"] = "true"
    for variable, version in (("IP", 4), ("IP6", 6)):
        _check_address(settings.get(variable, ""), version)
    if settings.get("AS"):
        from calicoctl.commands import bgp  # noqa: PLC0415 - loads the client

        settings["AS"] = str(bgp.parse_as(settings["AS"]))
    return settings


def _check_address(text: str, version: int) -> None:
    """Refuse what is no address of the family, nor one of the words in place of it."""
    if text.lower() in _WORDS:
        return
    try:
        given = parse_interface(text).version
    except ValidationError:
        given = None
    if given != version:
        raise ValidationError(
            f"{'--ip' if version == 4 else '--ip6'}: {text!r} is no IPv{version} address; give one with or"
            " without /prefix-length, or autodetect, or none"
        )


def _native_report() -> tuple[str, str]:
    """Return what calico-node says of itself, and its complaints; without it, that nothing runs."""
    program = _find_calico_node()
    if program is None:
        return json.dumps({"services": {}, "bgp": None}), ""
    done = process.run([program, "status", "--output", "json"], check=False)
    return done.stdout, done.stderr.strip()


def require_stopped() -> None:
    """Refuse to go on while Calico's services run on this host.

    Raises:
        ConfigError: they do.
    """
    if node_container.is_running() or _runs_natively():
        raise ConfigError("Calico runs on this host; stop it first: calicoctl node stop")


def _runs_natively() -> bool:
    """Whether calico-node's supervisor runs on this host."""
    said, _ = _native_report()
    try:
        return bool(json.loads(said)["services"])
    except ValueError:
        return False


def _find_calico_node() -> str | None:
    """Return the path of the calico-node program: beside this one, or on PATH."""
    beside = Path(sys.argv[0]).resolve().parent / "calico-node"
    return str(beside) if beside.exists() else shutil.which("calico-node")


def _calico_node() -> str:
    found = _find_calico_node()
    if found is None:
        raise ConfigError(
            "calico-node is not installed here; install it with: pip install calico-node"
        )
    return found


def _exit_with(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode:
        raise click.exceptions.Exit(done.returncode)
