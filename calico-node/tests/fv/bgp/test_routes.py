"""Two real BIRDs exchange blocks over networks that one lab bridge does not have."""

from contextlib import ExitStack
from ipaddress import ip_address, ip_network

import pytest

from calico_node.bgp.apply import find_program
from calico_node.bgp.model import (
    PRIORITY_SUM,
    BirdConfig,
    Block,
    Family,
    Filter,
    KernelRule,
    PoolRule,
    Session,
)
from calico_node.bgp.render import render
from calico_test import processes
from calico_test.netns import NetNs
from libcalico.resources.bgpfilter import (
    AddCommunity,
    CommunityMatch,
    FilterOperation,
    FilterRule,
    PrependASPath,
    SetPriority,
)

POOLS = (
    PoolRule(ip_network("192.168.0.0/17"), exported=True, kernel=KernelRule.ACCEPT),
    PoolRule(ip_network("192.168.128.0/18"), exported=True, kernel=KernelRule.FELIX_TUNNEL),
    PoolRule(ip_network("192.168.192.0/18"), exported=False, kernel=KernelRule.ACCEPT),
)


def configuration(own, peer, *blocks, remote_as=64512, local_as=64512, **options):
    session = Session(
        name="Mesh_peer",
        neighbor=ip_address(peer),
        port=179,
        remote_as=remote_as,
        local_as=local_as,
        source=ip_address(own),
        passive=peer > own,
        multihop=0,
        **options,
    )
    family = Family(
        version=4,
        address=ip_address(own),
        blocks=tuple(Block(ip_network(block)) for block in blocks),
        pools=POOLS,
        sessions=(session,),
    )
    return BirdConfig(node=own, router_id=ip_address(own), families=(family,))


class Router:
    """Two hosts in different subnets, a router between them, and a BIRD on each host."""

    def __init__(self, stack, directory):
        self.directory = directory
        self.stack = stack
        between = stack.enter_context(NetNs())
        between.run(["sh", "-euc", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
        self.hosts = [stack.enter_context(NetNs()) for _ in range(2)]
        for number, host in enumerate(self.hosts, 1):
            script = f"""
                ip link add e{number} type veth peer name eth0 netns {host.name}
                ip link set e{number} up
                ip addr add 10.{number}.0.254/24 dev e{number}
            """
            between.run(["sh", "-euc", script])
            script = f"""
                ip link set eth0 up
                ip addr add 10.{number}.0.1/24 dev eth0
                ip route add default via 10.{number}.0.254
            """
            host.run(["sh", "-euc", script])

    def start(self, *configurations):
        for number, (host, config) in enumerate(zip(self.hosts, configurations, strict=True)):
            file = self.directory / f"{number}.conf"
            file.write_text(render(config))
            control = str(self.directory / f"{number}.ctl")
            argv = [str(find_program("")), "-f", "-c", str(file), "-s", control]
            process = self.stack.enter_context(host.popen(argv))
            self.stack.callback(process.kill)

    def routes(self, number):
        return self.hosts[number].run(["ip", "route"]).stdout

    def wait_for(self, number, route):
        processes.wait_until(lambda: route in self.routes(number), route, deadline_s=20)


@pytest.fixture
def router(_root, tmp_path):
    with ExitStack() as stack:
        yield Router(stack, tmp_path)


def test_hosts_of_different_subnets_route_through_their_gateways(router):
    router.start(
        configuration("10.1.0.1", "10.2.0.1", "192.168.1.0/26"),
        configuration("10.2.0.1", "10.1.0.1", "192.168.2.0/26"),
    )
    router.wait_for(0, "192.168.2.0/26 via 10.1.0.254 dev eth0 proto bird metric 1024")
    router.wait_for(1, "192.168.1.0/26 via 10.2.0.254 dev eth0 proto bird metric 1024")


def test_an_external_peer_learns_blocks_too(router):
    router.start(
        configuration("10.1.0.1", "10.2.0.1", "192.168.1.0/26", remote_as=65002, local_as=65001),
        configuration("10.2.0.1", "10.1.0.1", remote_as=65001, local_as=65002),
    )
    router.wait_for(1, "192.168.1.0/26 via 10.2.0.254 dev eth0 proto bird metric 1024")


def test_encapsulated_pools_are_not_programmed_and_hidden_ones_not_told(router):
    blocks = ("192.168.192.0/26", "192.168.128.0/26", "192.168.1.0/26")
    router.start(
        configuration("10.1.0.1", "10.2.0.1", *blocks),
        configuration("10.2.0.1", "10.1.0.1"),
    )
    router.wait_for(1, "192.168.1.0/26 via")
    assert "192.168.128.0" not in router.routes(1)
    assert "192.168.192.0" not in router.routes(1)


def test_a_moving_workload_is_told_by_itself_with_its_priority(router):
    """Priority and local preference add up to a constant on the wire between all Calico nodes."""
    assert PRIORITY_SUM == 2147483647
    router.hosts[0].run(
        ["sh", "-euc", "ip link add cali0 type veth peer name c0; ip link set cali0 up"]
    )
    router.hosts[0].run(["ip", "link", "set", "c0", "up"])
    for address, metric in (("192.168.1.5", 512), ("192.168.1.6", 1024)):
        route = ["ip", "route", "add", address, "dev", "cali0", "proto", "80"]
        router.hosts[0].run([*route, "metric", str(metric)])
    router.start(
        configuration("10.1.0.1", "10.2.0.1", "192.168.1.0/26"),
        configuration("10.2.0.1", "10.1.0.1"),
    )
    router.wait_for(1, "192.168.1.0/26 via")
    router.wait_for(1, "192.168.1.5 via 10.2.0.254 dev eth0 proto bird metric 512")
    assert "192.168.1.6" not in router.routes(1)


def in_block(action, cidr, *operations, **conditions):
    return FilterRule(
        action=action, cidr=cidr, match_operator="In", operations=list(operations), **conditions
    )


def test_filters_decide_what_is_given_and_taken(router):
    marked = FilterOperation(add_community=AddCommunity(value="65001:7"))
    longer = FilterOperation(prepend_as_path=PrependASPath(prefix=[65101, 65102]))
    given = Filter(
        "bgp_given_exportFilterV4",
        (
            in_block("Reject", "192.168.1.0/24", peer_type="eBGP"),
            in_block("Reject", "192.168.2.0/24", peer_type="iBGP"),
            in_block("Accept", "192.168.3.0/24", marked, longer),
            in_block("Accept", "192.168.4.0/24", marked),
        ),
    )
    moved = FilterOperation(set_priority=SetPriority(value=512))
    seven = CommunityMatch(values=["65001:7"])
    taken = Filter(
        "bgp_taken_importFilterV4",
        (
            FilterRule(
                action="Accept",
                communities=seven,
                as_path_prefix=[65001, 65101],
                operations=[moved],
            ),
            FilterRule(action="Reject", communities=seven),
        ),
    )
    blocks = [f"192.168.{number}.0/26" for number in (1, 2, 3, 4, 5)]
    ebgp = {"remote_as": 65002, "local_as": 65001}
    router.start(
        configuration("10.1.0.1", "10.2.0.1", *blocks, export_filters=(given,), **ebgp),
        configuration(
            "10.2.0.1", "10.1.0.1", remote_as=65001, local_as=65002, import_filters=(taken,)
        ),
    )
    router.wait_for(1, "192.168.3.0/26 via 10.2.0.254 dev eth0 proto bird metric 512")
    router.wait_for(1, "192.168.2.0/26 via 10.2.0.254 dev eth0 proto bird metric 1024")
    router.wait_for(1, "192.168.5.0/26 via 10.2.0.254 dev eth0 proto bird metric 1024")
    assert "192.168.1.0" not in router.routes(1)
    assert "192.168.4.0" not in router.routes(1)
