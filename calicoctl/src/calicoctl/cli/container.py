"""container: interfaces of containers on this host, of any runtime."""

from __future__ import annotations

import click

from calicoctl.cli.endpoint import change_or_show
from calicoctl.cli.imperative import asked
from calicoctl.cli.subject_first import SubjectFirst
from calicoctl.grammar import Access, Command, access
from calicoctl.privileges import require_root

_CONTAINER = click.argument("container")


@click.group(
    cls=SubjectFirst,
    after=("ip", "endpoint", "profile"),
    examples=(
        "calicoctl container add web 10.65.0.10",
        "calicoctl container web profile set public",
        "calicoctl container web ip add ipv6",
        "calicoctl container web endpoint show",
        "calicoctl container remove web",
        "calicoctl container add /run/netns/box ipv4",
    ),
)
def container() -> None:
    """Give containers of this host an interface, addresses and profiles.

    CONTAINER is the name or the id of a Docker container, or the absolute path of a network
    namespace, of whatever runtime. Run this on the host of the container.
    """


@container.command(
    "add",
    cls=Command,
    examples=(
        "calicoctl container add web 10.65.0.10",
        "calicoctl container add web ipv4 --interface=eth0",
        "calicoctl container add web 10.65.0.0/16",
        "calicoctl container add /proc/1234/ns/net ipv6",
    ),
)
@_CONTAINER
@click.argument("ip")
@click.option(
    "--interface", default="eth1", show_default=True, metavar="NAME", help="Name inside it."
)
@access
def add(container: str, ip: str, interface: str, connection: Access) -> None:
    """Give a container an interface with an address, which becomes its way out.

    IP is an address, ipv4 or ipv6 for a free one of any pool, or the CIDR of a pool. Without a
    profile or a policy that allows it nothing passes: calicoctl container CONTAINER profile set.
    """
    require_root("container add")
    from calicoctl.commands import containers  # noqa: PLC0415 - loads the client

    asked(connection, lambda c: "\n".join(containers.add(c, container, ip, interface)))


@container.command(
    "remove",
    cls=Command,
    examples=("calicoctl container remove web", "calicoctl container remove /run/netns/box"),
)
@_CONTAINER
@access
def remove(container: str, connection: Access) -> None:
    """Take a container's interface away, and release its addresses.

    Of a container that is gone give the full id (calicoctl endpoint show --detailed).
    """
    require_root("container remove")
    from calicoctl.commands import containers  # noqa: PLC0415 - loads the client

    asked(connection, lambda c: "\n".join(containers.remove(c, container)))


@container.command(
    "ip",
    cls=Command,
    examples=(
        "calicoctl container web ip add 10.65.0.11",
        "calicoctl container web ip add ipv6",
        "calicoctl container web ip remove 10.65.0.11",
    ),
)
@_CONTAINER
@click.argument("action", type=click.Choice(["add", "remove"]))
@click.argument("ip")
@click.option(
    "--interface", metavar="NAME", help="Name inside it.  [default: what container add made]"
)
@access
def addresses(
    container: str, action: str, ip: str, interface: str | None, connection: Access
) -> None:
    """Give a container that has an interface another address, or take one away."""
    require_root(f"container {container} ip {action}")
    from calicoctl.commands import containers  # noqa: PLC0415 - loads the client

    change = containers.add_ip if action == "add" else containers.remove_ip
    asked(connection, lambda c: "\n".join(change(c, container, ip, interface)))


@container.command("endpoint", cls=Command, examples=("calicoctl container web endpoint show",))
@_CONTAINER
@click.argument("action", type=click.Choice(["show"]))
@access
def show_endpoint(container: str, action: str, connection: Access) -> None:
    """Show a container's endpoint: addresses, MAC, profiles, state."""
    del action
    from calicoctl.commands import containers, endpoints  # noqa: PLC0415 - loads the client

    asked(connection, lambda c: endpoints.detailed(c, [containers.endpoint_of(c, container)]))


@container.command(
    "profile",
    cls=Command,
    examples=(
        "calicoctl container web profile set public",
        "calicoctl container web profile append db monitoring",
        "calicoctl container web profile show",
    ),
)
@_CONTAINER
@click.argument("action", type=click.Choice(["append", "remove", "set", "show"]))
@click.argument("profiles", nargs=-1)
@access
def profile(container: str, action: str, profiles: tuple[str, ...], connection: Access) -> None:
    """Show or change the profiles of a container; set without any clears them."""
    from calicoctl.commands import containers  # noqa: PLC0415 - loads the client

    change_or_show(
        connection, lambda c: containers.endpoint_of(c, container), action, profiles, container
    )
