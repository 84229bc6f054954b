"""create, apply, replace, delete, get, patch, label, validate, version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from calicoctl.grammar import (
    WRITTEN,
    Access,
    Command,
    Input,
    Manner,
    access,
    kind_argument,
    namespace,
    takes_input,
    takes_manner,
)
from libcalico.errors import AlreadyExistsError, CalicoError, ConfigError, NotFoundError

if TYPE_CHECKING:
    from calicoctl.batch import Outcome, Verb
    from calicoctl.commands import read
    from calicoctl.forms import Form
    from libcalico.client import Client
    from libcalico.resources.model import Resource

#: Exit code of every failure, as in Go Calico.
FAILED = 1
#: Resources that are written at a time: etcd makes the writes of one moment durable together.
_WRITERS = 8


@click.command(
    cls=Command,
    examples=("calicoctl create -f pool.yaml", "calicoctl create -f policies/ --skip-exists"),
)
@takes_input
@takes_manner
@access
@click.option("--skip-exists", is_flag=True, help="What exists already is left as it is, no error.")
def create(given: Input, connection: Access, manner: Manner, skip_exists: bool) -> None:
    """Create resources; they must not exist."""
    _change("create", given, connection, AlreadyExistsError if skip_exists else None, manner)


@click.command(
    cls=Command, examples=("calicoctl apply -f policy.yaml", "calicoctl apply -R -f policies/")
)
@takes_input
@takes_manner
@access
def apply(given: Input, connection: Access, manner: Manner) -> None:
    """Create resources, or replace those that exist."""
    _change("apply", given, connection, manner=manner)


@click.command(cls=Command, examples=("calicoctl replace -f policy.yaml",))
@takes_input
@takes_manner
@access
def replace(given: Input, connection: Access, manner: Manner) -> None:
    """Replace resources; they must exist.

    A document with a resourceVersion replaces that version only.
    """
    _change("replace", given, connection, manner=manner)


@click.command(
    cls=Command,
    examples=("calicoctl delete networkpolicy web -n shop", "calicoctl delete -f policy.yaml"),
)
@kind_argument(required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@takes_input
@access
@click.option("-s", "--skip-not-exists", is_flag=True, help="What does not exist is no error.")
def delete(
    given: Input,
    kind: str | None,
    names: tuple[str, ...],
    connection: Access,
    skip_not_exists: bool,
) -> None:
    """Delete resources, named on the command line or in files."""
    ignore = NotFoundError if skip_not_exists else None
    if kind is None:
        _change("delete", given, connection, ignore)
        return
    _refuse_both(given)
    if not names:
        raise click.UsageError(f"say which {kind} to delete, by name")
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import write  # noqa: PLC0415 - only this command needs it

    exact, where = kinds.located(kind, given.namespace)
    _change_all("delete", write.named(exact, names, where), connection, ignore)


class _ListsKinds(Command):
    """A command whose help lists the kinds."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the kinds."""
        from calicoctl import kinds  # noqa: PLC0415 - only this help needs it

        super().format_epilog(ctx, formatter)
        with formatter.section("Kinds, and other words for them"):
            formatter.write_dl(list(kinds.words()))


@click.command(
    cls=_ListsKinds,
    examples=(
        "calicoctl get nodes -o wide",
        "calicoctl get workloadendpoints -A",
        "calicoctl get networkpolicy web -n shop -o yaml --export",
        "calicoctl get ippools -o custom-columns=NAME,CIDR",
        "calicoctl get nodes --watch",
        "calicoctl get ippool demo -o yaml --revision=1234",
        "calicoctl get ippools -o go-template='{{range .}}{{range .Items}}{{.Name}} {{end}}{{end}}'",
    ),
)
@kind_argument(required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@takes_input
@access
@click.option(
    "-o",
    "--output",
    default="ps",
    show_default=True,
    metavar="FORM",
    help="ps (a table), wide (one with more columns), yaml, json, custom-columns=A,B,"
    " go-template=TEMPLATE or go-template-file=FILE.",
)
@click.option(
    "--revision",
    type=click.IntRange(min=1),
    metavar="N",
    help="Show what there was at this revision of the datastore.",
)
@click.option("-w", "--watch", is_flag=True, help="Go on and show whatever changes.")
@click.option("-A", "-a", "--all-namespaces", is_flag=True, help="List all namespaces.")
@click.option(
    "--export", is_flag=True, help="Leave out what belongs to this cluster only (yaml, json)."
)
def get(
    given: Input,
    kind: str | None,
    names: tuple[str, ...],
    connection: Access,
    output: str,
    all_namespaces: bool,
    export: bool,
    revision: int | None,
    watch: bool,
) -> None:
    """Show resources: all of a kind, by name, or those that a file names."""
    from calicoctl import forms  # noqa: PLC0415 - only this command needs it
    from calicoctl.commands import read  # noqa: PLC0415 - only this command needs it

    form = forms.parse(output)
    if watch:
        if kind is None or revision is not None or given.filename or export:
            raise click.UsageError("--watch goes with a kind, not with -f, --revision or --export")
        _watch(kind, names, given.namespace, connection, form, everywhere=all_namespaces)
        return
    ask: Callable[[Client], read.Found]
    if kind is not None:
        _refuse_both(given)
        ask = read.by_kind(kind, names, given.namespace, everywhere=all_namespaces)
    elif given.filename:
        ask = read.by_manifest(load(given, check=False))
    else:
        raise click.UsageError("say what to show: a kind, or -f FILE")
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        if revision is not None:
            from calicoctl.commands import past  # noqa: PLC0415 - seldom needed

            client = past.at(client, revision)  # noqa: PLW2901 - the same datastore
        found = ask(client)
        show_namespace = all_namespaces or given.namespace is not None
        text = read.render(client, found, form, show_namespace=show_namespace, export=export)
    click.echo(text, nl=False)
    for missing in found.missing:
        click.echo(missing, err=True)
    if found.missing:
        raise click.exceptions.Exit(FAILED)


@click.command(
    cls=Command, examples=("""calicoctl patch ippool demo -p '{"spec": {"natOutgoing": true}}'""",)
)
@kind_argument()
@click.argument("name")
@click.option("-p", "--patch", "text", required=True, metavar="JSON", help="What to change.")
@click.option(
    "-t",
    "--type",
    "form",
    type=click.Choice(["strategic", "merge", "json"]),
    default="strategic",
    help="As in Go Calico all mean the same: objects are merged, lists replaced.",
)
@access
@namespace
def patch(
    kind: str, name: str, text: str, form: str, connection: Access, namespace: str | None
) -> None:
    """Change some fields of a resource; null removes a field."""
    del form  # none of these kinds has a list that a strategic merge would merge
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import change  # noqa: PLC0415 - only this command needs it

    wanted = kinds.identity(kind, name, namespace)
    changes = change.parse_patch(text)
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        change.patch(client, wanted, changes)
    click.echo(f"Successfully patched 1 '{wanted.kind}' resource")


@click.command(
    cls=Command,
    examples=(
        "calicoctl label nodes host-1 rack=r1",
        "calicoctl label nodes host-1 rack --remove",
    ),
)
@kind_argument()
@click.argument("name")
@click.argument("assignment", metavar="KEY=VALUE|KEY")
@click.option("--overwrite", is_flag=True, help="Change a label that is set already.")
@click.option("--remove", is_flag=True, help="Remove the label KEY.")
@access
@namespace
def label(
    kind: str,
    name: str,
    assignment: str,
    overwrite: bool,
    remove: bool,
    connection: Access,
    namespace: str | None,
) -> None:
    """Set or remove a label of a resource."""
    key, equals, value = assignment.partition("=")
    if bool(equals) == remove or not key:
        raise click.UsageError("give KEY=VALUE to set a label, or KEY with --remove")
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import change  # noqa: PLC0415 - only this command needs it
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    wanted = kinds.identity(kind, name, namespace)
    with connected(connection) as client:
        done = change.label(
            client, wanted, key, None if remove else value, overwrite=overwrite, word=kind
        )
    click.echo(done)


@click.command(cls=Command, examples=("calicoctl validate -f policies/ -R",))
@takes_input
def validate(given: Input) -> None:
    """Check files without a datastore."""
    from calicoctl.batch import Outcome  # noqa: PLC0415 - only this command needs it

    resources = load(given)
    if resources:
        _finish(Outcome("validate", [r.kind for r in resources], len(resources), []))


@click.command(
    "version",
    cls=Command,
    examples=("calicoctl version", "calicoctl version --client", "calicoctl version --poll=10s"),
)
@click.option("--client", "client_only", is_flag=True, help="Do not ask the cluster.")
@click.option(
    "--poll",
    metavar="DURATION",
    default="0",
    help="Ask the cluster this often (1s, 10m, 2h), and show what changed, until Ctrl-C.",
)
@access
def show_version(client_only: bool, poll: str, connection: Access) -> None:
    """Show the version of this program and of the cluster."""
    from calicoctl.commands import version  # noqa: PLC0415 - only this command needs it

    period_s = version.period_s(poll)
    click.echo(version.of_client())
    if client_only:
        return
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    try:
        with connected(Access(connection.config, any_version=True)) as client:
            for text in version.changes(client, period_s):
                click.echo(text)
    except ConfigError as error:
        click.echo("Unable to detect installed Calico version")
        click.echo(str(error), err=True)


def _watch(
    kind: str,
    names: tuple[str, ...],
    namespace: str | None,
    connection: Access,
    form: Form,
    *,
    everywhere: bool,
) -> None:
    """Print the resources of a kind, and what happens to them, until Ctrl-C."""
    import sys  # noqa: PLC0415 - only this needs it

    from calicoctl import namespaces  # noqa: PLC0415 - only this needs it
    from calicoctl.commands import follow, read  # noqa: PLC0415 - only this needs them
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver
    from libcalico.resources.registry import kind_by_name  # noqa: PLC0415 - loads the kinds

    if form.name.startswith("go-template"):
        raise click.UsageError("--watch prints tables, yaml or json")
    exact = kind_by_name(kind)
    where = namespaces.of_listing(exact, namespace, everywhere=everywhere)
    display = follow.Display(
        exact, form, namespaced=everywhere or namespace is not None, live=sys.stdout.isatty()
    )
    with connected(connection) as client:
        context = read.context_of(client, exact)
        wanted = follow.follow(client, exact, where, lambda r: not names or r.name in names)
        for happened, known in wanted:
            click.echo(display.text(happened, known, context), nl=False)
            sys.stdout.flush()


def _change(
    verb: Verb,
    given: Input,
    connection: Access,
    ignore: type[CalicoError] | None = None,
    manner: Manner = WRITTEN,
) -> None:
    """Do a verb for each resource of the input."""
    _change_all(verb, load(given, check=verb != "delete"), connection, ignore, manner)


def _change_all(
    verb: Verb,
    resources: Sequence[Resource],
    connection: Access,
    ignore: type[CalicoError] | None,
    manner: Manner = WRITTEN,
) -> None:
    if not resources:
        return
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(connection) as client:
        if manner.dry_run:
            outcome = _rehearse(verb, resources, client, ignore)
        elif manner.atomic:
            from calicoctl.commands import rehearse  # noqa: PLC0415 - loads IPAM

            outcome = rehearse.write_atomically(verb, resources, client, ignore)
        else:
            from calicoctl.commands import write  # noqa: PLC0415 - only these commands need it

            outcome = write.run(verb, resources, client, ignore=ignore, writers=_WRITERS)
    if not (manner.dry_run and outcome.succeeded):
        _finish(outcome)


def _rehearse(
    verb: Verb, resources: Sequence[Resource], client: Client, ignore: type[CalicoError] | None
) -> Outcome:
    """Print what would be done."""
    from calicoctl import differences  # noqa: PLC0415 - only this needs it
    from calicoctl.commands import rehearse  # noqa: PLC0415 - loads IPAM

    done = rehearse.rehearse(verb, resources, client, ignore)
    click.echo(differences.report(done.changes))
    return done.outcome


def _finish(outcome: Outcome) -> None:
    """Print how a batch ended and leave with its exit code."""
    if news := outcome.news():
        click.echo(news)
    if not outcome.succeeded:
        click.echo(outcome.complaint(), err=True)
        raise click.exceptions.Exit(FAILED)


def load(given: Input, *, check: bool = True) -> list[Resource]:
    """Return the resources of the input, complete and valid.

    Raises:
        click.ClickException: they are not, or there are none. Scripts know Go Calico's words for that.
    """
    from calicoctl.commands import write  # noqa: PLC0415 - only these commands need it
    from libcalico.manifests import ManifestError  # noqa: PLC0415 - as above

    if not given.filename:
        raise click.UsageError("give the resources with -f FILE (- is standard input)")
    try:
        resources = write.load(
            given.filename, given.namespace, recursive=given.recursive, check=check
        )
    except ManifestError as error:
        raise click.ClickException(f"failed to execute command: {error}") from error
    if not resources and not given.skip_empty:
        raise click.ClickException(f"no resources specified in file {given.filename}")
    return resources


def _refuse_both(given: Input) -> None:
    if given.filename:
        raise click.UsageError("give either a kind or -f FILE, not both")
