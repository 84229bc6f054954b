"""datastore migrate: lock, unlock, export, import, policy-names."""

from __future__ import annotations

import click

from calicoctl.grammar import Access, Command, Group, access


@click.group(cls=Group, examples=("calicoctl datastore migrate lock",))
def datastore() -> None:
    """Look after the datastore."""


@datastore.group(
    cls=Group,
    examples=(
        "calicoctl datastore migrate lock",
        "calicoctl datastore migrate export --all > calico.dump",
        "calicoctl datastore migrate import -f calico.dump -c new.cfg",
        "calicoctl datastore migrate unlock -c new.cfg",
    ),
)
def migrate() -> None:
    """Take everything from one datastore to another.

    Lock the old one, export it, import into an empty one, unlock that. What is exported without --all is
    for Go Calico's import into Kubernetes.
    """


@migrate.command(cls=Command, examples=("calicoctl datastore migrate lock",))
@access
def lock(connection: Access) -> None:
    """Make nodes and plugins wait: nothing changes any more, and policy stays in force."""
    _set_ready(connection, ready=False)
    click.echo("Datastore locked.")


@migrate.command(cls=Command, examples=("calicoctl datastore migrate unlock",))
@access
def unlock(connection: Access) -> None:
    """Let nodes and plugins work again."""
    _set_ready(connection, ready=True)
    click.echo("Datastore unlocked.")


def _set_ready(connection: Access, *, ready: bool) -> None:
    from calicoctl.commands import datastore as commands  # noqa: PLC0415 - loads IPAM
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        commands.set_ready(client, ready=ready)


@migrate.command(cls=Command, examples=("calicoctl datastore migrate export --all > calico.dump",))
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="For another etcd: every object as it is. Without it, for Kubernetes: no profiles and workload "
    "endpoints, and nodes under their names there.",
)
@access
def export(everything: bool, connection: Access) -> None:
    """Print everything that a locked datastore holds."""
    from calicoctl.commands import datastore as commands  # noqa: PLC0415 - loads IPAM
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        for part in commands.export(client, everything=everything):
            click.echo(part, nl=False)


@migrate.command(
    "import",
    cls=Command,
    examples=("calicoctl datastore migrate import -f calico.dump -c new.cfg",),
)
@click.option(
    "-f", "--filename", required=True, metavar="FILE", help="What export printed; - is stdin."
)
@access
def import_(filename: str, connection: Access) -> None:
    """Fill an empty etcd with what export printed; it is locked then."""
    from calicoctl import migration  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import datastore as commands  # noqa: PLC0415 - loads IPAM
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    try:
        with click.open_file(filename, encoding="utf-8") as file:
            archive = migration.parse(file.read())
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{filename}: is not UTF-8 text: {error.reason}") from error
    with connected(connection) as client:
        resources, keys = commands.import_(client, archive)
    click.echo(
        f"Imported {resources} resources and {keys} objects of IPAM. The datastore is locked; let nodes"
        " work on it with: calicoctl datastore migrate unlock"
    )


@migrate.command(
    "policy-names", cls=Command, examples=("calicoctl datastore migrate policy-names",)
)
@access
def policy_names(connection: Access) -> None:
    """Store policies of releases before 3.32 under their own names.

    Those are stored as default.NAME and shown as NAME, by which they cannot be read, changed or deleted.
    Do it once no node of an earlier release is left. In Kubernetes, Calico's controllers do it.
    """
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        moved, kept = client.migrate_policy_names()
    for policy in moved:
        click.echo(f"Moved {policy}")
    click.echo(f"Policies moved to their own names: {len(moved)}")
    if kept:
        raise click.ClickException(
            "\n".join(f"{text}. Delete one of the two, and try again." for text in kept)
        )
