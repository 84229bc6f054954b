"""Workloads that are connected by hand, as the product would connect them."""

import ipaddress

import pytest


def connect(host, name, v4, v6):
    """Give a workload a veth to its host, one address of each family, and the host routes to it."""
    workload = host.add_workload(name)
    gateway = "169.254.1.1"
    host.sh(
        f"""
        sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        ip link add w{name} type veth peer name eth0 netns {name}
        sysctl -qw net.ipv6.conf.w{name}.accept_dad=0 net.ipv4.conf.w{name}.proxy_arp=1
        sysctl -qw net.ipv4.neigh.w{name}.proxy_delay=0
        ip link set w{name} up
        ip -6 address add fe80::1/64 dev w{name} nodad
        ip route add {v4}/32 dev w{name}
        ip -6 route add {v6}/128 dev w{name}
        """
    )
    workload.run(
        [
            "sh",
            "-euc",
            f"""
            sysctl -qw net.ipv6.conf.eth0.accept_dad=0
            ip address add {v4}/32 dev eth0
            ip -6 address add {v6}/128 dev eth0 nodad
            ip link set eth0 up
            ip route add {gateway} dev eth0
            ip route add default via {gateway}
            ip -6 route add default via fe80::1 dev eth0
            """,
        ]
    )
    assert workload.read_addresses() == [v4, v6]
    return workload


def join(here, there, subnets):
    """Route the workload subnets of one host by way of its underlay addresses."""
    for subnet in subnets:
        family = ipaddress.ip_network(subnet).version
        here.run(["ip", "route", "add", subnet, "via", there.address(family)])


@pytest.fixture
def connected(lab):
    """A lab of two hosts with one workload each, a on host1 and b on host2, that reach each other."""
    one = lab(2, etcd=False)
    first, second = one.hosts
    a = connect(first, "a", "10.65.1.1", "fd65:0:0:1::1")
    b = connect(second, "b", "10.65.2.1", "fd65:0:0:2::1")
    join(first, second, ["10.65.2.0/24", "fd65:0:0:2::/64"])
    join(second, first, ["10.65.1.0/24", "fd65:0:0:1::/64"])
    for workload in (a, b):
        workload.listen(tcp=[80, 81], udp=[53])
    return one
