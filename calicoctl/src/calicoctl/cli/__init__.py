"""The grammar of calicoctl. Errors become one message and an exit code here, once.

One module for each family of commands, loaded when one of them is called or listed. They import what
does the work when they run: help and ``version --client`` are at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from calicoctl.grammar import Group, accepts_access
from libcalico.errors import CalicoError

_LEVELS = ("panic", "fatal", "error", "warn", "info", "debug")
#: Other words for them, which Go Calico takes as well.
_SYNONYMS = {"warning": "warn"}
_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
#: Exit code of every failure, as in Go Calico.
FAILED = 1
_STANDARD_OUTPUT = 1
_RESOURCES = "calicoctl.cli.resources"
#: Command → where it is.
_COMMANDS = {
    "apply": f"{_RESOURCES}:apply",
    "bgp": "calicoctl.cli.imperative:bgp",
    "checksystem": "calicoctl.cli.renamed:checksystem",
    "cluster": "calicoctl.cli.cluster:cluster",
    "completion": "calicoctl.cli.completion:completion",
    "config": "calicoctl.cli.imperative:config",
    "container": "calicoctl.cli.container:container",
    "create": f"{_RESOURCES}:create",
    "datastore": "calicoctl.cli.datastore:datastore",
    "delete": f"{_RESOURCES}:delete",
    "history": "calicoctl.cli.past:history",
    "ipam": "calicoctl.cli.ipam:ipam",
    "diags": "calicoctl.cli.renamed:diags",
    "diff": "calicoctl.cli.past:diff",
    "endpoint": "calicoctl.cli.endpoint:endpoint",
    "get": f"{_RESOURCES}:get",
    "label": f"{_RESOURCES}:label",
    "node": "calicoctl.commands.node:node",
    "patch": f"{_RESOURCES}:patch",
    "pool": "calicoctl.cli.imperative:pool",
    "profile": "calicoctl.cli.profile:profile",
    "replace": f"{_RESOURCES}:replace",
    "rollback": "calicoctl.cli.past:rollback",
    "status": "calicoctl.cli.renamed:status",
    "validate": f"{_RESOURCES}:validate",
    "version": f"{_RESOURCES}:show_version",
}


def run(arguments: Sequence[str]) -> int:
    """Run calicoctl and return its exit code; an expected error is one message on standard error."""
    try:
        code = calicoctl.main(list(arguments), prog_name="calicoctl", standalone_mode=False)
        sys.stdout.flush()
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        click.echo(_usage_text(error, arguments), err=True)
        return FAILED
    except click.ClickException as error:
        click.echo(error.format_message(), err=True)
        return FAILED
    except CalicoError as error:
        click.echo(str(error), err=True)
        return FAILED
    except OSError as error:
        return _refused_by_system(error)
    return code if isinstance(code, int) else 0


def _usage_text(error: click.UsageError, arguments: Sequence[str]) -> str:
    """Return Go Calico's sentence, which scripts may look for, what is wrong, and what would be right."""
    first = f"invalid option: '{' '.join(['calicoctl', *arguments])}'."
    if isinstance(error, click.NoSuchCommand) and error.ctx and error.ctx.parent is None:
        first = f'unknown command: "{error.command_name}".'
    lines = [f"{first} Use flag '--help' to read about a specific subcommand"]
    lines.append(error.format_message())
    return "\n".join([*lines, error.ctx.get_usage()] if error.ctx else lines)


class _Level(click.Choice[str]):
    """A log level; of others Go Calico says that they are unknown."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """As click does."""
        try:
            return super().convert(_SYNONYMS.get(value.lower(), value.lower()), param, ctx)
        except click.BadParameter as error:
            known = ", ".join(_LEVELS)
            raise click.ClickException(f"Unknown log level: {value}; there are {known}") from error


def _refused_by_system(error: OSError) -> int:
    """Say so, unless the reader of our output just went away; and stop printing."""
    if error.errno != errno.EPIPE:
        place = f"{error.filename}: " if error.filename else ""
        click.echo(f"calicoctl: {place}{error.strerror or error}", err=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STANDARD_OUTPUT)
    return FAILED


@click.group(
    cls=Group,
    lazy=_COMMANDS,
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
    type=_Level(_LEVELS),
    default="panic",
    show_default=True,
    help="What to log on standard error.",
)
@accepts_access
def calicoctl(log_level: str) -> None:
    """Manage Calico's resources and the services of a node."""
    from libcalico import logs  # noqa: PLC0415 - not for help

    logs.configure(log_level)
