"""The plugins in a process of their own, for hosts without a resident server: the same code, slower.

Called as ``python -m calico_cni.plugin calico|calico-ipam``, by the shims. Standard output is the
protocol's; logs go to standard error, or to ``log_file_path`` of the network configuration.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from libcalico import logs
from libcalico.datastore import config
from libcalico.errors import CalicoError
from libcalico.workload.cni import parse
from libcalico.workload.cni.answer import answer, crashed
from libcalico.workload.cni.connections import Connections
from libcalico.workload.cni.model import CALICO, CALICO_IPAM, Call, Reply

_log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one call; return the exit status."""
    plugin, *options = sys.argv[1:] if argv is None else argv
    if plugin not in (CALICO, CALICO_IPAM) or options:
        return _version(options)
    call = Call(plugin, sys.stdin.buffer.read(), dict(os.environ))
    _configure_logs(call)
    reply = run(call, os.environ)
    sys.stdout.buffer.write(reply.stdout)
    sys.stdout.buffer.flush()
    return reply.exit_code


def run(call: Call, environ: Mapping[str, str]) -> Reply:
    """Answer a call; whatever goes wrong is an error object."""
    connections = Connections(lambda: config.load(environ))
    try:
        return answer(call, connections)
    except Exception as error:  # noqa: BLE001 - the edge of the process
        _log.exception("call failed by a mistake of ours")
        return crashed(call, error)
    finally:
        connections.close()


def _version(options: Sequence[str]) -> int:
    if list(options) in (["-v"], ["--version"]):
        sys.stdout.write(f"{version('calico-cni')}\n")
        return 0
    sys.stderr.write("this is a CNI plugin: a container runtime calls it without arguments\n")
    return 2


def _configure_logs(call: Call) -> None:
    """Log as the network configuration says; one that is wrong is told by the answer, not here."""
    try:
        conf = parse.net_conf(call.stdin, "VERSION")
        level = conf.log_level or "warning"
        logs.configure(level=level, file=conf.log_file or None)
    except (CalicoError, OSError):
        logs.configure(level="warning")


if __name__ == "__main__":
    sys.exit(main())
