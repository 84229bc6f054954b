"""Hosts with Podman and containerd, Calico's services and the installed plugins each, and one etcd for all.

The runtimes of a host and their containers have a PID and a mount namespace of their own below the host's:
when its first process ends, however that happens, the kernel ends all of them. What they store is in the
host's /run. The image is made of a static busybox: no registry is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import calico_test
from calico_test import processes
from calico_test.busybox import root_file_system
from calico_test.errors import DeadlineError
from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.resources import Resources

BIN = Path(sys.executable).parent
RUNC = Path(calico_test.__file__).with_name("runtime.sh")
IMAGE = "localhost/busybox:latest"
SOCKET = "/run/containerd/containerd.sock"
CGROUPS = Path("/sys/fs/cgroup")
DEADLINE_S = 10.0
#: The kernel buries the children of a process that ignores their end.
FIRST = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.pause()"
#: program → Debian package. The network plugins are there for the loopback plugin, which CRI calls first.
NEEDED = {
    "podman": "podman",
    "containerd": "containerd",
    "runc": "runc",
    "conmon": "conmon",
    "busybox": "busybox-static",
    "/usr/lib/cni/loopback": "containernetworking-plugins",
}
#: Debian's runc knows nothing of the hybrid control groups that crun refuses; limits stay within what a
#: process without CAP_SYS_RESOURCE may set.
CONTAINERS_CONF = f"""
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "cni"
cni_plugin_dirs = ["/opt/cni/bin"]
[engine]
runtime = "ours"
cgroup_manager = "cgroupfs"
events_logger = "none"
[engine.runtimes]
ours = ["{RUNC}"]
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "/run/podman-data"
runroot = "/run/podman-state"
"""
CONTAINERD_TOML = f"""
version = 2
root = "/run/containerd-data"
state = "/run/containerd-state"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{RUNC}"
"""


def until(condition: Callable[[], Any], what: str) -> None:
    processes.wait_until(lambda: bool(condition()), what, deadline_s=DEADLINE_S)


def archive_of(layer: bytes) -> bytes:
    """Return an image of one layer, as ``docker save`` writes it and all runtimes read it."""
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, ""),
        "os": "linux",
        "config": {"Cmd": ["sleep", "1000000"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in (
            ("manifest.json", json.dumps(manifest).encode()),
            ("config.json", json.dumps(config).encode()),
            ("layer.tar", layer),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return file.getvalue()


class Machine:
    """A host with both runtimes and the plugins."""

    def __init__(self, lab: Lab, host: Host) -> None:
        assert lab.etcd is not None
        self.host, self.name, self.cgroup = host, host.name, f"{lab.name}-{host.name}"
        self.env = {
            "ETCD_ENDPOINTS": lab.etcd.endpoint,
            "PATH": f"{BIN}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
        }
        self.socket = f"unix:{host.path(SOCKET)}"
        self.runc, self.enter = str(RUNC), list[str]()

    def start(self, archive: Path) -> None:
        """Start Calico's services, install the plugins, then start the runtimes."""
        node = ["calicoctl", "node", "run", "--runtime=native", f"--name={self.name}"]
        self.host.run(
            [*node, "--ip=autodetect", "--ip6=autodetect", "--no-default-ippools"], env=self.env
        )
        self.install("10-calico.conflist", "calico")
        self.host.sh("cp /usr/lib/cni/loopback /opt/cni/bin/")
        self._start_namespaces()
        self._start_containerd(archive)
        self.host.write_text("/etc/containers/containers.conf", CONTAINERS_CONF)
        self.host.write_text("/etc/containers/storage.conf", STORAGE_CONF)
        self.podman("load", "--quiet", "--input", str(archive))
        # Podman mounts its storage upon itself, and the last of its processes to end takes that away, unless
        # another still counted a container as mounted (containers/storage, drivers/overlay, Cleanup).
        self.mounts = [*self._mounts(), "/run/podman-data/overlay"]

    def _start_namespaces(self) -> None:
        """Keep the namespaces, and bury what the runtimes leave to the first process."""
        alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=KILL", "--"]
        child = self.host.popen([*alone, sys.executable, "-c", FIRST])
        children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        until(children.read_text, f"{self.name}: the first process")
        first = children.read_text().strip()
        until(lambda: FIRST.encode() in Path(f"/proc/{first}/cmdline").read_bytes(), FIRST)
        self.enter = ["nsenter", f"--target={first}", "--mount", "--uts", "--net", "--pid", "--"]
        # As after the first `ip netns add`. Podman would do it later, over namespaces of containerd.
        self.run("mount", "--bind", "/run/netns", "/run/netns")
        self.run("mount", "--make-shared", "/run/netns")

    def _start_containerd(self, archive: Path) -> None:
        self.host.write_text("/etc/containerd/config.toml", CONTAINERD_TOML)
        log = self.host.state_dir / "containerd.log"
        with log.open("ab") as file:
            self.containerd = subprocess.Popen(
                [*self.enter, "containerd"], stdout=file, stderr=file, stdin=subprocess.DEVNULL
            )
        until(lambda: self.run("ctr", "version", check=False).returncode == 0, "containerd")
        for namespace in ("default", "k8s.io"):
            self.run("ctr", "-n", namespace, "images", "import", str(archive))

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command beside the runtimes."""
        return processes.run(
            self.enter, argv, where=self.name, env=self.env, check=check, timeout_s=90
        )

    def podman(self, *argv: str) -> str:
        """Run podman; return what it printed."""
        return self.run("podman", *argv).stdout.strip()

    def install(self, file: str, network: str, **changes: Any) -> None:
        """Install the plugins and a network; ``changes`` are of its plugin's configuration."""
        command = ["calico-cni", "install", f"--conf-name={file}", f"--network-name={network}"]
        command += ["--ipv4-pools=st4", "--ipv6-pools=st6"]
        self.host.run(command, env=self.env)
        if changes:
            path = f"/etc/cni/net.d/{file}"
            document = json.loads(self.host.read_text(path))
            document["plugins"][0] |= changes
            self.host.write_text("/run/network.json", json.dumps(document))
            self.host.run([*command[:3], "--network-config=/run/network.json"], env=self.env)

    def start_container(self, name: str, network: str = "calico", *options: str) -> str:
        """Start a container of Podman that stays; return its IPv4 address."""
        general = ["--detach", "--name", name, f"--cgroup-parent=/{self.cgroup}"]
        ping = ["--cap-add=NET_RAW"]
        self.podman("run", *general, *ping, "--network", network, *options, IMAGE)
        return self.address(name, network)

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.podman("inspect", name))
        return found[0]

    def address(self, name: str, network: str = "calico") -> str:
        """Return what Podman says is a container's IPv4 address."""
        return str(self.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"])

    def execute(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.run("podman", "exec", name, *argv, check=False)

    def pings(self, name: str, address: str) -> bool:
        """Whether one ping is answered within a second."""
        return self.execute(name, "ping", "-c1", "-W1", address).returncode == 0

    def fetches(self, name: str, address: str) -> bool:
        """Whether the web server at an address answers."""
        url = f"http://[{address}]/" if ":" in address else f"http://{address}/"
        command = ["timeout", "1", "wget", "-q", "-O-", url]
        return self.execute(name, *command).stdout == "hello\n"

    def serve(self, name: str) -> None:
        """Start a web server in a container."""
        script = "echo hello >/www/index.html; httpd -h /www"
        assert self.execute(name, "sh", "-c", script).returncode == 0

    def links(self) -> set[str]:
        """Return the names of the workload interfaces."""
        listed = json.loads(self.host.sh("ip -json link"))
        return {link["ifname"] for link in listed if link["ifname"].startswith("cali")}

    def _mounts(self) -> list[str]:
        lines = self.run("cat", "/proc/self/mountinfo").stdout.splitlines()
        return sorted(line.split()[4] for line in lines)

    def leftovers(self) -> dict[str, Any]:
        """Return what should not be there when no container is: interfaces, namespaces, mounts, processes."""
        listed = self.run("ps", "-e", "-o", "pid=,comm=").stdout.splitlines()
        names = {line.split(maxsplit=1)[1] for line in listed if line.split()[0] != "1"}
        found = {
            "links": self.links(),
            "namespaces": self.run("ls", "/run/netns").stdout.split(),
            "mounts": [mount for mount in self._mounts() if mount not in self.mounts],
            "processes": names - {"containerd", "ps"},
            "routes": [
                r for r in self.host.sh("ip route; ip -6 route").splitlines() if "cali" in r
            ],
        }
        return {what: one for what, one in found.items() if one}

    def remove_everything(self) -> None:
        """Remove all containers, whoever runs them."""
        self.podman("rm", "--all", "--force", "--time=0")

    def stop(self) -> None:
        """End the runtimes and Calico's services."""
        if self.enter:
            processes.kill([processes.Process.of(int(self.enter[1].partition("=")[2]))])
            self.containerd.wait(DEADLINE_S)
        self.host.run(["calicoctl", "node", "stop", "--force"], env=self.env, check=False)
        tops = [*CGROUPS.glob(self.cgroup), *CGROUPS.glob(f"*/{self.cgroup}")]
        for top in tops:
            for directory in sorted([top, *top.glob("**/*/")], reverse=True):
                with contextlib.suppress(FileNotFoundError):
                    directory.rmdir()


class Cluster(Resources):
    """The machines of one lab."""

    until = staticmethod(until)

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.machines = [Machine(lab, host) for host in lab.hosts]
        super().__init__(lab.hosts[0], self.machines[0].env)

    def start(self, archive: Path) -> None:
        self.pool("st4", "10.65.0.0/16")
        self.pool("st6", "fd00:65::/112")
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda machine: machine.start(archive), self.machines))

    @contextlib.contextmanager
    def policy(self, spec: dict[str, Any]) -> Iterator[None]:
        """Have a policy in the namespace of plain containers."""
        self.apply("NetworkPolicy", "st", spec, "default")
        try:
            yield
        finally:
            self.calicoctl("delete", "networkpolicy", "st", "-n", "default")

    def endpoints(self) -> list[dict[str, Any]]:
        return self.get("workloadendpoints", "-A")

    def handles(self) -> list[str]:
        """Return who has addresses, apart from the hosts."""
        assert self.lab.etcd is not None
        prefix = "/calico/ipam/v2/handle/"
        return sorted(key.removeprefix(prefix) for key in self.lab.etcd.get_prefix(prefix))

    def leftovers(self) -> dict[str, Any]:
        found = {machine.name: machine.leftovers() for machine in self.machines}
        found |= {"endpoints": self.endpoints(), "handles": self.handles()}
        return {where: what for where, what in found.items() if what}

    def stop(self) -> None:
        for machine in self.machines:
            machine.stop()


def _provide() -> None:
    """Install what is missing, where this is Debian; or skip."""
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        pytest.skip(f"needs {', '.join(missing)}")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in ("update", "install -y --no-install-recommends"):
        packages = missing if command != "update" else []
        subprocess.run(
            ["apt-get", "-qq", *command.split(), *packages],
            env=environ,
            check=True,
            stdout=subprocess.DEVNULL,
        )


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "busybox.tar"
    path.write_bytes(archive_of(root_file_system()))
    return path


@pytest.fixture(scope="session")
def provided() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    _provide()


@pytest.fixture(scope="session")
def whole_cluster(provided: None, archive: Path) -> Iterator[Cluster]:
    with Lab(2) as lab:
        cluster = Cluster(lab)
        try:
            cluster.start(archive)
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def cluster(whole_cluster: Cluster) -> Iterator[Cluster]:
    """Two hosts, emptied of containers after the test; then nothing of them may be left."""
    yield whole_cluster
    for machine in whole_cluster.machines:
        machine.remove_everything()
    try:
        until(lambda: not whole_cluster.leftovers(), "nothing is left")
    except DeadlineError:
        pytest.fail(f"left behind: {whole_cluster.leftovers()}")


@pytest.fixture
def networks(cluster: Cluster) -> Iterator[list[Machine]]:
    """The machines with two more networks, ``web`` and ``db``; that one gives its containers a label."""
    for machine in cluster.machines:
        machine.install("20-web.conflist", "web")
        machine.install("20-db.conflist", "db", args={"calico": {"labels": {"app": "db"}}})
    yield cluster.machines
    for machine in cluster.machines:
        machine.remove_everything()
        machine.host.sh("rm /etc/cni/net.d/20-*")


@pytest.fixture
def tiny(cluster: Cluster) -> Iterator[None]:
    """A network ``tiny`` on all machines, with one address."""
    cluster.apply("IPPool", "tiny", {"cidr": "10.66.0.0/32", "blockSize": 32})
    for machine in cluster.machines:
        pools = {"type": "calico-ipam", "ipv4_pools": ["10.66.0.0/32"]}
        machine.install("20-tiny.conflist", "tiny", ipam=pools)
    yield
    for machine in cluster.machines:
        machine.remove_everything()
        machine.host.sh("rm /etc/cni/net.d/20-tiny.conflist")
