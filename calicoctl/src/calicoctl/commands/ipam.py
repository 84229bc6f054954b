"""ipam: what the commands ask of the datastore, and in which order."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from calicoctl import ipam_report
from calicoctl.ipam_report import Findings, Inventory
from libcalico.client import Client
from libcalico.errors import ConfigError, IpamError, NotFoundError, ValidationError
from libcalico.ipam import IpamClient, IpamConfig, ReleaseRequest
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.resources.clusterinfo import ClusterInformation
from libcalico.resources.ippools import IPPool

_LOCK = "Run the `calicoctl datastore migrate lock` command in order"


def of(client: Client) -> IpamClient:
    """Return IPAM on the client's datastore."""
    return IpamClient(client.backend)


def canonical(address: str) -> str:
    """Return an address as IPAM writes it.

    Raises:
        ValidationError: it is none.
    """
    try:
        return parse_address(address).address
    except ValidationError as error:
        raise ValidationError(f"invalid IP address: {error}") from error


def cluster(client: Client) -> ClusterInformation:
    """Return the cluster's information; empty if the datastore holds no cluster yet."""
    try:
        return client.clusterinformations.get("default")
    except NotFoundError:
        return ClusterInformation()


def require_locked(client: Client, purpose: str) -> None:
    """Refuse to go on unless the datastore is locked.

    Raises:
        ConfigError: it is not. Text as in Go Calico.
    """
    if cluster(client).spec.datastore_ready is not False:
        raise ConfigError(f"datastore is not locked. {_LOCK} {purpose}")


def check(client: Client) -> tuple[Inventory, Findings]:
    """Read everything that has or uses addresses, and compare."""
    known = ipam_report.inventory(
        of(client).audit(),
        client.ippools.list(),
        client.workloadendpoints.list(),
        client.nodes.list(),
    )
    return known, ipam_report.compare(known)


def release(client: Client, address: str) -> bool:
    """Free an address; return whether it was assigned."""
    return not of(client).release_ips([ReleaseRequest(address)])


def release_leaked(client: Client, files: Sequence[str], *, force: bool) -> tuple[int, int]:
    """Free what all reports call leaked; return how many addresses were freed, and how many not.

    Raises:
        ConfigError: the datastore is not locked, and ``force`` is not given.
        ValidationError: a file is no report, or of another cluster.
    """
    reports = [_report(Path(file)) for file in files]
    if not force:
        require_locked(client, "to release addresses from a report")
    requests = ipam_report.leaked_in_all(reports, cluster(client).spec.cluster_guid)
    freed = 0
    for request in requests:
        try:
            freed += not of(client).release_ips([request])
        except (IpamError, ValidationError):
            continue
    return freed, len(requests) - freed


def _report(path: Path) -> Mapping[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"{path}: is not JSON: {error}") from error
    if not isinstance(report, dict):
        raise ValidationError(f"{path}: is no report of calicoctl ipam check")
    return report


def split(client: Client, number: int, *, cidr: str | None, name: str | None) -> list[IPPool]:
    """Split a pool named by its CIDR or its name.

    Raises:
        ConfigError: the datastore is not locked.
        NotFoundError: there is no such pool.
    """
    require_locked(client, "split the IP pools")
    return client.split_pool(_pool(client, cidr, name), number)


def _pool(client: Client, cidr: str | None, name: str | None) -> IPPool:
    wanted = parse_cidr(cidr, strict=False) if cidr else None
    for pool in client.ippools.list():
        if pool.name == name or (
            wanted is not None and parse_cidr(pool.spec.cidr, strict=False) == wanted
        ):
            return pool
    raise NotFoundError(f"unable to find IP pool covering the specified {cidr or name}")


def configure(client: Client, changes: Mapping[str, Any]) -> IpamConfig:
    """Change settings; return them all.

    Raises:
        ValidationError: they contradict each other.
    """
    ipam = of(client)
    changed = replace(ipam.get_config(), **changes)
    ipam.set_config(changed)
    return changed
