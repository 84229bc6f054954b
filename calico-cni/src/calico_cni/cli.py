"""calico-cni: installs the plugins on a host. Errors are one line on stderr and exit code 1."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import click

from calico_cni import install as installing
from calico_cni.install import Network
from libcalico.errors import CalicoError, ConfigError
from libcalico.workload.cni.model import VERSIONS

F = TypeVar("F", bound=Callable[..., Any])
_FOLDERS = (
    click.option(
        "--bin-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("/opt/cni/bin"),
        show_default=True,
        help="Where the runtime looks for plugins.",
    ),
    click.option(
        "--conf-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("/etc/cni/net.d"),
        show_default=True,
        help="Where the runtime looks for networks.",
    ),
    click.option(
        "--conf-name",
        default="10-calico.conflist",
        show_default=True,
        help="File name of the network configuration.",
    ),
)
_ETCD = ("endpoints", "discovery-srv", "key-file", "cert-file", "ca-cert-file")


class _Group(click.Group):
    """A group whose errors of ours become one line; bugs still show their traceback."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except CalicoError as error:
            click.echo(f"calico-cni: {' '.join(str(error).split())}", err=True)
            context.exit(1)


def _options(options: Iterable[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(command: F) -> F:
        for option in reversed(tuple(options)):
            command = option(command)
        return command

    return decorate


def _etcd_options() -> list[Callable[[F], F]]:
    return [
        click.option(
            f"--etcd-{name}",
            envvar=f"ETCD_{name.replace('-', '_').upper()}",
            show_envvar=True,
            default="",
            help=f"Datastore: {name.replace('-', ' ')}.",
        )
        for name in _ETCD
    ]


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("calico-cni"), message="%(version)s")
def main() -> None:
    """Put Calico's CNI plugins on this host, or remove them."""


@main.command()
@_options(_FOLDERS)
@_options(_etcd_options())
@click.option("--network-name", default="calico", show_default=True, help="Name of the network.")
@click.option(
    "--cni-version",
    type=click.Choice(VERSIONS),
    default="1.0.0",
    show_default=True,
    help="Version of the network configuration.",
)
@click.option("--mtu", type=click.IntRange(0, 65535), default=0, help="0: as Felix found it.")
@click.option("--nodename", default="", help="This node's name; else what calico-node wrote.")
@click.option("--nodename-file", default="", help="Where calico-node wrote this node's name.")
@click.option("--ipv4-pools", multiple=True, help="Pools to use: names or CIDRs, comma-separated.")
@click.option("--ipv6-pools", multiple=True, help="Likewise; turns IPv6 on.")
@click.option("--ipv4/--no-ipv4", default=True, show_default=True, help="Assign IPv4 addresses.")
@click.option("--ipv6/--no-ipv6", default=None, help="Assign IPv6 addresses.")
@click.option("--log-level", default="info", show_default=True)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    default=Path("/var/run/calico/workloads.sock"),
    show_default=True,
    help="Where calico-node's workload server listens.",
)
@click.option(
    "--network-config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A network configuration list to install instead of the one that the options make.",
)
def install(**options: Any) -> None:
    """Write the plugins' executables and a network configuration.

    Installing again brings everything up to date; a runtime may call meanwhile.

    \b
    Example:
      calico-cni install --etcd-endpoints=http://10.0.0.1:2379 --ipv4-pools=default-ipv4-ippool
    """
    document = _document(options)
    installing.check(document)
    path = options["conf_dir"] / options["conf_name"]
    for sentence in installing.write_executables(options["bin_dir"], options["socket"]):
        click.echo(sentence)
    click.echo(installing.write_conflist(path, document))


def _document(options: dict[str, Any]) -> Any:
    file = options["network_config"]
    if file is None:
        return installing.conflist(_network(options))
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as JSON: {error}") from error


def _network(options: dict[str, Any]) -> Network:
    pools6 = _split(options["ipv6_pools"])
    etcd = {f"etcd_{name.replace('-', '_')}" for name in _ETCD}
    return Network(
        name=options["network_name"],
        cni_version=options["cni_version"],
        etcd={key: options[key] for key in sorted(etcd) if options[key]},
        mtu=options["mtu"],
        nodename=options["nodename"],
        nodename_file=options["nodename_file"],
        assign4=options["ipv4"],
        assign6=bool(pools6) if options["ipv6"] is None else options["ipv6"],
        pools4=_split(options["ipv4_pools"]),
        pools6=pools6,
        log_level=options["log_level"],
    )


def _split(texts: Iterable[str]) -> list[str]:
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


@main.command()
@_options(_FOLDERS)
def uninstall(bin_dir: Path, conf_dir: Path, conf_name: str) -> None:
    """Remove what 'install' wrote; workloads that are attached stay attached."""
    for sentence in installing.remove(bin_dir, conf_dir / conf_name):
        click.echo(sentence)


if __name__ == "__main__":
    main()
