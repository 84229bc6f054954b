"""The grammar of calicoctl. Errors become one message and an exit code here, once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from calicoctl import namespaces
from calicoctl.batch import Outcome
from calicoctl.commands import change, node, read, version, write
from calicoctl.session import connected
from libcalico import logs
from libcalico.errors import AlreadyExistsError, CalicoError, NotFoundError
from libcalico.resources.model import ResourceId
from libcalico.resources.registry import kind_by_name

_LEVELS = {
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
#: Exit code of every failure, as in Go Calico.
FAILED = 1

Command = Callable[..., Any]


def main() -> NoReturn:
    """Run calicoctl; an expected error is one message on standard error and exit code 1."""
    try:
        calicoctl.main(standalone_mode=False)
    except click.exceptions.Exit as wanted:
        sys.exit(wanted.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(FAILED)
    except CalicoError as error:
        click.echo(str(error), err=True)
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.exit(FAILED)
    sys.exit(0)


@click.group(
    context_settings=_HELP,
    epilog="The datastore is found in /etc/calico/calicoctl.cfg, or in ETCD_ENDPOINTS and its like.",
)
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(list(_LEVELS)),
    default="panic",
    show_default=True,
    help="What to log on standard error.",
)
def calicoctl(log_level: str) -> None:
    r"""Manage Calico's resources and the services of a node.

    \b
    Examples:
      calicoctl apply -f policy.yaml
      calicoctl get networkpolicies -A -o wide
      calicoctl node status
    """
    logs.configure(log_level)


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_config = click.option(
    "-c",
    "--config",
    metavar="FILE",
    help="Datastore settings in place of /etc/calico/calicoctl.cfg.",
)
_file = click.option(
    "-f", "--filename", metavar="FILE", help="A file, a folder, or - for standard input."
)
_recursive = click.option(
    "-R", "--recursive", is_flag=True, help="Read the folder's folders as well."
)
_skip_empty = click.option(
    "--skip-empty", is_flag=True, help="An input without resources is no error."
)
_namespace = click.option(
    "-n", "--namespace", metavar="NS", help="Namespace of namespaced resources  [default: default]"
)
_input = _options(_file, _recursive, _skip_empty, _config, _namespace)


def _load(filename: str | None, namespace: str | None, *, recursive: bool, skip_empty: bool) -> Any:
    if not filename:
        raise click.UsageError("give the resources with -f FILE (- is standard input)")
    resources = write.load(filename, namespace, recursive=recursive)
    if not resources and not skip_empty:
        raise click.ClickException(f"no resources specified in file {filename}")
    return resources


def _finish(outcome: Outcome) -> None:
    """Print how a batch ended and leave with its exit code."""
    click.echo(outcome.text(), err=not outcome.succeeded)
    if not outcome.succeeded:
        raise click.exceptions.Exit(FAILED)


@calicoctl.command()
@_input
@click.option("--skip-exists", is_flag=True, help="What exists already is left as it is, no error.")
def create(
    filename: str,
    recursive: bool,
    skip_empty: bool,
    config: str,
    namespace: str,
    skip_exists: bool,
) -> None:
    r"""Create resources; they must not exist.

    \b
    Example: calicoctl create -f pool.yaml
    """
    resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
    ignore = AlreadyExistsError if skip_exists else None
    if resources:
        with connected(config) as client:
            _finish(write.run("create", resources, client, ignore=ignore))


@calicoctl.command()
@_input
def apply(filename: str, recursive: bool, skip_empty: bool, config: str, namespace: str) -> None:
    r"""Create resources, or replace those that exist.

    \b
    Examples:
      calicoctl apply -f policy.yaml
      cat *.yaml | calicoctl apply -f -
    """
    resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
    if resources:
        with connected(config) as client:
            _finish(write.run("apply", resources, client))


@calicoctl.command()
@_input
def replace(filename: str, recursive: bool, skip_empty: bool, config: str, namespace: str) -> None:
    r"""Replace resources; they must exist.

    \b
    Example: calicoctl replace -f policy.yaml
    """
    resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
    if resources:
        with connected(config) as client:
            _finish(write.run("replace", resources, client))


@calicoctl.command()
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_input
@click.option("-s", "--skip-not-exists", is_flag=True, help="What does not exist is no error.")
def delete(
    kind: str | None,
    names: tuple[str, ...],
    filename: str,
    recursive: bool,
    skip_empty: bool,
    config: str,
    namespace: str,
    skip_not_exists: bool,
) -> None:
    r"""Delete resources, named on the command line or in files.

    \b
    Examples:
      calicoctl delete networkpolicy web -n shop
      calicoctl delete -f policy.yaml
    r
    """
    if kind is None:
        resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
        ignore = NotFoundError if skip_not_exists else None
        if resources:
            with connected(config) as client:
                _finish(write.run("delete", resources, client, ignore=ignore))
        return
    exact = kind_by_name(kind)
    if not names:
        raise click.UsageError(f"say which {exact} to delete by name")
    where = namespaces.of_listing(exact, namespace, everywhere=False)
    with connected(config) as client:
        _finish(write.delete_named(client, exact, names, where, skip_missing=skip_not_exists))


@calicoctl.command(epilog=f"\b\nKinds, and other words for them:\n{read.kinds()}")
@click.argument("kind", required=False)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@_input
@click.option(
    "-o",
    "--output",
    type=click.Choice(["ps", "wide", "yaml", "json"]),
    default="ps",
    show_default=True,
    help="Form of the output.",
)
@click.option("-A", "-a", "--all-namespaces", is_flag=True, help="List all namespaces.")
@click.option("--export", is_flag=True, help="Leave out what belongs to this cluster only.")
def get(
    kind: str | None,
    names: tuple[str, ...],
    filename: str | None,
    recursive: bool,
    skip_empty: bool,
    config: str,
    namespace: str,
    output: read.Format,
    all_namespaces: bool,
    export: bool,
) -> None:
    r"""Show resources.

    \b
    Examples:
      calicoctl get nodes -o wide
      calicoctl get workloadendpoints -A
      calicoctl get networkpolicy web -n shop -o yaml --export
    """
    if kind is None and not filename:
        raise click.UsageError("say what to show: a kind, or -f FILE")
    with connected(config) as client:
        if kind is not None:
            exact = kind_by_name(kind)
            found = read.by_kind(client, exact, names, namespace, everywhere=all_namespaces)
        else:
            resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
            found = read.by_manifest(client, resources)
        show_namespace = all_namespaces or namespace is not None
        text = read.render(
            client, found, output, show_namespace=show_namespace, export=export and bool(names)
        )
    click.echo(text, nl=False)
    for missing in found.missing:
        click.echo(missing, err=True)
    if found.missing:
        raise click.exceptions.Exit(FAILED)


@calicoctl.command()
@click.argument("kind")
@click.argument("name")
@click.option("-p", "--patch", "text", required=True, metavar="JSON", help="What to change.")
@click.option(
    "-t",
    "--type",
    "form",
    type=click.Choice(["strategic", "merge"]),
    default="strategic",
    help="Both merge objects and replace lists.",
)
@_config
@_namespace
def patch(kind: str, name: str, text: str, form: str, config: str, namespace: str) -> None:
    r"""Change some fields of a resource.

    \b
    Example: calicoctl patch ippool demo -p '{"spec": {"natOutgoing": true}}'
    """
    del form  # a strategic merge of these kinds is a merge
    exact = kind_by_name(kind)
    where = namespaces.of_listing(exact, namespace, everywhere=False)
    changes = change.parse_patch(text)
    with connected(config) as client:
        change.patch(client, ResourceId(exact, where, name), changes)
    click.echo(f"Successfully patched 1 '{exact}' resource")


@calicoctl.command()
@click.argument("kind")
@click.argument("name")
@click.argument("assignment", metavar="KEY=VALUE|KEY")
@click.option("--overwrite", is_flag=True, help="Change a label that is set already.")
@click.option("--remove", is_flag=True, help="Remove the label KEY.")
@_config
@_namespace
def label(
    kind: str,
    name: str,
    assignment: str,
    overwrite: bool,
    remove: bool,
    config: str,
    namespace: str,
) -> None:
    r"""Set or remove a label of a resource.

    \b
    Examples:
      calicoctl label nodes host-1 rack=r1
      calicoctl label nodes host-1 rack --remove
    """
    key, equals, value = assignment.partition("=")
    if bool(equals) == remove or not key:
        raise click.UsageError("give KEY=VALUE to set a label, or KEY with --remove")
    exact = kind_by_name(kind)
    where = namespaces.of_listing(exact, namespace, everywhere=False)
    with connected(config) as client:
        wanted = ResourceId(exact, where, name)
        done = change.label(client, wanted, key, None if remove else value, overwrite=overwrite)
    click.echo(done)


@calicoctl.command()
@_options(_file, _recursive, _skip_empty, _namespace)
def validate(filename: str, recursive: bool, skip_empty: bool, namespace: str) -> None:
    r"""Check files without a datastore.

    \b
    Example: calicoctl validate -f policies/ -R
    """
    resources = _load(filename, namespace, recursive=recursive, skip_empty=skip_empty)
    _finish(Outcome("validate", [r.kind for r in resources], len(resources), []))


@calicoctl.command("version")
@click.option("--client", "client_only", is_flag=True, help="Do not ask the cluster.")
@_config
def show_version(client_only: bool, config: str) -> None:
    """Show the version of this program and of the cluster."""
    click.echo(version.of_client())
    if client_only:
        return
    with connected(config) as client:
        cluster = version.of_cluster(client)
    if cluster is None:
        raise click.ClickException(
            "the datastore holds no cluster yet; it is initialised by the first calicoctl create or"
            " apply, or by the first node that starts"
        )
    click.echo(cluster)


calicoctl.add_command(node.node)
