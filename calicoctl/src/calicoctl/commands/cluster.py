"""cluster diags: all that the datastore says of the cluster, as files."""

from __future__ import annotations

import json
from collections.abc import Collection

from calicoctl import ipam_report, ipam_tables, printers
from calicoctl.commands import ipam
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.errors import CalicoError
from libcalico.resources.model import Resource
from libcalico.resources.registry import KINDS

_FELIX = "/calico/felix/"


def files(client: Client, focus: Collection[str]) -> dict[str, str]:
    """Return file name → text: resources by kind, IPAM, and what the nodes report.

    Args:
        client: of the datastore.
        focus: nodes to which endpoints and reports are restricted; none means all.
    """
    texts: dict[str, str] = {}
    for kind, resource_class in KINDS.items():
        found = client.resource(kind).list()
        documents = [printers.document(r) for r in found if _of_interest(r, focus)]
        texts[f"{resource_class.INFO.plural}.yaml"] = printers.as_yaml(
            printers.listing(kind, documents, "")
        )
    texts["ipam-show"] = ipam_tables.usage(ipam.of(client).utilization(), blocks=True)
    texts["ipam-check"] = _check(client)
    texts["ipam.json"] = _stored(client, keys.IPAM, ())
    texts["felix-status.json"] = _stored(client, _FELIX, focus)
    return texts


def _of_interest(resource: Resource, focus: Collection[str]) -> bool:
    if not focus or resource.kind != "WorkloadEndpoint":
        return True
    return getattr(resource, "spec").node in focus  # noqa: B009 - the kind has it, its base has not


def _check(client: Client) -> str:
    try:
        known, found = ipam.check(client)
    except CalicoError as error:
        return f"{error}\n"
    return ipam_report.text(known, found, every=True, problems=True)


def _stored(client: Client, prefix: str, focus: Collection[str]) -> str:
    found = {
        item.key: item.value.decode(errors="backslashreplace")
        for item in client.backend.read(prefix).items
        if not focus or any(f"/host/{node}/" in item.key for node in focus)
    }
    return json.dumps(found, indent=2)
