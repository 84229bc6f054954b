"""Mesos 1.0 and later call CNI plugins themselves; ours are called here as network/cni does.

That is: no CNI_ARGS, the configuration file with the task's labels put in, no cniVersion, and only for
ADD and DEL. Source: docs/cni.md and network/cni/cni.cpp of apache/mesos.
"""

from __future__ import annotations

import json
import subprocess

from calico_test.connectivity import Matrix
from calico_test.probes import Probe

HTTP = Probe("tcp", 80)
DIRECTORY = "/var/run/mesos/isolators/network/cni"
POLICY = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: cni-databases}
spec:
  selector: app == 'db'
  types: [Ingress]
  ingress:
    - {action: Allow, source: {selector: example.com.role == 'front-end'}}
"""


class Containerizer:
    """The network/cni isolator of one host."""

    def __init__(self, cluster, number):
        self.host = cluster.lab.hosts[number]
        network = json.loads(self.host.read_text("/etc/cni/net.d/10-calico.conflist"))
        self.conf = network["plugins"][0] | {"name": network["name"]}

    def call(self, command, task, labels):
        pairs = [{"key": key, "value": value} for key, value in labels.items()]
        ports = [{"host_port": 8080, "container_port": 80}]
        info = {"name": "mynet", "labels": {"labels": pairs}, "port_mappings": ports}
        conf = self.conf | {"args": {"org.apache.mesos": {"network_info": info}}}
        environ = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": task.container_id,
            "CNI_PATH": "/opt/cni/bin",
            "CNI_IFNAME": "eth0",
            "CNI_NETNS": f"{DIRECTORY}/{task.container_id}/ns",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }
        done = subprocess.run(
            [*self.host.enter, "/opt/cni/bin/calico"],
            env=environ,
            input=json.dumps(conf),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def attach(self, task, labels):
        folder = f"{DIRECTORY}/{task.container_id}"
        self.host.sh(f"mkdir -p {folder}; touch {folder}/ns")
        self.host.sh(f"mount --bind /proc/{task.pid}/ns/net {folder}/ns")
        result = json.loads(self.call("ADD", task, labels))
        task.addresses = [result["ip4"]["ip"].partition("/")[0]]
        return result

    def detach(self, task, labels):
        task.end()
        assert self.call("DEL", task, labels) == ""
        folder = f"{DIRECTORY}/{task.container_id}"
        self.host.sh(f"umount {folder}/ns; rm -r {folder}")
        assert self.call("DEL", task, labels) == ""


def test_a_conf_without_version_is_answered_in_the_old_shape_and_labels_select(cluster):
    here, there = Containerizer(cluster, 0), Containerizer(cluster, 1)
    web, db, job = cluster.task(0, "web"), cluster.task(1, "db"), cluster.task(1, "job")
    assert "cniVersion" not in here.conf
    front = {"example.com/role": "front end"}
    result = here.attach(web, front)
    assert web.read_addresses() == web.addresses
    assert set(result) <= {"cniVersion", "ip4", "dns"}
    there.attach(db, {"app": "db"})
    there.attach(job, {})
    labels = [endpoint["metadata"]["labels"] for endpoint in cluster.endpoints().values()]
    assert any(one.get("example.com.role") == "front-end" for one in labels)
    # A task of the isolator is another network's: profiles keep them apart, policy lets them meet.
    old = cluster.agents[0].launch(cluster.task(0, "old"), labels=front)

    tasks = [web, db, job, old]
    for task in tasks:
        task.listen(tcp=[80])
    mynet = {"web", "db", "job"}
    matrix = Matrix(tasks, [HTTP], families=[4])
    matrix.until(lambda source, to, _: {_name(source), _name(to)} <= mynet, deadline_s=15)
    cluster.calicoctl("apply", "-f", "-", stdin=POLICY)

    def with_policy(source, to, _):
        source, to = _name(source), _name(to)
        if source == "old":
            return False  # its profile lets nothing out
        return to in mynet and source in mynet if to != "db" else source == "web"

    matrix.until(with_policy, deadline_s=15)
    cluster.calicoctl("delete", "globalnetworkpolicy", "cni-databases")
    here.detach(web, front)
    there.detach(db, {"app": "db"})
    there.detach(job, {})


def _name(task):
    return task.rpartition("-")[0]
