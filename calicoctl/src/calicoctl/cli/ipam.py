"""ipam: show, check, release, split, configure."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from calicoctl.grammar import Access, Command, Group, access

if TYPE_CHECKING:
    from libcalico.client import Client

_ADDRESS = "IP"


@click.group(cls=Group, examples=("calicoctl ipam show --show-blocks", "calicoctl ipam check"))
def ipam() -> None:
    """Look after the addresses of workloads."""


def _asked(connection: Access, question: Callable[[Client], str]) -> None:
    """Print what the datastore answers."""
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        text = question(client)
    click.echo(text)


@ipam.command(
    cls=Command,
    examples=(
        "calicoctl ipam show",
        "calicoctl ipam show --show-blocks",
        "calicoctl ipam show --ip=10.65.0.7",
        "calicoctl ipam show --show-borrowed",
        "calicoctl ipam show --show-configuration",
    ),
)
@click.option("--ip", "address", metavar=_ADDRESS, help="Show who uses this address.")
@click.option("--show-blocks", is_flag=True, help="Show blocks beside pools.")
@click.option(
    "--show-borrowed", is_flag=True, help="Show addresses borrowed from other nodes' blocks."
)
@click.option("--show-configuration", is_flag=True, help="Show the settings.")
@access
def show(
    address: str | None,
    show_blocks: bool,
    show_borrowed: bool,
    show_configuration: bool,
    connection: Access,
) -> None:
    """Show how full the pools are, or who uses an address."""
    if sum((address is not None, show_blocks, show_borrowed, show_configuration)) > 1:
        raise click.UsageError("these options are alternatives; give one of them")
    from calicoctl import ipam_tables  # noqa: PLC0415 - loads IPAM
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    if address is not None:
        wanted = commands.canonical(address)
        _asked(connection, lambda client: _owner(client, wanted))
    elif show_borrowed:
        _asked(
            connection,
            lambda client: ipam_tables.borrowed(commands.of(client).audit().allocations),
        )
    elif show_configuration:
        _asked(
            connection, lambda client: ipam_tables.configuration(commands.of(client).get_config())
        )
    else:
        _asked(
            connection,
            lambda client: ipam_tables.usage(commands.of(client).utilization(), blocks=show_blocks),
        )


def _owner(client: Client, address: str) -> str:
    from calicoctl import ipam_tables  # noqa: PLC0415 - loads IPAM
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM
    from libcalico.errors import NotFoundError  # noqa: PLC0415 - as above

    try:
        return ipam_tables.owner(address, commands.of(client).attributes_of(address))
    except NotFoundError:
        return f"{address} is not assigned"


@ipam.command(
    cls=Command,
    deprecated="Use calicoctl ipam show --ip=IP.",
    examples=("calicoctl ipam info 10.65.0.7",),
)
@click.argument("address", metavar=_ADDRESS)
@access
def info(address: str, connection: Access) -> None:
    """Show who uses an address."""
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    wanted = commands.canonical(address)
    _asked(connection, lambda client: _owner(client, wanted))


@ipam.command(
    cls=Command,
    examples=("calicoctl ipam check", "calicoctl ipam check --show-problem-ips -o report.json"),
)
@click.option("--show-all-ips", is_flag=True, help="List all addresses.")
@click.option("--show-problem-ips", is_flag=True, help="List addresses with a problem.")
@click.option("-o", "--output", metavar="FILE", help="Write a report for ipam release.")
@click.option("--kubeconfig", hidden=True, help="No Kubernetes is needed here.")
@access
def check(
    show_all_ips: bool,
    show_problem_ips: bool,
    output: str | None,
    kubeconfig: str | None,
    connection: Access,
) -> None:
    """Compare the assigned addresses with those in use.

    Kubernetes is not needed: in use is what workload endpoints and nodes have.
    """
    del kubeconfig
    import json  # noqa: PLC0415 - only this command needs it

    from calicoctl import ipam_report  # noqa: PLC0415 - loads IPAM
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    def question(client: Client) -> str:
        known, found = commands.check(client)
        if output:
            report = ipam_report.as_json(known, found, commands.cluster(client))
            with click.open_file(output, "w", encoding="utf-8") as file:
                json.dump(report, file, indent=2)
        return ipam_report.text(known, found, every=show_all_ips, problems=show_problem_ips)

    _asked(connection, question)


@ipam.command(
    cls=Command,
    examples=(
        "calicoctl ipam release --ip=10.65.0.7",
        "calicoctl ipam release --from-report=monday.json --from-report=tuesday.json",
    ),
)
@click.argument("old_address", metavar="", required=False)
@click.option("--ip", "address", metavar=_ADDRESS, help="The address to release.")
@click.option(
    "--from-report",
    "reports",
    metavar="FILE",
    multiple=True,
    help="Release what this report of ipam check, and every other given, calls leaked.",
)
@click.option("--force", is_flag=True, help="With reports: although the datastore is not locked.")
@access
def release(
    old_address: str | None,
    address: str | None,
    reports: tuple[str, ...],
    force: bool,
    connection: Access,
) -> None:
    """Release an address that nobody uses any more, or all leaked ones.

    An address that a workload still uses can then be given to another one: look first, with ipam check.
    """
    if old_address:
        click.echo("calicoctl ipam release IP is deprecated, use --ip=IP", err=True)
    given = address or old_address
    if bool(given) == bool(reports) or (address and old_address):
        raise click.UsageError("give --ip=IP or --from-report=FILE")
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    if given:
        wanted = commands.canonical(given)
        _asked(connection, lambda client: _released(commands.release(client, wanted), wanted))
    else:
        _asked(
            connection,
            lambda client: _counted(*commands.release_leaked(client, reports, force=force)),
        )


def _released(done: bool, address: str) -> str:
    return (
        f"Successfully released IP address {address}"
        if done
        else f"IP address {address} is not assigned"
    )


def _counted(freed: int, kept: int) -> str:
    text = f"Released {freed} IPs successfully"
    return (
        f"{text}; {kept} are no longer assigned as the reports say, and were left" if kept else text
    )


@ipam.command(
    cls=Command,
    examples=(
        "calicoctl ipam split 2 --name=default-ipv4-ippool",
        "calicoctl ipam split 4 --cidr=10.65.0.0/16",
    ),
)
@click.argument("number", type=int)
@click.option("--cidr", metavar="CIDR", help="The pool, by its CIDR.")
@click.option("--name", metavar="NAME", help="The pool, by its name.")
@access
def split(number: int, cidr: str | None, name: str | None, connection: Access) -> None:
    """Split a pool into NUMBER (a power of two) equal ones; the datastore must be locked."""
    if bool(cidr) == bool(name):
        raise click.UsageError("give --cidr=CIDR or --name=NAME")
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    def question(client: Client) -> str:
        parts = commands.split(client, number, cidr=cidr, name=name)
        listed = ", ".join(f"{part.name} ({part.spec.cidr})" for part in parts)
        return f"Successfully split IP pool {cidr or name} into {listed}"

    _asked(connection, question)


@ipam.command(
    cls=Command,
    examples=(
        "calicoctl ipam configure --strictaffinity=true",
        "calicoctl ipam configure --strictaffinity=true --max-blocks-per-host=4",
    ),
)
@click.option("--strictaffinity", type=bool, metavar="true|false", help="Never borrow addresses.")
@click.option(
    "--max-blocks-per-host",
    type=click.IntRange(min=0),
    metavar="N",
    help="0 means the default, 20.",
)
@click.option(
    "--kubevirt-ip-persistence",
    type=click.Choice(["Enabled", "Disabled"]),
    help="Whether a virtual machine keeps its address when its pod is made anew.",
)
@access
def configure(
    strictaffinity: bool | None,
    max_blocks_per_host: int | None,
    kubevirt_ip_persistence: str | None,
    connection: Access,
) -> None:
    """Change the settings of IPAM."""
    given: dict[str, tuple[str, Any]] = {
        "strict_affinity": ("StrictAffinity", strictaffinity),
        "max_blocks_per_host": ("MaxBlocksPerHost", max_blocks_per_host),
        "vm_address_persistence": ("KubeVirtVMAddressPersistence", kubevirt_ip_persistence),
    }
    changes = {field: value for field, (_, value) in given.items() if value is not None}
    if not changes:
        raise click.UsageError("say what to change")
    from calicoctl import gotext  # noqa: PLC0415 - loads the resources' base
    from calicoctl.commands import ipam as commands  # noqa: PLC0415 - loads IPAM

    def question(client: Client) -> str:
        commands.configure(client, changes)
        return "\n".join(
            f"Successfully set {given[field][0]} to: {gotext.value(value)}"
            for field, value in changes.items()
        )

    _asked(connection, question)
