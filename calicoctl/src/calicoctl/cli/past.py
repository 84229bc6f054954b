"""history, rollback, diff: what was, and what would be."""

from __future__ import annotations

import click

from calicoctl.grammar import Access, Command, Input, access, kind_argument, namespace, takes_input

#: Exit codes of ``diff``, as of the tool that is called so.
_DIFFERENT, _TROUBLE = 1, 2


@click.command(
    cls=Command,
    examples=("calicoctl history ippool demo", "calicoctl history networkpolicy web -n shop"),
)
@kind_argument()
@click.argument("name")
@access
@namespace
def history(kind: str, name: str, namespace: str | None, connection: Access) -> None:
    """Show the versions of a resource that the datastore still knows.

    They reach back to etcd's last compaction; objects that were deleted are found, too. All changes since
    then are read for it.
    """
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import past  # noqa: PLC0415 - only this command needs it
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    wanted = kinds.identity(kind, name, namespace)
    with connected(connection) as client:
        text = past.table(past.versions_of(client, wanted))
    click.echo(text, nl=False)


@click.command(
    cls=Command,
    examples=(
        "calicoctl rollback ippool demo",
        "calicoctl rollback networkpolicy web -n shop --to=1234",
    ),
)
@kind_argument()
@click.argument("name")
@click.option(
    *("--to", "--revision", "revision"),
    type=click.IntRange(min=1),
    metavar="REVISION",
    help="As of this revision; history shows them.  [default: the version before the last]",
)
@access
@namespace
def rollback(
    kind: str, name: str, revision: int | None, namespace: str | None, connection: Access
) -> None:
    """Give a resource back what it was before; one that was deleted is created again.

    It reaches as far back as etcd's last compaction.
    """
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import past  # noqa: PLC0415 - only this command needs it
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    wanted = kinds.identity(kind, name, namespace)
    with connected(connection) as client:
        chosen = past.rollback(client, wanted, revision)
    click.echo(f"Successfully rolled back 1 '{wanted.kind}' resource to revision {chosen}")


@click.command(
    cls=Command, examples=("calicoctl diff -f policy.yaml", "calicoctl diff -R -f policies/")
)
@takes_input
@access
def diff(given: Input, connection: Access) -> None:
    """Show how apply would change the datastore.

    Exit code: 0 it would not, 1 it would, 2 it would fail or the datastore cannot be asked.
    """
    from calicoctl import differences  # noqa: PLC0415 - only this command needs it
    from calicoctl.cli.resources import load  # noqa: PLC0415 - they are one family
    from calicoctl.commands import rehearse  # noqa: PLC0415 - loads IPAM
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver
    from libcalico.errors import CalicoError  # noqa: PLC0415 - as above

    try:
        resources = load(given)
        with connected(connection) as client:
            done = rehearse.rehearse("apply", resources, client)
    except click.UsageError:
        raise
    except (CalicoError, click.ClickException) as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(_TROUBLE) from error
    text = "".join(differences.unified(change) for change in done.changes)
    click.echo(text, nl=False)
    if not done.outcome.succeeded:
        click.echo(done.outcome.complaint(), err=True)
        raise click.exceptions.Exit(_TROUBLE)
    if text:
        raise click.exceptions.Exit(_DIFFERENT)
