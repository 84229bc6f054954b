"""endpoint: workload endpoints of all hosts, and their profiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from calicoctl.cli.imperative import asked
from calicoctl.cli.subject_first import SubjectFirst
from calicoctl.grammar import Access, Callback, Command, access

if TYPE_CHECKING:
    from libcalico.client import Client
    from libcalico.resources.endpoints import WorkloadEndpoint

_FILTERS = (
    click.option("--host", default="", metavar="NAME", help="Only of this host."),
    click.option("--orchestrator", default="", metavar="ID", help="docker, cni, k8s, ..."),
    click.option("--workload", default="", metavar="ID", help="Pod, container id, ..."),
)


def _takes_filters(callback: Callback) -> Callback:
    for option in reversed(_FILTERS):
        callback = option(callback)
    return callback


@click.group(
    cls=SubjectFirst,
    after=("profile",),
    examples=(
        "calicoctl endpoint show",
        "calicoctl endpoint show --detailed --host=host-1",
        "calicoctl endpoint eth0 profile append web --workload=4f2a91c0",
    ),
)
def endpoint() -> None:
    """Show workload endpoints, and change the profiles that they have."""


@endpoint.command(
    "show",
    cls=Command,
    examples=(
        "calicoctl endpoint show",
        "calicoctl endpoint show --orchestrator=docker --detailed",
    ),
)
@_takes_filters
@click.option("--endpoint", default="", metavar="ID", help="Interface, or WorkloadEndpoint's name.")
@click.option("--detailed", is_flag=True, help="Each endpoint, with addresses, profiles and state.")
@access
def show(
    host: str,
    orchestrator: str,
    workload: str,
    endpoint: str,
    detailed: bool,
    connection: Access,
) -> None:
    """Show how many endpoints there are, or each of them.

    The state is what Felix reports if endpointReportingEnabled is set, unknown otherwise.
    """
    from calicoctl.commands import endpoints  # noqa: PLC0415 - loads the client

    wanted = endpoints.Filter(
        host=host, orchestrator=orchestrator, workload=workload, endpoint=endpoint
    )

    def question(client: Client) -> str:
        found = endpoints.matching(client, wanted)
        return endpoints.detailed(client, found) if detailed else endpoints.summary(found)

    asked(connection, question)


@endpoint.command(
    "profile",
    cls=Command,
    examples=(
        "calicoctl endpoint host--1-docker-4f2a91c0-eth1 profile set web",
        "calicoctl endpoint eth1 profile append web db --host=host-1 --workload=4f2a91c0",
        "calicoctl endpoint eth1 profile show --workload=4f2a91c0",
    ),
)
@click.argument("endpoint")
@click.argument("action", type=click.Choice(["append", "remove", "set", "show"]))
@click.argument("profiles", nargs=-1)
@_takes_filters
@access
def profile(
    endpoint: str,
    action: str,
    profiles: tuple[str, ...],
    host: str,
    orchestrator: str,
    workload: str,
    connection: Access,
) -> None:
    """Show or change the profiles of an endpoint; set without any clears them.

    ENDPOINT is its interface, or the name of the WorkloadEndpoint.
    """
    from calicoctl.commands import endpoints  # noqa: PLC0415 - loads the client

    wanted = endpoints.Filter(
        host=host, orchestrator=orchestrator, workload=workload, endpoint=endpoint
    )
    change_or_show(
        connection,
        lambda client: endpoints.only(client, wanted),
        action,
        profiles,
        f"endpoint {endpoint}",
    )


def change_or_show(
    connection: Access,
    find: Callable[[Client], WorkloadEndpoint],
    action: str,
    profiles: Sequence[str],
    whose: str,
) -> None:
    """Show or change the profiles of the endpoint that is found."""
    if action == "show" and profiles:
        raise click.UsageError("profile show takes no profile")
    from calicoctl.commands import endpoints  # noqa: PLC0415 - loads the client

    def question(client: Client) -> str:
        stored = find(client)
        if action == "show":
            return endpoints.profiles_table(stored)
        return endpoints.change_profiles(client, stored, action, profiles, whose)

    asked(connection, question)
