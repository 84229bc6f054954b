"""pool, bgp and config: commands that name what they change, on the same resources as apply.

Source of the words: python-era reference, sections 1.7 to 1.9.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from calicoctl.grammar import Access, Callback, Command, Group, access

if TYPE_CHECKING:
    from libcalico.client import Client

_FAMILIES = (
    click.option("--ipv6", is_flag=True, help="Only IPv6."),
    click.option("--ipv4", is_flag=True, help="Only IPv4."),
)
_AS_WORD = click.argument("as_word", metavar="as", type=click.Choice(["as"]))


def asked(connection: Access, question: Callable[[Client], str | None]) -> None:
    """Ask the datastore, and print what it answers, if anything."""
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        text = question(client)
    if text is not None:
        click.echo(text)


def takes_family(callback: Callback) -> Callback:
    """Give a command ``--ipv4`` and ``--ipv6``, as its argument ``families``; without any, both."""

    @wraps(callback)
    def with_families(ipv4: bool, ipv6: bool, **others: Any) -> Any:
        wanted = tuple(version for version, asked in ((4, ipv4), (6, ipv6)) if asked)
        return callback(families=wanted or (4, 6), **others)

    decorated: Callback = with_families
    for option in _FAMILIES:
        decorated = option(decorated)
    return decorated


@click.group(
    cls=Group, examples=("calicoctl pool add 10.65.0.0/16 --nat-outgoing", "calicoctl pool show")
)
def pool() -> None:
    """Add, remove and show pools by their CIDR."""


_OPTIONS = (
    click.option("--ipip", is_flag=True, help="Carry traffic between nodes in IPIP."),
    click.option("--nat-outgoing", is_flag=True, help="Translate what leaves the cluster."),
)


def _takes_options(callback: Callback) -> Callback:
    for option in reversed(_OPTIONS):
        callback = option(callback)
    return callback


@pool.command(
    "add", cls=Command, examples=("calicoctl pool add 10.65.0.0/16 fd80::/64 --nat-outgoing",)
)
@click.argument("cidrs", nargs=-1, required=True)
@_takes_options
@access
def add_pool(cidrs: tuple[str, ...], ipip: bool, nat_outgoing: bool, connection: Access) -> None:
    """Add pools, or set the options of those that exist; all or none."""
    from calicoctl.commands import poolranges  # noqa: PLC0415 - loads IPAM

    wanted = poolranges.parse(cidrs)
    asked(connection, lambda c: poolranges.add(c, wanted, ipip=ipip, nat_outgoing=nat_outgoing))


@pool.group("range", cls=Group, examples=("calicoctl pool range add 10.65.0.0 10.65.3.255",))
def pool_range() -> None:
    """Add pools by a range of addresses."""


@pool_range.command(
    "add", cls=Command, examples=("calicoctl pool range add 10.65.0.0 10.65.3.255 --ipip",)
)
@click.argument("start")
@click.argument("end")
@_takes_options
@access
def add_range(start: str, end: str, ipip: bool, nat_outgoing: bool, connection: Access) -> None:
    """Add the pools that make up a range; all or none."""
    from calicoctl.commands import poolranges  # noqa: PLC0415 - loads IPAM

    wanted = poolranges.of_range(start, end)
    asked(connection, lambda c: poolranges.add(c, wanted, ipip=ipip, nat_outgoing=nat_outgoing))


@pool.command("remove", cls=Command, examples=("calicoctl pool remove 10.65.0.0/16",))
@click.argument("cidrs", nargs=-1, required=True)
@access
def remove_pool(cidrs: tuple[str, ...], connection: Access) -> None:
    """Remove pools; addresses in use stay with their workloads."""
    from calicoctl.commands import poolranges  # noqa: PLC0415 - loads IPAM

    wanted = poolranges.parse(cidrs)
    asked(connection, lambda client: poolranges.remove(client, wanted))


@pool.command("show", cls=Command, examples=("calicoctl pool show", "calicoctl pool show --ipv6"))
@takes_family
@access
def show_pools(families: tuple[int, ...], connection: Access) -> None:
    """Show pools and their options."""
    from calicoctl.commands import poolranges  # noqa: PLC0415 - loads IPAM

    asked(connection, lambda c: poolranges.table(c.ippools.list(), families))


@click.group(
    cls=Group, examples=("calicoctl bgp peer add 192.0.2.1 as 64513", "calicoctl bgp node-mesh")
)
def bgp() -> None:
    """Look after BGP for all nodes."""


def peer_group(examples: str, node: Callable[[], str]) -> click.Group:
    """Return the commands add, remove and show of the peers of a node, or ("") of all nodes."""
    whose = "of this node" if "node" in examples else "of all nodes"

    @click.group(
        "peer",
        cls=Group,
        examples=(f"{examples} show",),
        help=f"Add, remove and show peers {whose}.",
    )
    def peer() -> None:
        pass

    @peer.command(
        "add",
        cls=Command,
        examples=(f"{examples} add 192.0.2.1 as 64513",),
        help=f"Add a peer {whose}.",
    )
    @click.argument("peer_ip")
    @_AS_WORD
    @click.argument("as_number", metavar="AS_NUM")
    @access
    def add(peer_ip: str, as_word: str, as_number: str, connection: Access) -> None:
        del as_word
        from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

        asked(connection, lambda c: commands.add_peer(c, peer_ip, as_number, node()))

    @peer.command(
        "remove",
        cls=Command,
        examples=(f"{examples} remove 192.0.2.1",),
        help=f"Remove a peer {whose}.",
    )
    @click.argument("peer_ip")
    @access
    def remove(peer_ip: str, connection: Access) -> None:
        from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

        asked(connection, lambda c: commands.remove_peer(c, peer_ip, node()))
        click.echo(f"BGP peer {peer_ip} removed")

    @peer.command(
        "show", cls=Command, examples=(f"{examples} show --ipv4",), help=f"Show the peers {whose}."
    )
    @takes_family
    @access
    def show(families: tuple[int, ...], connection: Access) -> None:
        from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

        asked(connection, lambda c: commands.peers_table(c, families, node()))

    return peer


bgp.add_command(peer_group("calicoctl bgp peer", lambda: ""))


@bgp.command(
    "node-mesh", cls=Command, examples=("calicoctl bgp node-mesh", "calicoctl bgp node-mesh off")
)
@click.argument("state", type=click.Choice(["on", "off"]), required=False)
@access
def node_mesh(state: str | None, connection: Access) -> None:
    """Show or set whether every node is a peer of every other."""
    from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

    def question(client: Client) -> str | None:
        if state is None:
            on = commands.configuration(client).spec.node_to_node_mesh_enabled is not False
            return "on" if on else "off"
        commands.configure(client, {"node_to_node_mesh_enabled": state == "on"})
        return None

    asked(connection, question)


@bgp.command(
    "default-node-as",
    cls=Command,
    examples=("calicoctl bgp default-node-as", "calicoctl bgp default-node-as 64999"),
)
@click.argument("as_number", metavar="[AS_NUM]", required=False)
@access
def default_node_as(as_number: str | None, connection: Access) -> None:
    """Show or set the AS number of nodes that have none of their own."""
    from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

    def question(client: Client) -> str | None:
        if as_number is None:
            return str(commands.configuration(client).spec.as_number or commands.DEFAULT_AS)
        commands.configure(client, {"as_number": commands.parse_as(as_number)})
        return None

    asked(connection, question)


@click.group(cls=Group, examples=("calicoctl config felix loglevel info",))
def config() -> None:
    """Show or set log levels; all other settings are in felixconfigurations and bgpconfigurations."""


def _level_command(of_felix: bool, node: Callable[[], str] | None, where: str) -> click.Command:
    name, words = where.rpartition(" ")[2], f"calicoctl config {where} loglevel"

    @click.command(
        name,
        cls=Command,
        examples=(words, f"{words} info", f"{words} --remove"),
        help="Show or set a level.",
    )
    @click.argument("setting", metavar="loglevel", type=click.Choice(["loglevel"]))
    @click.argument("value", required=False)
    @click.option("--remove", is_flag=True, help="Go back to the default.")
    @access
    def level(setting: str, value: str | None, remove: bool, connection: Access) -> None:
        del setting
        from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

        known = tuple(commands.LEVELS) if of_felix else commands.BGP_LEVELS
        if value is not None and (value not in known or remove):
            raise click.UsageError(f"{value!r} is no level; known are {', '.join(known)}")

        def question(client: Client) -> str | None:
            target = f"node.{node()}" if node else "default"
            if value is None and not remove:
                found = (
                    commands.felix_configuration(client).spec.log_severity_screen
                    if of_felix
                    else commands.configuration(client, target).spec.log_severity_screen
                )
                return found.lower() if found else "The value is not configured"
            changes = {"log_severity_screen": commands.LEVELS[value] if value else ""}
            if of_felix:
                commands.configure_felix(client, changes)
            else:
                commands.configure(client, changes, target)
            return "Value removed" if remove else None

        asked(connection, question)

    return level


def _this_node() -> str:
    from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

    return commands.this_node()


@config.group("node", cls=Group, examples=("calicoctl config node bgp loglevel debug",))
def config_node() -> None:
    """The same for this node alone."""


config.add_command(_level_command(True, None, "felix"))
config.add_command(_level_command(False, None, "bgp"))
config_node.add_command(_level_command(False, _this_node, "node bgp"))


@click.group("bgp", cls=Group, examples=("calicoctl node bgp peer show",))
def node_bgp() -> None:
    """Look after BGP of this node."""


node_bgp.add_command(peer_group("calicoctl node bgp peer", _this_node))


@click.command("show", cls=Command, examples=("calicoctl node show",))
@access
def node_show(connection: Access) -> None:
    """Show all nodes, their addresses, AS numbers and own BGP peers."""
    from calicoctl.commands import bgp as commands  # noqa: PLC0415 - loads the client

    asked(connection, commands.nodes_table)


@click.command(
    "remove",
    cls=Command,
    examples=("calicoctl node remove --hostname=dead-1 --remove-endpoints",),
)
@click.option("--hostname", metavar="NAME", help="Another node than this one.")
@click.option("--remove-endpoints", is_flag=True, help="Although it has workload endpoints.")
@access
def node_remove(hostname: str | None, remove_endpoints: bool, connection: Access) -> None:
    """Remove a node from the datastore, with its endpoints, addresses, peers and settings."""
    from calicoctl.commands import noderemoval  # noqa: PLC0415 - loads the client

    here = _this_node()
    name = hostname or here
    if name == here:
        from calicoctl.commands import node as services  # noqa: PLC0415 - as a user would

        services.require_stopped()
    asked(
        connection,
        lambda client: noderemoval.remove(
            client, name, with_endpoints=remove_endpoints, is_here=name == here
        ),
    )
