"""Kernel settings that others alter are put right at once and counted; what is not ours is left alone."""

import re
import signal

import pytest

OURS = {
    "net/ipv4/conf/caliweb/route_localnet": 1,
    "net/ipv4/conf/caliweb/proxy_arp": 1,
    "net/ipv4/conf/caliweb/forwarding": 1,
    "net/ipv4/neigh/caliweb/proxy_delay": 0,
    "net/ipv6/conf/caliweb/accept_ra": 0,
    "net/ipv6/conf/caliweb/proxy_ndp": 1,
    "net/ipv6/conf/caliweb/forwarding": 1,
    "net/ipv4/conf/all/forwarding": 1,
    "net/ipv6/conf/all/forwarding": 1,
}
ANNOUNCED = [key for key in OURS if key.endswith(("forwarding", "proxy_arp", "proxy_ndp"))]
ELSEWHERE = "unshare --mount sh -c 'mount -t proc proc /proc; {}'"


@pytest.fixture
def busy(felix):
    """A Felix with a workload, which never audits the settings of its interface."""
    felix.configure(interface_refresh_interval="0s")
    felix.start(FELIX_PROMETHEUSMETRICSENABLED="true")
    felix.connect("web")
    return felix


def repairs(felix):
    page = felix.get("/metrics", 9091)[1]
    found = re.search(r'repairs_total\{what="sysctls"} (\S+)', page)
    return float(found.group(1)) if found else 0.0


def read(felix, key):
    return int(felix.host.sh(f"cat /proc/sys/{key}"))


def wait_right(felix, *keys):
    for key in keys:
        felix.wait(lambda key=key: read(felix, key) == OURS[key], f"{key} is as it was made")


def alter(felix, key, place="{}"):
    value = 80 if key.endswith("delay") else 1 - OURS[key]
    felix.host.sh(place.format(f"echo {value} >/proc/sys/{key}"))


def test_each_setting_that_another_process_alters_is_repaired_and_counted(busy):
    wait_right(busy, *OURS)
    before = repairs(busy)
    twice = [key for key in OURS for _ in range(2)]  # the last are those of more than one interface
    for count, key in enumerate(twice, 1):
        alter(busy, key)
        busy.wait(lambda wanted=before + count: repairs(busy) >= wanted, f"{key} is counted")
        wait_right(busy, *OURS)
        assert f"a setting was changed key={key}" in busy.log


def test_what_the_kernel_announces_is_repaired_wherever_it_was_altered_from(busy):
    wait_right(busy, *OURS)
    before = repairs(busy)
    for count, key in enumerate(ANNOUNCED, 1):
        alter(busy, key, ELSEWHERE)
        busy.wait(lambda wanted=before + count: repairs(busy) >= wanted, f"{key} is counted")
        wait_right(busy, *OURS)


def test_news_that_are_lost_are_made_up_for(busy):
    interface = "/proc/sys/net/ipv4/conf/caliweb"
    busy.process.send_signal(signal.SIGSTOP)
    for first, second in (("route_localnet", "forwarding"), ("forwarding", "proxy_arp")):
        busy.host.sh(
            f"for i in $(seq 10000); do echo 0 >{interface}/{first}; echo 0 >{interface}/{second};"
            f" echo 1 >{interface}/{first}; echo 1 >{interface}/{second}; done"
        )
    for key in OURS:
        alter(busy, key)
    busy.process.send_signal(signal.SIGCONT)
    busy.wait(lambda: "lost notifications of settings" in busy.log, "it is noticed")
    wait_right(busy, *OURS)
    alter(busy, "net/ipv4/conf/caliweb/route_localnet")
    wait_right(busy, *OURS)


def test_a_setting_that_is_nobodys_is_left_alone(busy):
    for key, value in (("net/ipv4/conf/caliweb/rp_filter", 2), ("net/ipv4/conf/eth0/proxy_arp", 1)):
        busy.host.sh(f"echo {value} >/proc/sys/{key}")
        alter(busy, "net/ipv4/conf/caliweb/proxy_arp")
        wait_right(busy, *OURS)
        assert read(busy, key) == value


def test_an_interface_that_was_renamed_and_made_anew_is_followed_still(busy):
    busy.host.sh("ip link set caliweb down; ip link set caliweb name elsewhere")
    busy.wait(lambda: not busy.statuses(), "it is gone")
    busy.host.sh("ip link set elsewhere name caliweb; ip link set caliweb up")
    busy.wait(lambda: len(busy.statuses()) == 1, "it is back")
    alter(busy, "net/ipv4/conf/caliweb/route_localnet")
    wait_right(busy, *OURS)
    busy.host.sh("ip link delete caliweb; ip link add caliweb type veth peer name web2")
    busy.host.sh("ip link set web2 up; ip link set caliweb up")
    wait_right(busy, *OURS)
    alter(busy, "net/ipv6/conf/caliweb/accept_ra")
    wait_right(busy, *OURS)


def test_forwarding_is_the_hosts_own_business_if_it_is_so_configured(busy):
    busy.configure(interface_refresh_interval="0s", ip_forwarding="Disabled")
    key = "net/ipv4/conf/all/forwarding"
    busy.wait(lambda: stays_off(busy, key), "forwarding is left as it is")
    assert read(busy, "net/ipv4/conf/caliweb/forwarding") == 1
    busy.configure(interface_refresh_interval="0s")
    wait_right(busy, *OURS)


def stays_off(felix, key):
    """Turn forwarding off; whether it is off still once Felix has put right another setting after it."""
    felix.host.sh(f"echo 0 >/proc/sys/{key}")
    alter(felix, "net/ipv4/conf/caliweb/proxy_arp")
    wait_right(felix, "net/ipv4/conf/caliweb/proxy_arp", "net/ipv4/conf/caliweb/forwarding")
    return read(felix, key) == 0
