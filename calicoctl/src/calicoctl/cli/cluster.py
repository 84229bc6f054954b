"""cluster diags."""

from __future__ import annotations

import click

from calicoctl.grammar import Access, Command, Group, access


@click.group(cls=Group, examples=("calicoctl cluster diags",))
def cluster() -> None:
    """Look at the cluster as a whole."""


@cluster.command(
    cls=Command, examples=("calicoctl cluster diags", "calicoctl cluster diags --focus-nodes=n1,n2")
)
@click.option("--focus-nodes", metavar="NODE,...", help="Only these nodes' endpoints and reports.")
@click.option("--since", hidden=True, help="Of pods' logs; there are none without Kubernetes.")
@click.option("--max-logs", hidden=True, help="As --since.")
@click.option("--max-parallelism", hidden=True, help="As --since.")
@click.option("--skip-temp-dir-cleanup", hidden=True, is_flag=True, help="There is none to clean.")
@access
def diags(focus_nodes: str | None, connection: Access, **of_kubernetes: str | None) -> None:
    """Collect what the datastore says: all resources, IPAM and its check, and the nodes' reports.

    What is on a host itself is collected there, by calicoctl node diags.
    """
    del of_kubernetes
    from calicoctl import host  # noqa: PLC0415 - only this command needs it
    from calicoctl.commands import cluster as commands  # noqa: PLC0415 - loads IPAM
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    focus = {word for word in (focus_nodes or "").split(",") if word}
    with connected(Access(connection.config, any_version=True)) as client:
        texts = commands.files(client, focus)
    place = host.bundle("calico-cluster-diags", texts)
    click.echo(f"Diags saved to {place}")
