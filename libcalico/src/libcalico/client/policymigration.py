"""Policies stored by releases before 3.32 under the name of their tier get their own name as key.

In a cluster without Kubernetes controllers nobody else does it, and until then the name that is
shown cannot be used to read, change or delete the policy. Source: ``calico-control-plane.md`` 1.6.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from libcalico.datastore import keys
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.errors import ConflictError, ValidationError
from libcalico.resources import codec, policynames
from libcalico.resources.model import id_of
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


class Migration(NamedTuple):
    """What became of policies whose key is not their name.

    Attributes:
        moved: identities, under their new names.
        kept: one text for each that stays where it is, with the reason.
    """

    moved: list[str]
    kept: list[str]


def migrate(client: Client) -> Migration:
    """Move every policy whose key is not its name, each in one transaction.

    One whose new name is taken, or that is changed meanwhile, stays where it is.
    """
    moved, kept = list[str](), list[str]()
    for kind in _KINDS:
        for item in client.backend.read(keys.resource_prefix(kind)).items:
            policy = _read(kind, item)
            if policy is None or keys.path_of(id_of(policy)) == item.key:
                continue
            try:
                _move(client, item, policy)
            except ConflictError as problem:
                kept.append(f"{keys.parse_resource(item.key)}: {problem}")
            else:
                moved.append(str(id_of(policy)))
    return Migration(moved, kept)


def _read(kind: str, item: KeyValue) -> TieredPolicy | None:
    """Return a policy under its own name; None, and a line in the log, if it cannot be read."""
    which = keys.parse_resource(item.key)
    try:
        policy = codec.decode(item.value, kind=kind)
    except ValidationError as problem:
        _log.warning("stored policy cannot be read key=%s problem=%s", item.key, problem)
        return None
    if which is None or not isinstance(policy, TieredPolicy):
        return None
    metadata = policy.metadata.with_(name=which.name, namespace=which.namespace)
    return policynames.as_shown(policy.with_(metadata=metadata))


def _move(client: Client, item: KeyValue, policy: TieredPolicy) -> None:
    value = codec.encode(policynames.as_stored(policy))
    put = Put(keys.path_of(id_of(policy)), value, if_revision=Revision(0))
    client.backend.transact([put, Delete(item.key, item.revision)])
