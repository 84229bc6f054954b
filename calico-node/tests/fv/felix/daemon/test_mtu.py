"""How large packets of workloads can be is found, told to plugins, and followed while it changes."""

import pytest

from libcalico.testing import builders as a

FILE = "/var/lib/calico/mtu"
OTHERS = "eth8"


def told(felix):
    """Return what plugins are told; 0 for nothing."""
    return int(felix.host.read_text(FILE)) if felix.host.exists(FILE) else 0


def wait_told(felix, mtu):
    felix.wait(lambda: told(felix) == mtu, f"MTU {mtu} is told")


def add_link(felix, name, mtu):
    felix.host.sh(f"ip link add {name} mtu {mtu} type veth peer name {name}-far")
    felix.host.sh(f"ip link set {name}-far up")


def test_the_smallest_of_the_interfaces_that_are_up_counts(felix):
    add_link(felix, OTHERS, 1300)
    felix.start()
    wait_told(felix, 1500)
    felix.host.sh(f"ip link set {OTHERS} up")
    wait_told(felix, 1300)
    felix.host.sh(f"ip link set {OTHERS} mtu 1320")
    wait_told(felix, 1320)
    felix.host.sh(f"ip link set {OTHERS} down")
    wait_told(felix, 1500)
    felix.host.sh(f"ip link set {OTHERS} up")
    wait_told(felix, 1320)
    felix.host.sh(f"ip link delete {OTHERS}")
    wait_told(felix, 1500)


def test_only_interfaces_that_the_pattern_names_count(felix):
    add_link(felix, "uplink", 1300)
    felix.host.sh("ip link set uplink up")
    felix.start()
    wait_told(felix, 1500)
    felix.configure(mtu_iface_pattern="^(uplink|eth.*)$")
    wait_told(felix, 1300)
    felix.configure(mtu_iface_pattern="^nothing$")
    wait_told(felix, 1460)


def test_tunnels_that_pools_ask_for_take_their_share(felix):
    felix.start()
    wait_told(felix, 1500)
    four = a.a_pool(name="v4", cidr="10.65.0.0/24", vxlan_mode="Always")
    felix.put(four)
    wait_told(felix, 1450)
    felix.put(a.a_pool(name="v6", cidr="fd65::/112", vxlan_mode="Always"))
    wait_told(felix, 1430)
    felix.configure(vxlan_mtu_v6=1280)
    wait_told(felix, 1280)
    felix.configure(vxlan_mtu_v6=1280, ipv6_support=False)
    wait_told(felix, 1450)
    felix.put(a.a_pool(name="v4", cidr="10.65.0.0/24", ipip_mode="Always"))
    wait_told(felix, 1480)
    felix.delete(four)
    wait_told(felix, 1500)


def test_what_somebody_did_to_the_file_is_put_right_by_an_audit(felix):
    felix.configure(interface_refresh_interval="1s")
    felix.start()
    wait_told(felix, 1500)
    felix.host.sh(f"echo 9000 >{FILE}")
    wait_told(felix, 1500)
    felix.host.sh(f"rm {FILE}")
    wait_told(felix, 1500)


@pytest.mark.parametrize("is_required", [True, False])
def test_a_file_that_cannot_be_written_is_said_and_matters_if_it_is_required(felix, is_required):
    felix.host.sh(f"mkdir -p {FILE}")
    felix.start(until_ready=False)
    felix.wait_row("Dataplane", f"cannot write {FILE}: Is a directory")
    assert felix.is_ready()
    felix.configure(require_mtu_file=is_required)
    felix.wait(lambda: felix.is_ready() is not is_required, "it matters if it is required")
    felix.host.sh(f"rmdir {FILE}")
    wait_told(felix, 1500)
    felix.wait_ready()
