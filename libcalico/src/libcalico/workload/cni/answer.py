"""One call in, one reply out: the same in the plugins' own process and in the resident server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libcalico.errors import CalicoError
from libcalico.resources.codec import encode_json
from libcalico.workload.cni import errors, host, identity, ipam, parse, results
from libcalico.workload.cni.connections import Connections
from libcalico.workload.cni.errors import FAILED, CniError
from libcalico.workload.cni.model import CALICO_IPAM, OLDEST, Args, Call, NetConf, Reply, Result
from libcalico.workload.cni.plugin import CalicoPlugin, Maintenance, require_ready


def answer(call: Call, connections: Connections) -> Reply:
    """Do what a call asks.

    Returns:
        The result, or an error object with exit code 1. Never raises CalicoError.
    """
    try:
        return Reply(_printed(_done(call, connections)))
    except CalicoError as error:
        return failed(call, errors.from_error(error))


def failed(call: Call, error: CniError) -> Reply:
    """Return the reply that tells of an error."""
    document = results.error(parse.version_of(call.stdin), error)
    return Reply(_printed(document), 1)


def crashed(call: Call, error: BaseException) -> Reply:
    """Return the reply that tells of a mistake of ours, for process edges."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return failed(call, CniError(FAILED, f"internal error: {text}", "see the log"))


def _printed(document: Mapping[str, Any] | None) -> bytes:
    return b"" if document is None else encode_json(document) + b"\n"


def _done(call: Call, connections: Connections) -> dict[str, Any] | None:
    args = parse.args(call.environ)
    if args.command == "VERSION":
        asked = parse.document(call.stdin).get("cniVersion") if call.stdin.strip() else None
        return results.supported(asked if isinstance(asked, str) and asked else OLDEST)
    conf = parse.net_conf(call.stdin, args.command)
    result = _run(call, args, conf, connections)
    return None if result is None else results.encode(result, conf.version)


def _run(call: Call, args: Args, conf: NetConf, connections: Connections) -> Result | None:
    workloads = connections.workloads(conf)
    if args.command in ("GC", "STATUS"):
        maintenance = Maintenance(workloads, conf, call)
        if args.command == "STATUS":
            maintenance.status()
        else:
            maintenance.garbage_collect(args)
        return None
    if call.plugin == CALICO_IPAM:
        return _run_ipam(args, conf, connections)
    plugin = CalicoPlugin(workloads, args, conf, call)
    if args.command == "ADD":
        return plugin.add()
    if args.command == "DEL":
        plugin.delete()
    else:
        plugin.check()
    return None


def _run_ipam(args: Args, conf: NetConf, connections: Connections) -> Result | None:
    workloads = connections.workloads(conf)
    require_ready(workloads.client)
    ours = ipam.CalicoIpam(workloads)
    if args.command == "ADD":
        return ours.add(args, conf, identity.identity(args, conf, host.node_name(conf)))
    if args.command == "DEL":
        ours.delete(args, conf)
    else:
        ours.check(args, conf)
    return None
