"""Policies stored by releases before 3.32 under the name of their tier get their own name as key.

In a cluster without Kubernetes controllers nobody else does it, and until then the name that is
shown cannot be used to read, change or delete the policy. Source: ``calico-control-plane.md`` 1.6.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from libcalico.datastore import keys
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.errors import ConflictError, ValidationError
from libcalico.resources import codec, policynames
from libcalico.resources.model import ResourceId, id_of
from libcalico.resources.staged import TieredPolicy

if TYPE_CHECKING:
    from libcalico.client.client import Client
    from libcalico.datastore.model import KeyValue

_log = logging.getLogger(__name__)
_KINDS = (
    "GlobalNetworkPolicy",
    "NetworkPolicy",
    "StagedGlobalNetworkPolicy",
    "StagedNetworkPolicy",
)


def migrate(client: Client) -> list[str]:
    """Move every policy whose key is not its name, each in one transaction.

    Returns:
        The identities of the policies that were moved. One whose new name is taken, or that is
        changed meanwhile, stays where it is, to be tried again later.
    """
    return [
        str(moved)
        for kind in _KINDS
        for item in client.backend.read(keys.resource_prefix(kind)).items
        if (moved := _move(client, kind, item)) is not None
    ]


def _move(client: Client, kind: str, item: KeyValue) -> ResourceId | None:
    which = keys.parse_resource(item.key)
    try:
        policy = codec.decode(item.value, kind=kind)
    except ValidationError as problem:
        _log.warning("stored policy cannot be read key=%s problem=%s", item.key, problem)
        return None
    if which is None or not isinstance(policy, TieredPolicy):
        return None
    metadata = policy.metadata.with_(name=which.name, namespace=which.namespace)
    shown = policynames.as_shown(policy.with_(metadata=metadata))
    new_key = keys.path_of(id_of(shown))
    if new_key == item.key:
        return None
    value = codec.encode(policynames.as_stored(shown))
    try:
        client.backend.transact(
            [Put(new_key, value, if_revision=Revision(0)), Delete(item.key, item.revision)]
        )
    except ConflictError:
        return None
    return id_of(shown)
