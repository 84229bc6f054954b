"""Addresses of a workload: from Calico's IPAM, in process, or from another plugin by the CNI protocol.

``calico-ipam`` is the same code as the in-process way, as a plugin of its own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from libcalico import process
from libcalico.errors import CalicoError, ProcessError
from libcalico.net.addresses import parse_interface
from libcalico.workload.apply import Workloads
from libcalico.workload.cni import identity, results
from libcalico.workload.cni.errors import (
    CHECK_FAILED,
    FAILED,
    INVALID_CONFIGURATION,
    IO_FAILURE,
    UNDECODABLE,
    CniError,
)
from libcalico.workload.cni.model import Args, IpamConf, IpConfig, NetConf, Result, RouteConfig
from libcalico.workload.model import AddressRequest, Identity

_log = logging.getLogger(__name__)
_TIMEOUT_S = 90.0


def section(conf: NetConf) -> IpamConf:
    """Return the ``ipam`` section. Raises CniError if there is none."""
    if conf.ipam is None:
        raise CniError(
            INVALID_CONFIGURATION,
            "network configuration: ipam.type: missing; for example 'calico-ipam'",
        )
    return conf.ipam


def request(args: Args, conf: NetConf, who: Identity) -> AddressRequest:
    """Return what to ask Calico's IPAM for."""
    ours = section(conf)
    return AddressRequest(
        handle=identity.handle(conf.name, args.container_id),
        num4=ours.num4,
        num6=ours.num6,
        pools4=ours.pools4,
        pools6=ours.pools6,
        wanted=wanted(args, conf),
        attributes=_attributes(who, datetime.now(UTC)),
    )


def wanted(args: Args, conf: NetConf) -> list[str]:
    """Return the particular addresses that the runtime or the operator asks for, without prefix length."""
    texts = [*conf.addresses, *args.extra.get("IP", "").split(",")]
    return list(dict.fromkeys(parse_interface(text).address for text in texts if text))


def _attributes(who: Identity, now: datetime) -> dict[str, str]:
    """Return what IPAM keeps about the owner. Source: ``calico-control-plane.md`` 5.3."""
    fraction = f"{now:%f}".rstrip("0")
    time = f"{now:%Y-%m-%d %H:%M:%S}{'.' if fraction else ''}{fraction} +0000 UTC"
    pod = {"namespace": who.namespace, "pod": who.pod} if who.pod else {}
    return {"node": who.node, "timestamp": time} | pod


class CalicoIpam:
    """The verbs of ``calico-ipam``."""

    def __init__(self, workloads: Workloads) -> None:
        self._workloads = workloads

    def add(self, args: Args, conf: NetConf, who: Identity) -> Result:
        """Assign addresses."""
        given = self._workloads.assign(request(args, conf, who), who.node)
        ips = [IpConfig(address.cidr) for address in given]
        return Result(ips=ips, routes=[RouteConfig(ip.address) for ip in ips])

    def delete(self, args: Args, conf: NetConf) -> None:
        """Release the container's addresses; none is no error."""
        self._workloads.ipam.release_if_any(identity.handle(conf.name, args.container_id))

    def check(self, args: Args, conf: NetConf) -> None:
        """Check that the container owns the addresses that it was told."""
        handle = identity.handle(conf.name, args.container_id)
        expected = results.decode(conf.prev_result or {}).ips
        owned = self._workloads.ipam.ips_by_handle(handle)
        lost = [str(ip.address) for ip in expected if ip.address.address not in owned]
        if lost:
            raise CniError(CHECK_FAILED, f"IPAM handle {handle} does not own {', '.join(lost)}")


@dataclass(frozen=True, slots=True)
class Delegate:
    """Another IPAM plugin, called as a runtime would call it.

    Attributes:
        environ: of the call, passed on.
        stdin: likewise.
    """

    plugin: str
    args: Args
    environ: Mapping[str, str]
    stdin: bytes

    def add(self) -> Result:
        """Have it assign addresses, as /32 and /128 whatever their network."""
        result = results.decode(self._call("ADD") or {})
        if not result.ips:
            raise CniError(FAILED, f"IPAM plugin {self.plugin!r} assigned no address")
        return result

    def delete(self) -> None:
        """Have it release what it assigned."""
        self._call("DEL")

    def check(self) -> None:
        """Have it check what it assigned."""
        self._call("CHECK")

    def garbage_collect(self) -> None:
        """Have it release what is not in use any more."""
        self._call("GC")

    def release_quietly(self) -> None:
        """Release what it assigned; a failure is logged, because an earlier one is to be told."""
        try:
            self.delete()
        except CalicoError as error:
            _log.warning("undo failed step='release addresses' error=%r", str(error))

    def _call(self, command: str) -> dict[str, Any] | None:
        program = self.find()
        environ = {**self.environ, "CNI_COMMAND": command}
        try:
            done = process.run(
                [program],
                stdin=self.stdin.decode(),
                env=environ,
                timeout_s=_TIMEOUT_S,
                check=False,
            )
        except ProcessError as error:
            raise CniError(IO_FAILURE, f"IPAM plugin {self.plugin!r}: {error}") from error
        printed = self._decode(done.stdout)
        if done.returncode != 0:
            raise self._failure(printed, done.stderr)
        return printed

    def find(self) -> str:
        """Return its program. Raises CniError if it is not installed."""
        name = self.plugin
        for folder in self.args.path:
            path = Path(folder) / name
            if "/" not in name and path.is_file() and os.access(path, os.X_OK):
                return str(path)
        folders = ":".join(self.args.path)
        raise CniError(
            INVALID_CONFIGURATION,
            f"ipam.type: IPAM plugin {name!r} was not found in CNI_PATH ({folders})",
        )

    def _decode(self, stdout: str) -> dict[str, Any] | None:
        if not stdout.strip():
            return None
        try:
            printed = msgspec.json.decode(stdout)
        except msgspec.DecodeError as problem:
            raise CniError(
                UNDECODABLE, f"IPAM plugin {self.plugin!r} printed no JSON: {problem}"
            ) from problem
        return printed if isinstance(printed, dict) else None

    def _failure(self, printed: Mapping[str, Any] | None, stderr: str) -> CniError:
        told = printed or {}
        code = told.get("code")
        text = str(told.get("msg") or stderr.strip()[-500:] or "it failed without a word")
        return CniError(
            code if isinstance(code, int) else FAILED,
            f"IPAM plugin {self.plugin!r}: {text}",
            str(told.get("details") or ""),
        )
