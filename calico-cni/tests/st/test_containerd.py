"""containerd runs pods through the plugins: by its CRI service, as a kubelet does, and by ``ctr run``."""

from __future__ import annotations

import contextlib
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# The part of runtime.v1 that is used here: message → field → (number, type). Source: api.proto of cri-api.
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "PodSandboxMetadata": {
        "name": (1, "string"),
        "uid": (2, "string"),
        "namespace": (3, "string"),
        "attempt": (4, "uint32"),
    },
    "LinuxPodSandboxConfig": {"cgroup_parent": (1, "string")},
    "PodSandboxConfig": {
        "metadata": (1, "PodSandboxMetadata"),
        "hostname": (2, "string"),
        "log_directory": (3, "string"),
        "linux": (8, "LinuxPodSandboxConfig"),
    },
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig")},
    "RunPodSandboxResponse": {"pod_sandbox_id": (1, "string")},
    "StopPodSandboxRequest": {"pod_sandbox_id": (1, "string")},
    "StopPodSandboxResponse": {},
    "RemovePodSandboxRequest": {"pod_sandbox_id": (1, "string")},
    "RemovePodSandboxResponse": {},
    "PodIP": {"ip": (1, "string")},
    "PodSandboxNetworkStatus": {"ip": (1, "string"), "additional_ips": (2, "repeated PodIP")},
    "PodSandboxStatus": {"id": (1, "string"), "network": (5, "PodSandboxNetworkStatus")},
    "PodSandboxStatusRequest": {"pod_sandbox_id": (1, "string")},
    "PodSandboxStatusResponse": {"status": (1, "PodSandboxStatus")},
    "PodSandbox": {"id": (1, "string"), "metadata": (2, "PodSandboxMetadata")},
    "ListPodSandboxRequest": {},
    "ListPodSandboxResponse": {"items": (1, "repeated PodSandbox")},
    "ContainerMetadata": {"name": (1, "string"), "attempt": (2, "uint32")},
    "ImageSpec": {"image": (1, "string")},
    "ContainerConfig": {
        "metadata": (1, "ContainerMetadata"),
        "image": (2, "ImageSpec"),
        "command": (3, "repeated string"),
        "log_path": (11, "string"),
    },
    "CreateContainerRequest": {
        "pod_sandbox_id": (1, "string"),
        "config": (2, "ContainerConfig"),
        "sandbox_config": (3, "PodSandboxConfig"),
    },
    "CreateContainerResponse": {"container_id": (1, "string")},
    "StartContainerRequest": {"container_id": (1, "string")},
    "StartContainerResponse": {},
    "ExecSyncRequest": {
        "container_id": (1, "string"),
        "cmd": (2, "repeated string"),
        "timeout": (3, "int64"),
    },
    "ExecSyncResponse": {
        "stdout": (1, "bytes"),
        "stderr": (2, "bytes"),
        "exit_code": (3, "int32"),
    },
    "StatusRequest": {"verbose": (1, "bool")},
    "StatusResponse": {"info": (2, "repeated InfoEntry")},
    "InfoEntry": {"key": (1, "string"), "value": (2, "string")},
}
CONFIGURATION = "/etc/cni/net.d/10-calico.conflist"


def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="cri.proto", package="cri", syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, what) in fields.items():
            one = message.field.add(name=field, number=number)
            *repeated, kind = what.split()
            one.label = one.LABEL_REPEATED if repeated else one.LABEL_OPTIONAL
            if kind in MESSAGES:
                one.type, one.type_name = one.TYPE_MESSAGE, f".cri.{kind}"
            else:
                one.type = getattr(one, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"cri.{name}"))
        for name in MESSAGES
    }


class Cri:
    """Calls of a kubelet."""

    types = _messages()

    def __init__(self, machine: Any, channel: grpc.Channel) -> None:
        self.machine, self._channel = machine, channel

    def call(self, method: str, **fields: Any) -> Any:
        call = self._channel.unary_unary(
            f"/runtime.v1.RuntimeService/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=self.types[f"{method}Response"].FromString,
        )
        return call(self.types[f"{method}Request"](**fields), timeout=60)

    def config(self, name: str, namespace: str = "shop", attempt: int = 0) -> dict[str, Any]:
        metadata = {"name": name, "uid": f"uid-{name}", "namespace": namespace, "attempt": attempt}
        return {
            "metadata": metadata,
            "hostname": name,
            "log_directory": "/run/pod-logs",
            "linux": {"cgroup_parent": f"/{self.machine.cgroup}"},
        }

    def run(self, name: str, **options: Any) -> str:
        """Start a pod; return the id of its sandbox."""
        config = self.config(name, **options)
        return str(self.call("RunPodSandbox", config=config).pod_sandbox_id)

    def addresses(self, sandbox: str) -> set[str]:
        network = self.call("PodSandboxStatus", pod_sandbox_id=sandbox).status.network
        return {network.ip, *(more.ip for more in network.additional_ips)} - {""}

    def start_container(self, sandbox: str, name: str) -> str:
        """Start a container in a pod; return its id."""
        config = {
            "metadata": {"name": name},
            "image": {"image": "localhost/busybox:latest"},
            "command": ["sleep", "1000000"],
            "log_path": f"{name}.log",
        }
        created = self.call(
            "CreateContainer",
            pod_sandbox_id=sandbox,
            config=config,
            sandbox_config=self.config(name),
        )
        self.call("StartContainer", container_id=created.container_id)
        return str(created.container_id)

    def execute(self, container: str, *argv: str) -> Any:
        return self.call("ExecSync", container_id=container, cmd=argv, timeout=30)

    def stop(self, sandbox: str) -> None:
        self.call("StopPodSandbox", pod_sandbox_id=sandbox)

    def remove(self, sandbox: str) -> None:
        self.call("RemovePodSandbox", pod_sandbox_id=sandbox)

    def remove_everything(self) -> None:
        for sandbox in self.call("ListPodSandbox").items:
            self.stop(sandbox.id)
            self.remove(sandbox.id)

    def networks(self) -> set[str]:
        """Return the names of the networks that containerd has read."""
        info = {one.key: one.value for one in self.call("Status", verbose=True).info}
        found = json.loads(info["cniconfig"])["Networks"]
        return {network["Config"]["Name"] for network in found}


@pytest.fixture
def kubelets(cluster):
    """A kubelet's view of each machine; its pods are removed after the test."""
    with contextlib.ExitStack() as stack:
        found = []
        for machine in cluster.machines:
            channel = stack.enter_context(grpc.insecure_channel(machine.socket))
            found.append(Cri(machine, channel))
            stack.callback(found[-1].remove_everything)
        yield found


@pytest.fixture
def configured(cluster, kubelets):
    """Have the first machine's containerd use another network configuration, until the test ends."""
    one = cluster.machines[0]
    before = one.host.read_text(CONFIGURATION)

    def use(document):
        one.host.write_text(CONFIGURATION, json.dumps(document))
        cluster.until(lambda: document["name"] in kubelets[0].networks(), "containerd reads it")

    yield use
    kubelets[0].remove_everything()
    one.host.write_text(CONFIGURATION, before)
    cluster.until(lambda: "calico" in kubelets[0].networks(), "containerd reads it")


def test_a_pod_is_an_endpoint_with_the_identity_of_kubernetes(cluster, kubelets):
    one = cluster.machines[0]
    sandbox = kubelets[0].run("web")
    [endpoint] = cluster.endpoints()
    spec = endpoint["spec"]
    assert endpoint["metadata"]["namespace"] == "shop"
    assert endpoint["metadata"]["name"] == f"{one.name}-k8s-web-eth0"
    assert (spec["orchestrator"], spec["pod"], spec["containerID"]) == ("k8s", "web", sandbox)
    assert one.links() == {spec["interfaceName"]}
    networks = {address.partition("/")[0] for address in spec["ipNetworks"]}
    assert kubelets[0].addresses(sandbox) == networks
    assert len(networks) == 2


def test_pods_on_two_hosts_and_a_container_of_podman_reach_each_other(cluster, kubelets):
    near, far = (kubelet.run(name) for kubelet, name in zip(kubelets, ("web", "api"), strict=True))
    container = kubelets[0].start_container(near, "web")
    server = kubelets[1].start_container(far, "api")
    script = "mkdir /tmp/www; echo hello >/tmp/www/index.html; httpd -h /tmp/www"
    assert kubelets[1].execute(server, "sh", "-c", script).exit_code == 0
    for address in kubelets[1].addresses(far):
        url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
        command = ["timeout", "1", "wget", "-q", "-O-", url]
        cluster.until(
            lambda c=command: kubelets[0].execute(container, *c).stdout == b"hello\n", address
        )
        if ":" not in address:
            cluster.machines[0].start_container("other")
            cluster.until(lambda a=address: cluster.machines[0].fetches("other", a), "from Podman")


def test_stopping_and_removing_twice_and_at_once(cluster, kubelets):
    one = kubelets[0]
    sandboxes = [one.run(name) for name in ("a", "b", "c")]
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(one.stop, sandboxes * 3))
    assert cluster.endpoints() == []
    assert cluster.handles() == []
    for sandbox in sandboxes:
        one.stop(sandbox)
    with ThreadPoolExecutor(9) as pool:
        list(pool.map(one.remove, sandboxes * 3))
    for sandbox in sandboxes:
        one.remove(sandbox)
    cluster.until(lambda: not one.machine.leftovers(), "nothing is left")


def test_a_late_stop_leaves_the_next_pod_of_that_name_alone(cluster, kubelets):
    one = kubelets[0]
    former = one.run("web")
    one.stop(former)
    latter = one.run("web", attempt=1)
    one.stop(former)
    one.remove(former)
    [endpoint] = cluster.endpoints()
    assert endpoint["spec"]["containerID"] == latter
    assert len(cluster.handles()) == 1
    assert one.machine.links() == {endpoint["spec"]["interfaceName"]}


@pytest.mark.parametrize("version", [{}, {"cniVersion": ""}, {"cniVersion": "0.3.1"}])
def test_a_configuration_without_a_version(cluster, kubelets, configured, version):
    document = json.loads(cluster.machines[0].host.read_text(CONFIGURATION))
    del document["cniVersion"]
    configured(document | {"name": "old"} | version)
    sandbox = kubelets[0].run("web")
    [endpoint] = cluster.endpoints()
    networks = {address.partition("/")[0] for address in endpoint["spec"]["ipNetworks"]}
    assert kubelets[0].addresses(sandbox) == networks
    kubelets[0].stop(sandbox)
    assert cluster.endpoints() == []


def test_an_exhausted_pool_says_so_and_leaves_nothing(cluster, kubelets, configured, tiny):
    one = kubelets[0]
    tiny = "/etc/cni/net.d/20-tiny.conflist"
    document = json.loads(cluster.machines[0].host.read_text(tiny))
    configured(document | {"name": "tiny-pods"})
    first = one.run("web")
    assert one.addresses(first) == {"10.66.0.0"}
    with pytest.raises(grpc.RpcError) as refused:
        one.run("more")
    assert "no address was assigned; nothing was left behind" in refused.value.details()
    assert [endpoint["spec"]["pod"] for endpoint in cluster.endpoints()] == ["web"]
    assert len(one.machine.links()) == 1
    assert len(cluster.handles()) == 1
    one.stop(first)
    assert one.addresses(one.run("more", attempt=1)) == {"10.66.0.0"}


def test_ctr_runs_a_container_on_the_network(cluster):
    one = cluster.machines[0]
    command = ["ctr", "run", "--cni", "--rm", f"--runc-binary={one.runc}"]
    command += [f"--cgroup=/{one.cgroup}/t1", "localhost/busybox:latest", "t1", "sleep", "1000000"]
    running = subprocess.Popen([*one.enter, *command], stdin=subprocess.DEVNULL)
    try:
        cluster.until(cluster.endpoints, "the endpoint")
        [endpoint] = cluster.endpoints()
        assert endpoint["spec"]["containerID"] == "default-t1"
        assert endpoint["spec"]["orchestrator"] == "cni"
        inside = ["ctr", "task", "exec", "--exec-id=e", "t1", "ip", "address"]
        cluster.until(lambda: one.run(*inside, check=False).returncode == 0, "the task runs")
        shown = one.run(*inside).stdout
        assert all(address in shown for address in endpoint["spec"]["ipNetworks"])
    finally:
        one.run("ctr", "task", "kill", "--signal=SIGKILL", "t1")
        running.wait(30)
    assert cluster.endpoints() == []
    assert cluster.handles() == []
