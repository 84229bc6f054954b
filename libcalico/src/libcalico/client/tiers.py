"""Tiers and what is in them: policies need their tier, built-in tiers stay, tiers go when empty.

Source: ``calico-control-plane.md`` 1.6 and 1.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from libcalico.client import messages
from libcalico.client.behaviour import Behaviour
from libcalico.datastore import keys
from libcalico.resources.defaults import FIXED_TIERS
from libcalico.resources.model import ResourceId
from libcalico.resources.policy import Tier
from libcalico.resources.staged import TieredPolicy

if TYPE_CHECKING:
    from libcalico.client.client import Client


def require_tier(client: Client, policy: TieredPolicy) -> None:
    """Refuse a policy whose tier does not exist; an update may name any tier, as in Go."""
    tier = ResourceId("Tier", "", policy.spec.tier)
    if client.backend.get(keys.path_of(tier)) is None:
        raise messages.not_found(tier)


def require_removable(client: Client, which: ResourceId, resource_version: str) -> str:
    """Refuse to delete a built-in tier, and one with policies, enforced or staged."""
    if which.name in FIXED_TIERS:
        raise messages.unsupported("delete", which, f"Cannot delete {which.name} tier")
    if any(policy.spec.tier == which.name for policy in _policies(client)):
        raise messages.unsupported("delete", which, "Cannot delete a non-empty tier")
    return resource_version


def _policies(client: Client) -> list[TieredPolicy]:
    return [
        *client.networkpolicies.list(),
        *client.globalnetworkpolicies.list(),
        *client.stagednetworkpolicies.list(),
        *client.stagedglobalnetworkpolicies.list(),
    ]


#: Of every kind of policy that is in a tier.
POLICY_BEHAVIOUR: Behaviour[TieredPolicy] = Behaviour(before_create=require_tier)
BEHAVIOUR: Behaviour[Tier] = Behaviour(before_delete=require_removable)
