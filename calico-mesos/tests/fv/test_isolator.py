"""The agent's calls on two real nodes: tasks reach each other as netgroups and policy say; nothing leaks."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from calico_test.connectivity import Matrix
from calico_test.probes import ICMP, Probe
from calico_test.processes import wait_until

HTTP = Probe("tcp", 80)
POLICY = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: databases}
spec:
  selector: app == 'db'
  types: [Ingress]
  ingress:
    - {action: Allow, protocol: TCP, source: {selector: app == 'web'}, destination: {ports: [80]}}
"""


def reach(tasks, expected):
    """Check who reaches whom; what is expected is about the tasks' names less their numbers."""
    for task in tasks:
        task.listen(tcp=[80])

    def open_between(source, destination, probe):
        return expected(source.rpartition("-")[0], destination.rpartition("-")[0], probe)

    Matrix(tasks, [HTTP, ICMP]).until(open_between, deadline_s=15)


def test_tasks_reach_each_other_as_netgroups_and_policy_say(cluster):
    one, two = cluster.agents
    web = one.launch(cluster.task(0, "web"), "blue", labels={"app": "web"})
    db = two.launch(cluster.task(1, "db"), "blue", "green", labels={"app": "db"})
    job = two.launch(cluster.task(1, "job"), "green")
    alone = one.launch(cluster.task(0, "alone"), labels={"netgroup/blue": ""})
    tasks = [web, db, job, alone]
    assert all(sorted(task.read_addresses()) == sorted(task.addresses) for task in tasks)
    pairs = {("web", "db"), ("db", "web"), ("db", "job"), ("job", "db")}

    reach(tasks, lambda source, to, probe: (source, to) in pairs)
    cluster.calicoctl("apply", "-f", "-", stdin=POLICY)
    closed = pairs - {("job", "db"), ("web", "db")}
    reach(
        tasks,
        lambda source, to, probe: (
            (source, to) in closed or ((source, to, probe) == ("web", "db", HTTP))
        ),
    )
    cluster.calicoctl("delete", "globalnetworkpolicy", "databases")
    for agent, task in ((one, web), (two, db), (two, job), (one, alone)):
        agent.end(task)


def test_public_tasks_are_open_to_hosts_and_tasks(cluster):
    agent = cluster.agents[0]
    public = agent.launch(cluster.task(0, "public"), "public")
    other = cluster.agents[1].launch(cluster.task(1, "other"), "blue")
    reach([public, other], lambda source, to, probe: to == "public")


def test_the_executor_talks_to_its_agent_and_only_to_that(cluster):
    cluster.calicoctl(
        "patch",
        "felixconfiguration",
        "default",
        "-p",
        '{"spec":{"defaultEndpointToHostAction":"Accept"}}',
    )
    task = cluster.agents[0].launch(cluster.task(0, "executor"))
    own, other = cluster.lab.hosts
    for host in (own, other):
        host.listen(tcp=[5051])
    agent_port = Probe("tcp", 5051)
    wait_until(
        lambda: task.probe(own.address(4), agent_port).outcome == "open", "the agent answers"
    )
    assert task.probe(other.address(4), agent_port).outcome == "timeout"


def test_static_and_automatic_addresses_and_their_end(cluster):
    agent = cluster.agents[0]
    task = agent.launch(cluster.task(0, "both"), "blue", static=["10.65.7.7"])
    assert task.addresses[0] == "10.65.7.7"
    assert len(set(task.addresses)) == 3
    assert sorted(task.read_addresses()) == sorted(task.addresses)
    (name,) = cluster.endpoints()
    assert name == "default/host1-mesos-{}-eth0".format(task.container_id.replace("-", "--"))
    for _ in range(2):
        agent.end(task)
    assert cluster.left() == ([], [], 0, [])


def test_isolating_again_changes_nothing_or_repairs(cluster):
    agent = cluster.agents[0]
    task = agent.launch(cluster.task(0, "again"), "blue", labels={"app": "web"})

    def link():
        return json.loads(task.run(["ip", "-json", "link", "show", "eth0"]).stdout)[0]

    before, stored = link(), cluster.endpoints()
    args = (["blue"], {"app": "web"})
    agent.isolate(task, *args)
    assert (link(), cluster.endpoints()) == (before, stored)

    task.run(["ip", "link", "delete", "eth0"])
    agent.isolate(task, *args)
    assert link()["address"] == before["address"]
    assert sorted(task.read_addresses()) == sorted(task.addresses)
    (endpoint,) = cluster.endpoints().values()
    assert endpoint["spec"] == next(iter(stored.values()))["spec"]

    agent.isolate(task, ["blue", "green"], {"app": "db"})
    (endpoint,) = cluster.endpoints().values()
    assert endpoint["metadata"]["labels"]["app"] == "db"
    assert endpoint["spec"]["profiles"][1:] == ["blue", "green"]


@pytest.mark.parametrize("then", ["isolate", "cleanup"])
def test_a_call_that_is_killed_halfway(cluster, then):
    agent, task = cluster.agents[0], cluster.task(0, "killed")
    task.addresses = agent.allocate("u1")
    process = agent.start("isolate", agent.isolate_args(task, ["blue"]))
    devices = Path(f"/proc/{task.pid}/net/dev")
    wait_until(lambda: "eth0:" in devices.read_text(), "the interface is there", deadline_s=30)
    process.kill()
    process.wait(30)
    if then == "isolate":
        agent.isolate(task, ["blue"])
        assert task.read_addresses() == task.addresses
    agent.end(task)
    assert cluster.left() == ([], [], 0, [])


class TestAddressesComeBack:
    def test_by_cleanup_alone(self, cluster):
        agent = cluster.agents[0]
        task = agent.launch(cluster.task(0, "lost"), static=["10.65.7.7"])
        agent.cleanup(task)
        assert cluster.left() == ([], [], 0, [])
        agent.cleanup(task)

    def test_but_not_those_that_somebody_else_has_by_then(self, cluster):
        one, two = cluster.agents
        task = one.launch(cluster.task(0, "old"), num_ipv6=0)
        one.release(*task.addresses)
        reserve = {"hostname": "host2", "uid": "u2", "ipv4_addrs": task.addresses}
        two.run("reserve", reserve)
        one.cleanup(task)
        assert cluster.left() == ([], ["mesos:u2:reserved"], 1, [])
        two.run("release", {"uid": "u2"})

    def test_a_container_goes_even_if_its_annotation_was_spoiled(self, cluster):
        agent = cluster.agents[0]
        task = agent.launch(cluster.task(0, "spoiled"), num_ipv6=0)
        (name,) = cluster.endpoints()
        key = f"/calico/resources/v3/projectcalico.org/workloadendpoints/{name}"
        stored = json.loads(cluster.etcd.get_prefix(key)[key])
        stored["metadata"]["annotations"]["mesos.projectcalico.org/owners"] = "?"
        cluster.etcd.put(key, json.dumps(stored))
        agent.cleanup(task)
        assert "addresses stay assigned" in agent.host.read_text("/var/log/calico/mesos.log")
        agent.release(*task.addresses)
        assert cluster.left() == ([], [], 0, [])

    def test_from_any_namespace(self, cluster):
        agent = cluster.agents[0]
        labels = {"projectcalico.org/namespace": "shop"}
        task = agent.launch(cluster.task(0, "shop"), labels=labels)
        (name,) = cluster.endpoints()
        assert name.startswith("shop/")
        agent.cleanup(task)
        assert cluster.left() == ([], [], 0, [])

    def test_of_cleanups_at_once(self, cluster):
        agent = cluster.agents[0]
        task = agent.launch(cluster.task(0, "twice"))
        args = {"hostname": "host1", "container_id": task.container_id}
        processes = [agent.start("cleanup", args) for _ in range(4)]
        for process in processes:
            assert agent.finish(process) == {}
        assert cluster.left() == ([], [], 0, [])


def test_allocations_at_once_are_unique(cluster):
    def at_once(command, **args):
        running = []
        for number in range(10):
            agent = cluster.agents[number % 2]
            running.append((agent, agent.start(command, args | {"uid": f"u{number}"})))
        return [agent.finish(process) for agent, process in running]

    replies = at_once("allocate", hostname="any", num_ipv4=2, num_ipv6=1)
    found = [address for reply in replies for address in (*reply["ipv4"], *reply["ipv6"])]
    assert len(set(found)) == 30 == cluster.left()[2]
    at_once("release")
    assert cluster.left() == ([], [], 0, [])


def test_the_commands_of_the_readme_work_as_pasted(cluster, tmp_path):
    readme = Path(__file__).parents[2].joinpath("README.md").read_text()
    script = re.search("```sh\n(.*?)```", readme, re.DOTALL)[1]
    assert len(script.splitlines()) <= 10
    script = script.replace("http://127.0.0.1:2379", cluster.etcd.endpoint)
    script = f"set -e; cd {tmp_path}; trap 'kill $pid' EXIT\n{script}"
    printed = cluster.lab.hosts[0].run(["bash", "-c", script], env=cluster.env).stdout
    replies = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert [reply["error"] for reply in replies] == [None, None, None]
    assert f"{replies[0]['ipv4'][0]}/32" in printed
    assert cluster.left() == ([], [], 0, [])


class TestFailures:
    @pytest.fixture
    def agent(self, cluster):
        return cluster.agents[0]

    def test_no_json(self, agent):
        reply = json.loads(_printed(agent.start_raw(b'{"command": "allocate"')))
        assert reply["error"].startswith("request: ")

    def test_an_exhausted_pool(self, agent, cluster):
        args = {"hostname": "host1", "uid": "u1", "num_ipv4": 2000, "num_ipv6": 0}
        assert "out of 2000 requested IPv4 addresses" in agent.refused("allocate", args)

    def test_an_address_in_use(self, agent, cluster):
        task = agent.launch(cluster.task(0, "owner"), static=["10.65.7.7"])
        args = {"hostname": "host1", "uid": "u2", "ipv4_addrs": ["10.65.7.6", "10.65.7.7"]}
        assert "10.65.7.7 already assigned" in agent.refused("reserve", args)
        agent.end(task)

    def test_a_dead_process(self, agent, cluster):
        task = cluster.task(0, "dead")
        task.addresses = agent.allocate("u1")
        task.end()
        text = agent.refused("isolate", agent.isolate_args(task))
        assert text == f"process {task.pid} does not exist (any more)"
        agent.release(*task.addresses)

    def test_a_process_in_the_hosts_namespace(self, agent, cluster):
        task = cluster.task(0, "hosts")
        task.addresses = agent.allocate("u1")
        args = agent.isolate_args(task) | {"pid": agent.host.holder.pid}
        assert "in the host's network namespace" in agent.refused("isolate", args)
        agent.release(*task.addresses)

    def test_an_interface_that_is_there_already(self, agent, cluster):
        task = cluster.task(0, "taken")
        task.run(["ip", "link", "add", "eth0", "type", "bridge"])
        task.addresses = agent.allocate("u1")
        text = agent.refused("isolate", agent.isolate_args(task))
        assert "has an interface eth0 already" in text
        agent.release(*task.addresses)
        assert cluster.left() == ([], [], 0, [])

    def test_no_datastore(self, agent):
        elsewhere = {"ETCD_ENDPOINTS": "http://127.0.0.1:9"}
        assert "127.0.0.1:9" in agent.refused("release", {"uid": "u1"}, **elsewhere)
        nowhere = {"ETCD_ENDPOINTS": ""}
        assert "ETCD_ENDPOINTS" in agent.refused("release", {"uid": "u1"}, **nowhere)

    def test_the_file_that_says_where_the_datastore_is(self, agent, cluster):
        spec = f"spec: {{etcdEndpoints: '{cluster.etcd.endpoint}'}}\n"
        head = "apiVersion: projectcalico.org/v3\nkind: CalicoAPIConfig\n"
        agent.host.write_text("/etc/calico/calicoctl.cfg", head + spec)
        agent.run("release", {"uid": "u1"}, ETCD_ENDPOINTS="")
        os.unlink(agent.host.path("/etc/calico/calicoctl.cfg"))
        assert "request done about='release u1'" in agent.host.read_text(
            "/var/log/calico/mesos.log"
        )


def _printed(process):
    process.wait(30)
    with process:
        return process.stdout.read()
