"""One service in the foreground: felix, bgp and workloads; and felix's commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module

import click


@click.group(invoke_without_command=True)
@click.pass_context
def felix(context: click.Context) -> None:
    """Run Felix, which enforces policy, in the foreground.

    SIGUSR1 makes it write its state to /var/run/calico/felix-state.txt.
    """
    if context.invoked_subcommand is None:
        _run_agent("calico_node.felix.daemon", os.environ)


@felix.command()
@click.option("--node", help="The node's name.  [default: this host's]")
@click.option(
    "--filename", "-f", "files", multiple=True, help="Read this file, folder or '-', no datastore."
)
def render(*, node: str | None, files: tuple[str, ...]) -> None:
    """Print the nftables table that Felix would program on a node, and change nothing.

    Reads the datastore, or YAML and JSON resources in its place. What is wrong with an object is said on
    standard error. felix.cfg and FELIX_ variables of this host count for this host only.

    \b
    Examples:
      calico-node felix render --node rack1-a
      calicoctl get globalnetworkpolicies -o yaml | calico-node felix render --node a -f - -f rest/
    """
    from calico_node.felix.preview import preview  # noqa: PLC0415 - only this command needs it
    from libcalico.manifests import ManifestError  # noqa: PLC0415 - as above

    try:
        rendering = preview(os.environ, node, files)
    except ManifestError as error:
        for problem in error.problems:
            click.echo(f"calico-node: {problem}", err=True)
        raise click.exceptions.Exit(1) from None
    for problem in rendering.problems:
        click.echo(f"calico-node: {problem}", err=True)
    click.echo(rendering.text, nl=False)


@click.command()
def bgp() -> None:
    """Run the BGP agent, which configures BIRD, in the foreground.

    Passwords of sessions are read from /etc/calico/bgp-secrets/<secret>/<key>; SIGHUP reads them again.
    """
    _run_agent("calico_node.bgp.agent", os.environ)


@click.command()
def workloads() -> None:
    """Run the workload server, which the plugins ask to attach workloads, in the foreground."""
    _run_agent("calico_node.workloads", os.environ)


def _run_agent(module: str, environ: Mapping[str, str]) -> None:
    """Run an agent's ``main(environ) -> exit code``; its modules load only if it is asked for."""
    raise click.exceptions.Exit(import_module(module).main(environ))
