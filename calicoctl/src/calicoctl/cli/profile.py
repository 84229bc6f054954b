"""profile: profiles with their tags and rules."""

from __future__ import annotations

import sys

import click

from calicoctl.cli.imperative import asked
from calicoctl.cli.subject_first import SubjectFirst
from calicoctl.grammar import Access, Command, access


@click.group(
    cls=SubjectFirst,
    after=("rule", "tag"),
    examples=(
        "calicoctl profile add web",
        "calicoctl profile web tag add public",
        "calicoctl profile web rule add inbound allow tcp from tag lb to ports 80,443",
        "calicoctl profile web rule show",
    ),
)
def profile() -> None:
    """Profiles: rules and tags that endpoints refer to by name."""


@profile.command("add", cls=Command, examples=("calicoctl profile add web",))
@click.argument("name")
@access
def add(name: str, connection: Access) -> None:
    """Create a profile: in goes what has the same profile, out goes everything."""
    from calicoctl.commands import profiles  # noqa: PLC0415 - loads the client

    asked(connection, lambda client: profiles.add(client, name))


@profile.command("remove", cls=Command, examples=("calicoctl profile remove web",))
@click.argument("name")
@click.option("--no-check", is_flag=True, help="Although endpoints have it.")
@access
def remove(name: str, no_check: bool, connection: Access) -> None:
    """Remove a profile that no endpoint has."""
    from calicoctl.commands import profiles  # noqa: PLC0415 - loads the client

    asked(connection, lambda client: profiles.remove(client, name, check=not no_check))


@profile.command("show", cls=Command, examples=("calicoctl profile show --detailed",))
@click.option("--detailed", is_flag=True, help="With the endpoints that have them.")
@access
def show(detailed: bool, connection: Access) -> None:
    """Show the profiles."""
    from calicoctl.commands import profiles  # noqa: PLC0415 - loads the client

    asked(connection, lambda client: profiles.table(client, detailed=detailed))


@profile.command(
    "tag",
    cls=Command,
    examples=("calicoctl profile web tag show", "calicoctl profile web tag add public"),
)
@click.argument("name")
@click.argument("action", type=click.Choice(["show", "add", "remove"]))
@click.argument("value", metavar="[TAG]", required=False)
@access
def tag(name: str, action: str, value: str | None, connection: Access) -> None:
    """Show, add or remove a tag, a label that all endpoints of the profile get."""
    if (action == "show") == bool(value):
        raise click.UsageError("show takes no tag; add and remove need one")
    from calicoctl.commands import profiles  # noqa: PLC0415 - loads the client

    if value is None:
        asked(connection, lambda client: profiles.tags(client, name))
    else:
        change = profiles.add_tag if action == "add" else profiles.remove_tag
        asked(connection, lambda client: change(client, name, value))


@profile.command(
    "rule",
    cls=Command,
    examples=(
        "calicoctl profile web rule show",
        "calicoctl profile web rule add inbound --at=1 deny tcp from cidr 192.0.2.0/24",
        "calicoctl profile web rule add outbound allow icmp type 8 to tag db",
        "calicoctl profile web rule remove inbound --at=2",
        "calicoctl profile web rule json",
        "calicoctl profile web rule update < rules.json",
    ),
)
@click.argument("name")
@click.argument("action", type=click.Choice(["show", "json", "update", "add", "remove"]))
@click.argument("words", nargs=-1, metavar="[inbound|outbound] [RULE]...")
@click.option("--at", type=int, metavar="N", help="Position, from 1.  [default: the end]")
@access
def rule(
    name: str, action: str, words: tuple[str, ...], at: int | None, connection: Access
) -> None:
    """Show, add, remove or replace rules.

    RULE is allow or deny, then tcp, udp, icmp or icmpv6 [type N [code N]], then from and to with
    ports N,N:M (tcp and udp), tag T and cidr C, in this order. update reads what json prints.
    """
    from calicoctl.commands import profiles  # noqa: PLC0415 - loads the client

    if action in ("show", "json", "update"):
        if words or at is not None:
            raise click.UsageError(f"rule {action} takes nothing more")
        if action == "update":
            text = sys.stdin.read()
            asked(connection, lambda client: profiles.update_rules(client, name, text))
        else:
            tell = profiles.rules if action == "show" else profiles.rules_json
            asked(connection, lambda client: tell(client, name))
        return
    direction, rest = words[0] if words else "", words[1:]
    if direction not in profiles.DIRECTIONS:
        raise click.UsageError("say inbound or outbound")
    if action == "remove" and bool(rest) == (at is not None):
        raise click.UsageError("say which rule: --at=N, or its words")
    change = {"add": profiles.add_rule, "remove": profiles.remove_rule}[action]
    asked(connection, lambda client: change(client, name, direction, rest, at))
