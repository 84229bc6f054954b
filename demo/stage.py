"""Sets the scene with the commands that an operator and a container runtime would use."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calico_test.hosts import Host
from calico_test.lab import Lab
from calico_test.workloads import Workload

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
NETWORK = "demo"
_CONFIG = "/etc/cni/net.d/10-calico.conflist"


class StageError(Exception):
    """A command of the demonstration failed; the text is what it said."""


def environment(lab: Lab) -> dict[str, str]:
    """Return the variables that lead our programs to the lab's datastore."""
    if lab.etcd is None:
        raise StageError("the lab has no etcd")
    path = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"ETCD_ENDPOINTS": lab.etcd.endpoint, "PATH": path}


def command(host: Host, lab: Lab, argv: Sequence[str], *, timeout_s: float = 60.0) -> str:
    """Run a command on a host and return what it printed."""
    done = host.run(argv, env=environment(lab), check=False, timeout_s=timeout_s)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()) or f"exit code {done.returncode}"
        raise StageError(f"{host.name}: {' '.join(argv)}: {said}")
    return done.stdout


def calicoctl(lab: Lab, *arguments: str) -> str:
    """Run calicoctl on the first host."""
    return command(lab.hosts[0], lab, ["calicoctl", *arguments])


def start_node(lab: Lab, host: Host) -> None:
    """Start Calico's services on a host and install the CNI plugins there."""
    node = ["calicoctl", "node", "run", "--runtime=native", f"--name={host.name}"]
    command(host, lab, [*node, "--ip=autodetect", "--ip6=autodetect", "--no-default-ippools"])
    pools = ["--ipv4-pools=demo-ipv4", "--ipv6-pools=demo-ipv6"]
    command(host, lab, ["calico-cni", "install", f"--network-name={NETWORK}", *pools])


def stop_node(lab: Lab, host: Host) -> None:
    """Stop the services; policy and routes stay until the host itself is gone."""
    command(host, lab, ["calicoctl", "node", "stop", "--force"])


def attach(host: Host, name: str, application: str) -> Workload:
    """Make a container-like workload and call the CNI plugin for it, as a runtime does."""
    workload = host.add_workload(name)
    config = plugin_config(host)
    config["args"] = {"calico": {"labels": {"app": application}}}
    reply = _call_plugin(host, "ADD", workload, config)
    workload.addresses = [address["address"].partition("/")[0] for address in reply["ips"]]
    return workload


def detach(host: Host, workload: Workload) -> None:
    """Call the CNI plugin as a runtime does when a container ends."""
    _call_plugin(host, "DEL", workload, plugin_config(host))


def plugin_config(host: Host) -> dict[str, Any]:
    """Return what a runtime passes: the plugin's part of the network list, with name and version."""
    network = json.loads(host.read_text(_CONFIG))
    plugin: dict[str, Any] = network["plugins"][0]
    return {**plugin, "name": network["name"], "cniVersion": network["cniVersion"]}


def variables(verb: str, name: str) -> dict[str, str]:
    """Return the environment of a CNI call for the workload of that name."""
    return {
        "CNI_COMMAND": verb,
        "CNI_CONTAINERID": f"demo{name}",
        "CNI_NETNS": f"/run/netns/{name}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
    }


def _call_plugin(
    host: Host, verb: str, workload: Workload, config: dict[str, Any]
) -> dict[str, Any]:
    env, stdin = variables(verb, workload.name), json.dumps(config)
    done = host.run(["/opt/cni/bin/calico"], env=env, stdin=stdin, check=False)
    if done.returncode:
        raise StageError(f"{host.name}: CNI {verb} of {workload.name}: {done.stdout.strip()}")
    reply: dict[str, Any] = json.loads(done.stdout or "{}")
    return reply
