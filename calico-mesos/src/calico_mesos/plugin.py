"""The command: one request on standard input until its end, one reply on standard output.

The agent starts it anew for each request, without arguments, and looks at the reply only: so whatever
goes wrong is a text in the reply, on one line, and the exit status is 0. The agent reads standard error
never, so the log goes into a file.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from importlib.metadata import version
from pathlib import Path

from calico_mesos import wire
from calico_mesos.apply import Isolator
from calico_mesos.plan import Place
from libcalico import logs
from libcalico.client import Client
from libcalico.datastore import config
from libcalico.errors import CalicoError, ConfigError
from libcalico.ipam import IpamClient
from libcalico.workload import Workloads
from libcalico.workload.cni import host
from libcalico.workload.cni.errors import CniError
from libcalico.workload.cni.model import CALICO, OLDEST, NetConf
from libcalico.workload.cni.plugin import require_ready

_log = logging.getLogger(__name__)
_LEVEL, _FILE = "CALICO_MESOS_LOG_LEVEL", "CALICO_MESOS_LOG_FILE"
_EPILOG = f"""\
The Mesos agent calls it: set isolator_command and ipam_command in modules.json to its path. By hand:

  echo '{{"command": "release", "args": {{"ips": ["10.65.0.1"]}}}}' | calico-mesos

The datastore is found in --config, in {config.DEFAULT_FILE} if it exists, or else by ETCD_ENDPOINTS and the
other variables that calicoctl knows. This node's name is CALICO_NODENAME, or what calico-node wrote to
CALICO_NODENAME_FILE (/var/lib/calico/nodename). The log is {_FILE}
(/var/log/calico/mesos.log if there is such a directory), of {_LEVEL} (info)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one request; return the exit status."""
    options = _parser().parse_args(argv)
    data = sys.stdin.buffer.read()

    def opened() -> AbstractContextManager[Isolator]:
        return open_isolator(os.environ, options.config)

    sys.stdout.buffer.write(respond(data, os.environ, opened) + b"\n")
    sys.stdout.buffer.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="calico-mesos",
        description="Calico's network isolator and IPAM for the Mesos agent (net-modules protocol).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("calico-mesos"))
    parser.add_argument(
        "-c", "--config", type=Path, metavar="FILE", help="where the datastore is, as for calicoctl"
    )
    return parser


def respond(
    data: bytes, environ: Mapping[str, str], opened: Callable[[], AbstractContextManager[Isolator]]
) -> bytes:
    """Return the reply to a request; whatever goes wrong is told in it.

    Args:
        data: the request.
        environ: says how to log.
        opened: opens what answers it.
    """
    about = "request"
    try:
        _configure_logs(environ)
        request = wire.decode(data)
        about = _about(request)
        with opened() as isolator:
            reply = isolator.answer(request)
    except CalicoError as error:
        _log.error("request failed about=%r error=%s", about, _one_line(error))
        return wire.failed(_one_line(error))
    except Exception as error:  # noqa: BLE001 - the edge of the process
        _log.exception("request failed by a mistake of ours about=%r", about)
        return wire.failed(f"calico-mesos failed by a mistake of its own: {error!r}")
    _log.info("request done about=%r", about)
    return reply


def _about(request: wire.Request) -> str:
    """Return what a request is about, for the log: ``isolate c1``."""
    if isinstance(request, wire.Isolate | wire.Cleanup):
        subject = request.args.container_id
    elif isinstance(request, wire.Release):
        subject = request.args.uid or ",".join(request.args.ips)
    else:
        subject = request.args.uid
    return f"{type(request).__name__.lower()} {subject}"


@contextmanager
def open_isolator(environ: Mapping[str, str], file: Path | None) -> Iterator[Isolator]:
    """Connect to the datastore as configured.

    Raises:
        CalicoError: it is not configured, not reachable or not ready, or this node has no name.
    """
    place = _place(environ)
    with closing(config.connect(config.load(environ, file))) as backend:
        ipam = IpamClient(backend)
        client = Client(backend, addresses=ipam)
        require_ready(client)
        yield Isolator(Workloads(client, ipam), place)


def _place(environ: Mapping[str, str]) -> Place:
    """Return what this host is called, by the rules that hold for CNI, and its MTU."""
    folder = environ.get("CALICO_LIB_DIR") or "/var/lib/calico"
    conf = NetConf(
        version=OLDEST,
        name="mesos",
        type=CALICO,
        ipam=None,
        nodename=environ.get("CALICO_NODENAME", ""),
        nodename_file=environ.get("CALICO_NODENAME_FILE") or f"{folder}/nodename",
    )
    try:
        return Place(host.node_name(conf), host.mtu(conf))
    except CniError as error:
        hint = "start calico-node on this host, or set CALICO_NODENAME"
        raise ConfigError(f"{error}; {hint}") from error


def _configure_logs(environ: Mapping[str, str]) -> None:
    level = environ.get(_LEVEL) or "info"
    if environ.get(_FILE):
        logs.configure(level, environ[_FILE], environ)
        return
    file = Path(environ.get("CALICO_LOG_DIR") or "/var/log/calico") / "mesos.log"
    try:
        logs.configure(level, file, environ)
    except ConfigError:
        # Nobody asked for that file. Standard error is better than nothing, if somebody reads it.
        logs.configure(environ.get(_LEVEL) or "error", None, environ)


def _one_line(error: CalicoError) -> str:
    text = str(error)
    if isinstance(error, CniError) and error.details:
        text += f"; {error.details}"
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
