"""A host is the same before Calico and after its removal; an etcd of its own comes and goes with it."""

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from calico_test import processes

BIN = Path(sys.executable).parent
DEADLINE_S = 30.0
FOREIGN = """
nft add table inet theirs; nft 'add chain inet theirs in { type filter hook input priority 5; }'
nft add rule inet theirs in counter
nft add table ip calico-like; iptables-nft -P FORWARD DROP
ip link add cali-br type bridge; ip link add ours0 type veth peer name ours1
ip link set ours0 addrgenmode none; ip link set ours1 addrgenmode none
ip link set ours0 up; ip addr add 10.7.0.1/24 dev ours0; ip link set ours1 up
ip route add 10.8.0.0/24 via 10.7.0.2; ip route add blackhole 10.9.0.0/24 proto static
mkdir -p /opt/cni/bin /etc/cni/net.d /etc/calico
echo theirs >/opt/cni/bin/bridge; touch /etc/calico/felix.cfg
"""
LOOK = """
nft list ruleset | sed 's/counter packets.*/counter/'
ip -o link | sed 's/ state [A-Z]* / /; s/^[0-9]*: //'; ip -o address | sed 's/^[0-9]*: //'
# Anycast routes are the kernel's, because the host forwards now, and goes on to.
ip route show table all | grep -v ^anycast; ip rule; ip -6 rule
find /run /var/lib/calico /var/log/calico /etc/calico /opt/cni /etc/cni \\
  ! -path '/run/netns*' -printf '%p %y\\n' | sort
"""
#: What the kernel counts, and that it still looks whether another has an address.
VARIABLE = re.compile(r"(valid_lft|preferred_lft|expires) \S+| tentative")


def look(host):
    return [VARIABLE.sub("", line).strip() for line in host.sh(LOOK).splitlines()]


def settled(host):
    """What there is once two looks agree: services that have just begun still write files."""
    looks = [look(host)]

    def is_settled():
        looks.append(look(host))
        return looks[-1] == looks[-2]

    processes.wait_until(is_settled, "nothing changes any more", deadline_s=20)
    return looks[-1]


def commands(host):
    members = processes.members(host.holder.namespace_ids())
    return sorted(Path(f"/proc/{p.pid}/cmdline").read_bytes() for p in members)


@pytest.fixture
def host(lab):
    made = lab(1).hosts[0]
    made.sh(FOREIGN)
    made.env |= {"PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    return made


def start(host):
    """Calico with an etcd of its own, the plugins, and a workload."""
    host.run(["calico-node", "run", "--detach", "--etcd=embedded"], env={"NODENAME": "h1"})
    host.run(["calico-cni", "install"], env={"ETCD_ENDPOINTS": "http://127.0.0.1:2379"})
    workload = host.add_workload("w1")
    network = json.loads(host.read_text("/etc/cni/net.d/10-calico.conflist"))
    config = {**network["plugins"][0], "name": network["name"], "cniVersion": "1.0.0"}
    call = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "w1", "CNI_NETNS": workload.netns}
    added = host.run(
        ["/opt/cni/bin/calico"],
        env={**call, "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin"},
        stdin=json.dumps(config),
    )
    return json.loads(added.stdout)["ips"][0]["address"].partition("/")[0]


def test_the_host_is_as_before(host):
    before, ran = look(host), commands(host)
    address = start(host)
    assert "dev cali" in host.sh(f"ip route show {address}")
    assert "inet calico" in host.sh("nft list tables")
    done = host.run(["calico-node", "uninstall", "--yes"])
    assert "nftables table inet calico" in done.stdout
    assert "rule in ip filter FORWARD: calico: policy has passed from cali+" in done.stdout
    assert "interface cali" in done.stdout
    assert "removed /opt/cni/bin/calico" in done.stdout
    host.remove_workload("w1")
    assert set(look(host)) ^ set(before) == set()
    assert commands(host) == ran
    again = host.run(["calico-node", "uninstall", "--yes"])
    assert again.stdout == "Nothing of Calico is on this host\n"


def test_services_whose_supervisor_was_killed_go_too(host):
    before, ran = look(host), commands(host)
    start(host)
    host.sh("kill -9 $(cat /var/run/calico/supervisord.pid)")
    host.run(["calico-node", "uninstall", "--yes"])
    host.remove_workload("w1")
    assert set(look(host)) ^ set(before) == set()
    assert commands(host) == ran


def test_it_asks_first(host):
    start(host)
    during = settled(host)
    refused = host.run(["calico-node", "uninstall"], stdin="n\n", check=False)
    assert refused.returncode == 1
    assert "Workloads lose their network" in refused.stdout
    ours = {line for line in during if "nodename" in line or "cali" in line}
    assert ours - set(look(host)) == set()
    assert host.run(["calico-node", "status"]).returncode == 0


def test_an_etcd_elsewhere_contradicts_one_of_its_own(host):
    refused = host.run(
        ["calico-node", "run", "--etcd=embedded"],
        env={"ETCD_ENDPOINTS": "http://10.233.0.1:2379"},
        check=False,
    )
    assert refused.returncode == 1
    assert "contradict each other" in refused.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_start_up_that_is_ended_leaves_no_etcd(host, number):
    host.write_text("/opt/deaf/etcd", "#!/bin/sh\nexec sleep 1000\n", mode=0o755)
    path = f"/opt/deaf:{host.env['PATH']}"
    starting = host.popen(["calico-node", "run", "--etcd=embedded"], env={"PATH": path})

    def etcd_runs():
        return b"sleep\x001000\0" in commands(host)

    processes.wait_until(etcd_runs, "start-up waits for etcd", deadline_s=DEADLINE_S)
    starting.send_signal(number)
    assert starting.wait(DEADLINE_S) == -number
    processes.wait_until(lambda: not etcd_runs(), "etcd has ended", deadline_s=DEADLINE_S)


def test_a_taken_port_is_told(host):
    squatter = host.popen([sys.executable, "-m", "http.server", "2379", "--bind", "127.0.0.1"])
    host.sh("until ss -Hltn 'sport = 2379' | grep -q .; do :; done")
    refused = host.run(["calico-node", "run", "--etcd=embedded"], check=False)
    assert refused.returncode == 1
    assert refused.stderr.startswith("calico-node: etcd does not start: ")
    assert refused.stderr.count("\n") == 1
    squatter.kill()
