"""Shrinking keeps what makes a world fail, and nothing else."""

from calico_node.felix.dataplane.testing import worlds
from calico_node.felix.dataplane.testing.shrink import smallest


def test_what_is_left_fails_and_nothing_of_it_can_go():
    maker = worlds.WorldMaker(1)
    maker.change(1.0)
    maker.change(1.0)

    def fails(resources):
        """Two objects, and one rule of a certain policy, make it fail."""
        policies = [r for r in resources.values() if r.kind.endswith("NetworkPolicy")]
        rules = [rule for p in policies for rule in p.spec.ingress if rule.action == "Deny"]
        return bool(rules) and any(r.kind == "WorkloadEndpoint" for r in resources.values())

    assert fails(maker.resources)
    left = smallest(maker.resources, fails)
    assert sorted(which.kind[-8:] for which in left) == ["Endpoint", "rkPolicy"]
    (policy,) = [r for r in left.values() if r.kind.endswith("NetworkPolicy")]
    assert [rule.action for rule in policy.spec.ingress] == ["Deny"]
    assert policy.spec.egress == []
