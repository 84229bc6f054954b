"""What the kernel does with real packets is what the reference evaluator says, world after world.

A failure tells the seed, and the smallest world found in which the packet still goes another way.
Environment: CALICO_ORACLE_WORLDS, how many (75); CALICO_ORACLE_SEED, to see one run again.
"""

import itertools
import os
import random
from collections import Counter

from calico_node.felix.dataplane.testing import frames, worlds
from calico_node.felix.dataplane.testing.follower import Follower, judge
from calico_node.felix.dataplane.testing.shrink import smallest
from libcalico.policy import World
from libcalico.resources import codec

WORLDS = int(os.environ.get("CALICO_ORACLE_WORLDS", "75"))
SEED = int(os.environ.get("CALICO_ORACLE_SEED") or random.randrange(1 << 32))
PACKETS = 40


def test_the_kernel_and_the_evaluator_agree_about_every_packet(wires):
    print(f"CALICO_ORACLE_SEED={SEED}")  # noqa: T201 - shown when it fails
    maker, follower, numbers = worlds.WorldMaker(SEED), Follower(), itertools.count(1)
    seen = Counter()
    for number in range(WORLDS):
        maker.change(1.0 if number % 10 == 0 else 0.25)
        wires.program(follower.follow(maker.resources))
        world = World.of(maker.resources.values())
        packets = [maker.packet() for _ in range(PACKETS)]
        packets += [maker.host_packet() for _ in range(PACKETS // 2)]
        probes = [frames.Probe(packet, next(numbers)) for packet in packets]
        arrived = wires.deliver(probes)
        for probe in probes:
            verdict, kind, wanted = judge(world, probe.packet)
            seen[kind, verdict.allowed] += 1
            if arrived[probe.number] != wanted:
                found = difference(maker.resources, probe.packet, wires, follower, numbers)
                raise AssertionError(f"world {number} of seed {SEED}\n{found}")
    for kind, is_allowed in itertools.product(("in", "out", "through"), (True, False)):
        enough = seen[kind, is_allowed] > WORLDS * PACKETS // 50
        assert enough, f"the worlds are too much alike: {seen}"


def difference(resources, packet, wires, follower, numbers):
    """Tell of a packet that goes another way than it should, in the smallest such world."""

    def outcome(among):
        wires.program(follower.follow(among))
        probe = frames.Probe(packet, next(numbers))
        verdict, _, wanted = judge(World.of(among.values()), packet)
        return verdict, wanted, wires.deliver([probe])[probe.number]

    def fails(among):
        _, wanted, arrived = outcome(among)
        return arrived != wanted

    left = smallest(resources, fails) if fails(resources) else resources
    verdict, _, arrived = outcome(left)
    rules = wires.explain(packet)
    lines = [
        f"packet: {packet}",
        f"evaluator: {'allowed' if verdict.allowed else 'denied'}",
        f"kernel: {arrived or 'dropped'}",
        *map(str, verdict.steps),
        *(codec.encode(resource).decode() for resource in left.values()),
        rules,
    ]
    return "\n".join(lines)
