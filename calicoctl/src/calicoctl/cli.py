"""The grammar of calicoctl. Errors become one message and an exit code here, once.

Commands import what they need when they run: help and ``version --client`` are at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from calicoctl.commands import node
from calicoctl.grammar import Command, Group, Input, config, namespace, takes_input
from libcalico.errors import AlreadyExistsError, CalicoError, NotFoundError

if TYPE_CHECKING:
    from calicoctl.batch import Outcome, Verb
    from calicoctl.commands import read
    from libcalico.client import Client
    from libcalico.resources.model import Resource

_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug")
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
#: Exit code of every failure, as in Go Calico.
FAILED = 1
_STANDARD_OUTPUT = 1


def run(arguments: Sequence[str]) -> int:
    """Run calicoctl and return its exit code; an expected error is one message on standard error."""
    try:
        code = calicoctl.main(list(arguments), prog_name="calicoctl", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        error.show()
        return FAILED
    except CalicoError as error:
        click.echo(str(error), err=True)
        return FAILED
    except OSError as error:
        return _refused_by_system(error)
    return code if isinstance(code, int) else 0


def _refused_by_system(error: OSError) -> int:
    """Say so, unless the reader of our output just went away; and stop printing."""
    if error.errno != errno.EPIPE:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"calicoctl: {place}{error.strerror or error}", err=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_OUTPUT)
    return FAILED


@click.group(
    cls=Group,
    context_settings=_HELP,
    examples=(
        "calicoctl apply -f policy.yaml",
        "calicoctl get networkpolicies -A -o wide",
        "calicoctl node status",
    ),
    epilog="The datastore is found in /etc/calico/calicoctl.cfg if there is one, else in the environment:"
    " ETCD_ENDPOINTS, ETCD_CA_CERT_FILE, ETCD_CERT_FILE, ETCD_KEY_FILE, ETCD_USERNAME, ETCD_PASSWORD.",
)
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(_LEVELS),
    default="panic",
    show_default=True,
    help="What to log on standard error.",
)
def calicoctl(log_level: str) -> None:
    """Manage Calico's resources and the services of a node."""
    from libcalico import logs  # noqa: PLC0415 - not for help

    logs.configure(log_level)


@calicoctl.command(
    examples=("calicoctl create -f pool.yaml", "calicoctl create -f policies/ --skip-exists")
)
@takes_input
@config
@click.option("--skip-exists", is_flag=True, help="What exists already is left as it is, no error.")
def create(given: Input, config: str | None, skip_exists: bool) -> None:
    """Create resources; they must not exist."""
    _change("create", given, config, AlreadyExistsError if skip_exists else None)


@calicoctl.command(examples=("calicoctl apply -f policy.yaml", "calicoctl apply -R -f policies/"))
@takes_input
@config
def apply(given: Input, config: str | None) -> None:
    """Create resources, or replace those that exist."""
    _change("apply", given, config)


@calicoctl.command(examples=("calicoctl replace -f policy.yaml",))
@takes_input
@config
def replace(given: Input, config: str | None) -> None:
    """Replace resources; they must exist.

    A document with a resourceVersion replaces that version only.
    """
    _change("replace", given, config)


@calicoctl.command(
    examples=("calicoctl delete networkpolicy web -n shop", "calicoctl delete -f policy.yaml")
)
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@takes_input
@config
@click.option("-s", "--skip-not-exists", is_flag=True, help="What does not exist is no error.")
def delete(
    given: Input,
    kind: str | None,
    names: tuple[str, ...],
    config: str | None,
    skip_not_exists: bool,
) -> None:
    """Delete resources, named on the command line or in files."""
    ignore = NotFoundError if skip_not_exists else None
    if kind is None:
        _change("delete", given, config, ignore)
        return
    _refuse_both(given)
    if not names:
        raise click.UsageError(f"say which {kind} to delete, by name")
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import write  # noqa: PLC0415 - only this command needs it

    exact, where = kinds.located(kind, given.namespace)
    _change_all("delete", write.named(exact, names, where), config, ignore)


class _ListsKinds(Command):
    """A command whose help lists the kinds."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the kinds."""
        from calicoctl import kinds  # noqa: PLC0415 - only this help needs it

        super().format_epilog(ctx, formatter)
        with formatter.section("Kinds, and other words for them"):
            formatter.write_dl(list(kinds.words()))


@calicoctl.command(
    cls=_ListsKinds,
    examples=(
        "calicoctl get nodes -o wide",
        "calicoctl get workloadendpoints -A",
        "calicoctl get networkpolicy web -n shop -o yaml --export",
    ),
)
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@takes_input
@config
@click.option(
    "-o",
    "--output",
    type=click.Choice(["ps", "wide", "yaml", "yml", "json"]),
    default="ps",
    show_default=True,
    help="Form of the output; ps is a table, wide one with more columns.",
)
@click.option("-A", "-a", "--all-namespaces", is_flag=True, help="List all namespaces.")
@click.option(
    "--export", is_flag=True, help="Leave out what belongs to this cluster only (yaml, json)."
)
def get(
    given: Input,
    kind: str | None,
    names: tuple[str, ...],
    config: str | None,
    output: read.Format,
    all_namespaces: bool,
    export: bool,
) -> None:
    """Show resources: all of a kind, by name, or those that a file names."""
    from calicoctl.commands import read  # noqa: PLC0415 - only this command needs it

    ask: Callable[[Client], read.Found]
    if kind is not None:
        _refuse_both(given)
        ask = read.by_kind(kind, names, given.namespace, everywhere=all_namespaces)
    elif given.filename:
        ask = read.by_manifest(_load(given, check=False))
    else:
        raise click.UsageError("say what to show: a kind, or -f FILE")
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(config) as client:
        found = ask(client)
        show_namespace = all_namespaces or given.namespace is not None
        text = read.render(client, found, output, show_namespace=show_namespace, export=export)
    click.echo(text, nl=False)
    for missing in found.missing:
        click.echo(missing, err=True)
    if found.missing:
        raise click.exceptions.Exit(FAILED)


@calicoctl.command(
    examples=("""calicoctl patch ippool demo -p '{"spec": {"natOutgoing": true}}'""",)
)
@click.argument("kind")
@click.argument("name")
@click.option("-p", "--patch", "text", required=True, metavar="JSON", help="What to change.")
@click.option(
    "-t",
    "--type",
    "form",
    type=click.Choice(["strategic", "merge"]),
    default="strategic",
    help="Both mean the same for Calico's resources: objects are merged, lists replaced.",
)
@config
@namespace
def patch(
    kind: str, name: str, text: str, form: str, config: str | None, namespace: str | None
) -> None:
    """Change some fields of a resource; null removes a field."""
    del form  # none of these kinds has a list that a strategic merge would merge
    from calicoctl import kinds  # noqa: PLC0415 - loads the kinds
    from calicoctl.commands import change  # noqa: PLC0415 - only this command needs it

    wanted = kinds.identity(kind, name, namespace)
    changes = change.parse_patch(text)
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(config) as client:
        change.patch(client, wanted, changes)
    click.echo(f"Successfully patched 1 '{wanted.kind}' resource")


@calicoctl.command(
    examples=(
        "calicoctl label nodes host-1 rack=r1",
        "calicoctl label nodes host-1 rack --remove",
    )
)
@click.argument("kind")
@click.argument("name")
@click.argument("assignment", metavar="KEY=VALUE|KEY")
@click.option("--overwrite", is_flag=True, help="Change a label that is set already.")
@click.option("--remove", is_flag=True, help="Remove the label KEY.")
@config
@namespace
def label(
    kind: str,
    name: str,
    assignment: str,
    overwrite: bool,
    remove: bool,
    config: str | None,
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
    with connected(config) as client:
        done = change.label(client, wanted, key, None if remove else value, overwrite=overwrite)
    click.echo(done)


@calicoctl.command(examples=("calicoctl validate -f policies/ -R",))
@takes_input
def validate(given: Input) -> None:
    """Check files without a datastore."""
    from calicoctl.batch import Outcome  # noqa: PLC0415 - only this command needs it

    resources = _load(given)
    if resources:
        _finish(Outcome("validate", [r.kind for r in resources], len(resources), []))


@calicoctl.command("version", examples=("calicoctl version", "calicoctl version --client"))
@click.option("--client", "client_only", is_flag=True, help="Do not ask the cluster.")
@config
def show_version(client_only: bool, config: str | None) -> None:
    """Show the version of this program and of the cluster."""
    from calicoctl.commands import version  # noqa: PLC0415 - only this command needs it

    click.echo(version.of_client())
    if not client_only:
        from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

        with connected(config) as client:
            click.echo(version.of_cluster(client))


def _change(
    verb: Verb, given: Input, config: str | None, ignore: type[CalicoError] | None = None
) -> None:
    """Do a verb for each resource of the input."""
    _change_all(verb, _load(given, check=verb != "delete"), config, ignore)


def _change_all(
    verb: Verb, resources: Sequence[Resource], config: str | None, ignore: type[CalicoError] | None
) -> None:
    if not resources:
        return
    from calicoctl.commands import write  # noqa: PLC0415 - only these commands need it
    from calicoctl.session import connected  # noqa: PLC0415 - loads the driver

    with connected(config) as client:
        outcome = write.run(verb, resources, client, ignore=ignore)
    _finish(outcome)


def _finish(outcome: Outcome) -> None:
    """Print how a batch ended and leave with its exit code."""
    click.echo(outcome.text(), err=not outcome.succeeded)
    if not outcome.succeeded:
        raise click.exceptions.Exit(FAILED)


def _load(given: Input, *, check: bool = True) -> list[Resource]:
    from calicoctl.commands import write  # noqa: PLC0415 - only these commands need it

    if not given.filename:
        raise click.UsageError("give the resources with -f FILE (- is standard input)")
    resources = write.load(given.filename, given.namespace, recursive=given.recursive, check=check)
    if not resources and not given.skip_empty:
        raise click.ClickException(f"no resources specified in file {given.filename}")
    return resources


def _refuse_both(given: Input) -> None:
    if given.filename:
        raise click.UsageError("give either a kind or -f FILE, not both")


calicoctl.add_command(node.node)
