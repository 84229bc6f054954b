"""World after world of stored objects → what changes for this host; what becomes of packets there. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.dataplane.testing import network
from calico_node.felix.dataplane.testing.verdicts import (
    ADDRESSES,
    behind_nat,
    decide,
    passage,
    way_out,
)
from calico_node.felix.messages import Changes
from libcalico.datastore import keys
from libcalico.policy import Packet, Verdict, World
from libcalico.resources import codec
from libcalico.resources.model import Resource, ResourceId

#: What takes the packets that are for the host itself.
HOST: Final = "host"
#: Denies everything, before everything else; that it is staged is all that keeps it from doing so.
_STAGED: Final = b"""{"apiVersion": "projectcalico.org/v3", "kind": "StagedGlobalNetworkPolicy",
    "metadata": {"name": "%d"}, "spec": {"stagedAction": "Set", "tier": "first", "order": -1.0,
    "selector": "all()", "types": ["Ingress", "Egress"], "ingress": [{"action": "Deny"}]}}"""
_STAGED_KEY: Final = "/calico/resources/v3/projectcalico.org/stagedglobalnetworkpolicies/staged"


class Follower:
    """Felix's calculation, told what changes from world to world."""

    def __init__(self) -> None:
        self._calculation = Calculation(network.HOST)
        self._calculation.on_interface(network.OUTSIDE, ADDRESSES)
        self._known: dict[str, bytes] = {}
        self._numbers = itertools.count()

    def follow(self, resources: Mapping[ResourceId, Resource]) -> Changes:
        """Return what changed for the host since the last world."""
        stored = {keys.path_of(which): codec.encode(r) for which, r in resources.items()}
        stored[_STAGED_KEY] = _STAGED % next(self._numbers)
        for key in self._known.keys() - stored.keys():
            self._calculation.on_update(key, None)
        for key, value in stored.items():
            if self._known.get(key) != value:
                self._calculation.on_update(key, value)
        self._known = stored
        changes = self._calculation.flush()
        assert not any(changes.problems.values()), changes.problems
        return changes


def judge(world: World, packet: Packet) -> tuple[Verdict, str, set[str]]:
    """Return the evaluator's verdict, how the packet goes, and where it is to arrive."""
    translated = behind_nat(world, packet)
    verdict = decide(world, packet, translated)
    wanted = _destinations(world, translated, verdict)
    return verdict, passage(world, packet, translated).kind, wanted


def _destinations(world: World, packet: Packet, verdict: Verdict) -> set[str]:
    """Return where a packet is to arrive; what is for nobody here leaves by the default route."""
    if not verdict.allowed:
        return set()
    return {HOST} if packet.destination in ADDRESSES else {way_out(world, packet.destination)}
