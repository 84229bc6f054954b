"""What comes and goes leaves nothing behind: Felix runs for months while workloads live for seconds."""

from collections import Counter

from calico_node.felix.calc.graph import Calculation
from calico_node.felix.program.program import Program
from calico_node.felix.program.settings import RuleSettings
from libcalico.datastore import keys
from libcalico.resources import codec
from libcalico.resources.endpoints import EndpointPort
from libcalico.resources.model import id_of
from libcalico.testing import builders as a
from libcalico.testing.reachable import reachable


def generation(number):
    """Workloads, policies, sets and profiles that no other generation has."""
    mark = f"g{number}"
    client = {"selector": f"role == '{mark}'"}
    ports = [EndpointPort(name=f"web-{mark}", protocol="TCP", port=80)]
    yield a.a_tier(name=f"tier-{mark}", order=float(number))
    yield a.a_profile(name=f"profile-{mark}", labels_to_apply={f"lent-{mark}": mark})
    yield a.a_global_network_set(name=mark, labels={"role": mark}, nets=[f"10.{number}.0.0/16"])
    for each in range(4):
        name = f"{mark}x{each}"
        yield a.an_endpoint(
            node="here" if each % 2 else "there",
            container_id=name,
            interface_name=f"cali{name}",
            ip_networks=[f"10.65.{number}.{each}/32", f"fd65::{number}:{each}/128"],
            profiles=[f"profile-{mark}"],
            labels={"app": mark, "role": mark, f"own-{name}": name},
            ports=ports,
        )
        yield a.a_global_policy(
            name=f"policy-{name}",
            tier=f"tier-{mark}",
            selector=f"app == '{mark}'",
            ingress=[
                a.a_rule("Allow", source=client),
                a.a_rule("Allow", protocol="TCP", destination={"ports": [f"web-{mark}"]}),
            ],
            egress=[
                a.a_rule("Log"),
                a.a_rule("Pass", destination={"selector": f"has(own-{name})"}),
            ],
        )
    yield a.a_host_endpoint(name=f"host-{mark}", node="here", interface_name=f"eth{number}")


def test_generations_of_workloads_leave_nothing_behind():
    calculation, program = Calculation("here"), Program(RuleSettings())

    def tell(resource, value):
        calculation.on_update(keys.path_of(id_of(resource)), value)
        program.apply(calculation.flush())

    def live(numbers):
        for number in numbers:
            resources = list(generation(number))
            calculation.on_interface(f"eth{number}", [])
            for each in resources:
                tell(each, codec.encode(each))
            for each in reversed(resources):
                tell(each, None)
            calculation.on_interface(f"eth{number}", None)
            program.apply(calculation.flush())
        return reachable(calculation, program)

    before = live(range(3))
    assert live(range(3, 13)) - before == Counter()
