"""Workloads on the real kernel: what is made, what is undone, what is checked."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack
from dataclasses import replace

import pytest

from calico_test.netns import NetNs
from libcalico.client import Client
from libcalico.errors import (
    AddressInUseError,
    NetlinkError,
    PoolExhaustedError,
    UnavailableError,
    ValidationError,
)
from libcalico.ipam import IpamClient
from libcalico.net.addresses import parse_address, parse_cidr
from libcalico.netlink.netns import open_netns
from libcalico.workload import Workloads, status


def attach(site, attachment, wanted, inside, **options):
    return site.call(lambda: site.workloads.attach(attachment, wanted, inside, **options))


def detach(site, attachment, **options):
    identity = attachment.identity
    options = {"host_interface": attachment.host_interface} | options
    return site.call(lambda: site.workloads.detach(identity, **options))


def test_a_workload_has_its_addresses_routes_and_endpoint(
    site, container, inside, attachment, wanted
):
    labels = {"app": "web"}
    made = attach(site, attachment(labels=labels, profiles=["net"], mtu=1400), wanted(), inside)
    four, six = (address.cidr for address in made.addresses)

    eth0 = site.links(container)["eth0"]
    assert (eth0["mtu"], eth0["address"]) == (1400, made.mac.hex(":"))
    assert "UP" in eth0["flags"]
    held = {(a["local"], a["prefixlen"]) for a in eth0["addr_info"] if a["scope"] == "global"}
    assert held == {(four.address, 32), (six.address, 128)}
    assert not any(a.get("tentative") for a in eth0["addr_info"])
    routes = container.run(["ip", "route"]).stdout + container.run(["ip", "-6", "route"]).stdout
    assert "default via 169.254.1.1 dev eth0" in routes
    assert "169.254.1.1 dev eth0 scope link" in routes
    assert "default via fe80::ecee:eeff:feee:eeee dev eth0" in routes

    host = site.links()[made.host_interface]
    assert host["address"] == "ee:ee:ee:ee:ee:ee"
    assert "fe80::ecee:eeff:feee:eeee" in [a["local"] for a in host["addr_info"]]
    assert f"{four.address} dev {made.host_interface}" in site.host.run(["ip", "route"]).stdout
    assert f"{six.address} dev {made.host_interface}" in site.host.run(["ip", "-6", "route"]).stdout
    for key, value in {
        "net/ipv4/conf/{}/proxy_arp": "1",
        "net/ipv4/conf/{}/route_localnet": "1",
        "net/ipv4/conf/{}/forwarding": "1",
        "net/ipv4/neigh/{}/proxy_delay": "0",
        "net/ipv6/conf/{}/proxy_ndp": "1",
        "net/ipv6/conf/{}/forwarding": "1",
        "net/ipv6/conf/{}/accept_ra": "0",
    }.items():
        path = "/proc/sys/" + key.format(made.host_interface)
        assert site.host.run(["cat", path]).stdout.strip() == value, key

    endpoint = site.client.workloadendpoints.get(made.endpoint, "default")
    assert endpoint.metadata.labels["app"] == "web"
    assert endpoint.metadata.labels["projectcalico.org/orchestrator"] == "cni"
    spec = endpoint.spec
    assert spec.ip_networks == [str(four), str(six)]
    assert (spec.mac, spec.interface_name) == (made.mac.hex(":"), made.host_interface)
    assert (spec.profiles, spec.container_id) == (["net"], "0123456789abcdef")


def listen(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind((address, 0))
    server.listen()
    return server


def test_the_host_and_the_workload_reach_each_other_at_once(
    site, container, inside, attachment, wanted
):
    for address in ("192.0.2.1/32", "2001:db8::1/128"):
        site.host.run(["ip", "address", "add", address, "dev", "lo"])
    made = attach(site, attachment(), wanted(), inside)
    four, six = (address.cidr.address for address in made.addresses)
    for place, server_place, address in (
        (container, site.host, "192.0.2.1"),
        (container, site.host, "2001:db8::1"),
        (site.host, container, four),
        (site.host, container, six),
    ):
        with server_place.call(lambda a=address: listen(a)) as server:
            target = server.getsockname()[:2]
            place.call(lambda t=target: socket.create_connection(t, timeout=5)).close()


def test_detaching_leaves_nothing_and_works_again(site, inside, attachment, wanted):
    one = attachment()
    attach(site, one, wanted(), inside)
    assert not site.is_clean()
    for _ in range(2):
        detach(site, one, handle="net.0123456789abcdef", netns=inside, interface_name="eth0")
        assert site.is_clean()


def test_detaching_works_when_the_namespace_is_gone(site, attachment, wanted):
    with NetNs() as brief, open_netns(brief.path) as opened:
        attach(site, attachment(), wanted(), opened)
    detach(site, attachment(), handle="net.0123456789abcdef")
    assert site.is_clean()


class TestFailuresLeaveNothing:
    def test_no_pool_has_an_address(self, site, inside, attachment, wanted):
        with pytest.raises(PoolExhaustedError):
            attach(site, attachment(), wanted(num4=999), inside)
        assert site.is_clean()

    def test_one_of_several_wanted_addresses_is_in_use(self, site, inside, attachment, wanted):
        site.workloads.assign(wanted("other", wanted=["10.65.0.9"]), "host-1")
        with pytest.raises(AddressInUseError):
            attach(site, attachment(), wanted(wanted=["10.65.0.8", "10.65.0.9"]), inside)
        site.ipam.release_by_handle("net.other")
        assert site.is_clean()

    def test_the_namespace_has_such_an_interface(self, site, container, inside, attachment, wanted):
        container.run(["ip", "link", "add", "eth0", "type", "bridge"])
        with pytest.raises(NetlinkError, match="has an interface eth0 already"):
            attach(site, attachment(), wanted(), inside)
        assert site.is_clean()
        assert site.links(container)["eth0"]["linkinfo"]["info_kind"] == "bridge"

    def test_the_address_is_routed_to_another_workload(
        self, site, container, inside, attachment, wanted
    ):
        site.host.run(["ip", "link", "add", "br0", "type", "bridge"])
        site.host.run(["ip", "link", "set", "br0", "up"])
        site.host.run(["ip", "route", "add", "10.65.0.7/32", "dev", "br0", "metric", "1024"])
        with pytest.raises(NetlinkError):
            attach(site, attachment(), wanted(wanted=["10.65.0.7"]), inside)
        site.host.run(["ip", "link", "delete", "br0"])
        assert site.is_clean()
        assert "eth0" not in site.links(container)

    def test_the_endpoint_is_refused(self, site, container, inside, attachment, wanted):
        with pytest.raises(ValidationError):
            attach(site, attachment(profiles=["no good name!"]), wanted(), inside)
        assert site.is_clean()
        assert "eth0" not in site.links(container)

    def test_the_store_fails_at_any_moment(self, site, inside, attachment, wanted, fails):
        for after in range(1, 12):
            backend = fails(site.backend, after)
            workloads = Workloads(Client(backend), IpamClient(backend), site.status_directory)
            one = attachment()
            try:
                site.call(lambda w=workloads, o=one: w.attach(o, wanted(), inside))
            except UnavailableError:
                assert site.is_clean(), f"after a failure at access {after}"
            else:
                detach(site, one, handle="net.0123456789abcdef")
                return
        pytest.fail("it never succeeded")

    def test_a_store_that_stays_away_keeps_addresses_of_what_may_be_stored(
        self, site, inside, attachment, wanted, fails
    ):
        for after in range(1, 12):
            backend = fails(site.backend, after, for_good=True)
            workloads = Workloads(Client(backend), IpamClient(backend), site.status_directory)
            one = attachment()
            try:
                site.call(lambda w=workloads, o=one: w.attach(o, wanted(), inside))
            except UnavailableError:
                assert set(site.links()) == {"lo"}
            else:
                return
            for endpoint in site.client.workloadendpoints.list():
                owned = site.ipam.ips_by_handle("net.0123456789abcdef")
                assert [f"{ip}/{128 if ':' in ip else 32}" for ip in owned] == (
                    endpoint.spec.ip_networks
                )
            detach(site, one, handle="net.0123456789abcdef")
            assert site.is_clean(), f"after a failure at access {after}"
        pytest.fail("it never succeeded")


class TestAgain:
    def test_attaching_twice_replaces_the_interface(
        self, site, container, inside, attachment, wanted
    ):
        attach(site, attachment(), wanted(), inside)
        again = attach(site, attachment(labels={"x": "y"}), wanted(), inside)
        endpoint = site.client.workloadendpoints.get(again.endpoint, "default")
        assert endpoint.metadata.labels["x"] == "y"
        assert endpoint.spec.mac == site.links(container)["eth0"]["address"]
        detach(site, attachment(), handle="net.0123456789abcdef")
        assert site.is_clean()

    def test_a_late_detach_of_an_older_container_keeps_the_new_one(
        self, site, inside, attachment, wanted
    ):
        def pod(container_id):
            one = attachment(container_id, host_interface="calipod")
            identity = replace(one.identity, orchestrator="k8s", pod="p")
            return replace(one, identity=identity)

        attach(site, pod("old"), wanted("old"), inside)
        made = attach(site, pod("new"), wanted("new"), inside)
        detach(site, pod("old"), handle="net.old")
        assert "calipod" in site.links()
        assert site.ipam_keys() == ["/calico/ipam/v2/handle/net.new"]
        assert (
            site.client.workloadendpoints.get(made.endpoint, "default").spec.container_id == "new"
        )
        detach(site, pod("new"), handle="net.new")
        assert site.is_clean()


class TestCheck:
    @pytest.fixture
    def check(self, site, inside, attachment, wanted):
        self.made = attach(site, attachment(), wanted(), inside)

        def check(**fields):
            options = {"interface_name": "eth0", "netns": inside, "handle": "net.0123456789abcdef"}
            identity = attachment().identity
            return site.call(lambda: site.workloads.check(identity, **(options | fields)))

        return check

    def test_all_is_well(self, check):
        assert check(expected=[address.cidr for address in self.made.addresses]) == []

    def test_a_lost_address(self, check, container):
        four = self.made.addresses[0].cidr
        container.run(["ip", "address", "delete", str(four), "dev", "eth0"])
        assert f"interface eth0 has not the address {four}" in check()

    def test_a_lost_default_route(self, check, container):
        container.run(["ip", "-6", "route", "delete", "default"])
        assert check() == ["interface eth0 has no IPv6 default route"]

    def test_a_lost_host_route(self, check, site):
        four = self.made.addresses[0].cidr
        site.host.run(["ip", "route", "delete", str(four)])
        assert check() == [f"{four} is not routed to {self.made.host_interface}"]

    def test_a_host_end_that_is_down(self, check, site):
        site.host.run(["ip", "link", "set", self.made.host_interface, "down"])
        assert f"host interface {self.made.host_interface} is down" in check()

    def test_a_lost_interface(self, check, site):
        site.host.run(["ip", "link", "delete", self.made.host_interface])
        assert check() == [
            f"host interface {self.made.host_interface} does not exist",
            "interface eth0 does not exist in the network namespace",
        ]

    def test_a_lost_endpoint(self, check, site):
        site.client.workloadendpoints.delete(self.made.endpoint, "default")
        assert check() == [f"WorkloadEndpoint(default/{self.made.endpoint}) does not exist"]

    def test_a_lost_handle_and_another_address_than_told(self, check, site):
        site.ipam.release_by_handle("net.0123456789abcdef")
        problems = check(expected=[parse_address("192.0.2.9")])
        assert len(problems) == 3
        assert "has not the address 192.0.2.9/32" in problems[0]


class TestRoutes:
    def test_given_routes_take_the_place_of_the_default_route(
        self, site, container, inside, attachment, wanted
    ):
        routes = [parse_cidr("10.0.0.0/8"), parse_cidr("fd00::/16")]
        attach(site, attachment(routes=routes, default_route=False), wanted(), inside)
        four = container.run(["ip", "route"]).stdout
        assert "10.0.0.0/8 via 169.254.1.1 dev eth0" in four
        assert "default" not in four + container.run(["ip", "-6", "route"]).stdout

    def test_forwarding_is_set_when_asked_for(self, site, container, inside, attachment, wanted):
        attach(site, attachment(forwarding=True), wanted(), inside)
        assert container.run(["cat", "/proc/sys/net/ipv4/ip_forward"]).stdout.strip() == "1"


class TestWithoutNamespace:
    """For orchestrators that move the inner end themselves, as Docker does."""

    def test_the_inner_end_waits_on_the_host(self, site, container, attachment, wanted):
        made = attach(site, attachment(interface="tmp0"), wanted(), None)
        inner = site.links()["tmp0"]
        assert inner["address"] == made.mac.hex(":")
        assert "addr_info" not in inner or not inner["addr_info"]
        routes = site.host.run(["ip", "route"]).stdout
        assert f"{made.addresses[0].cidr.address} dev {made.host_interface}" in routes
        site.host.run(["ip", "link", "set", "tmp0", "netns", container.name])
        detach(site, attachment(), handle="net.0123456789abcdef")
        assert site.is_clean()
        assert set(site.links(container)) == {"lo"}

    def test_a_name_that_is_taken_leaves_nothing(self, site, attachment, wanted):
        site.host.run(["ip", "link", "add", "tmp0", "type", "bridge"])
        with pytest.raises(NetlinkError, match="the host's network namespace: it has"):
            attach(site, attachment(interface="tmp0"), wanted(), None)
        site.host.run(["ip", "link", "delete", "tmp0"])
        assert site.is_clean()


class TestWaiting:
    def test_it_ends_when_felix_reports_the_endpoint(self, site, inside, attachment, wanted):
        results = []

        def work():
            results.append(attach(site, attachment(), wanted(), inside, wait_s=30))

        thread = threading.Thread(target=work)
        thread.start()
        with site.backend.watch(["/calico/resources/"], 1) as events:
            for batch in events:
                if any("workloadendpoints" in event.key for event in batch.events):
                    break
        (endpoint,) = site.client.workloadendpoints.list()
        spec = endpoint.spec
        name = status.file_name(endpoint.namespace, endpoint.name)
        path = site.status_directory / name
        assert path.name == "cni default%2F0123456789abcdef eth0"
        report = {"ifaceName": spec.interface_name, "mac": spec.mac, "ipv4Nets": [], "ipv6Nets": []}
        path.write_text(json.dumps(report | {"ifaceName": "other"}))
        nets = {"ipv4Nets": spec.ip_networks[:1], "ipv6Nets": spec.ip_networks[1:]}
        fresh = path.with_name(".new")
        fresh.write_text(json.dumps(report | nets))
        fresh.rename(path)
        thread.join(20)
        assert results[0].programmed is True

    def test_it_ends_with_a_warning_when_nobody_reports(
        self, site, inside, attachment, wanted, caplog
    ):
        made = attach(site, attachment(), wanted(), inside, wait_s=0.05)
        assert made.programmed is False
        assert "policy is not reported in force" in caplog.text

    def test_a_missing_directory_is_not_waited_on_for_ever(self, site, inside, attachment, wanted):
        site.status_directory.rmdir()
        assert attach(site, attachment(), wanted(), inside, wait_s=0.05).programmed is False


def test_a_profile_is_created_once_and_never_changed(site):
    site.workloads.ensure_profile("net", "has(net)")
    profile = site.client.profiles.get("net")
    assert profile.spec.ingress[0].source.selector == "has(net)"
    assert (profile.spec.egress[0].action, profile.spec.labels_to_apply) == ("Allow", {"net": ""})
    site.client.profiles.update(profile.with_(spec=profile.spec.with_(ingress=[])))
    site.workloads.ensure_profile("net", "has(net)")
    assert site.client.profiles.get("net").spec.ingress == []


def test_many_workloads_at_once(site, attachment, wanted):
    results = []
    with ExitStack() as stack:
        opened = []
        for _ in range(8):
            namespace = stack.enter_context(NetNs())
            opened.append(stack.enter_context(open_netns(namespace.path)))

        def work(number):
            one = attachment(f"c{number}aaaaaaaaaaaa")
            results.append(attach(site, one, wanted(f"c{number}"), opened[number]))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len({address for made in results for address in made.addresses}) == 16
        for number in range(8):
            detach(site, attachment(f"c{number}aaaaaaaaaaaa"), handle=f"net.c{number}")
    assert site.is_clean()
