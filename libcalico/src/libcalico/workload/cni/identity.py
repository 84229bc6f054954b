"""Who the workload of a call is: Kubernetes pod or plain container, its labels, profiles, interface names.

Source: ``calico-control-plane.md`` 1.7 and 10.1, ``calico-dataplane.md`` 6.3.
"""

from __future__ import annotations

import re

from libcalico.net.ifnames import DEFAULT_PREFIX, container_interface, pod_interface
from libcalico.workload.cni.model import Args, NetConf
from libcalico.workload.model import Identity

DEFAULT_NAMESPACE = "default"
#: The interface that every container has; further ones need host names of their own.
_FIRST_INTERFACE = "eth0"
#: Identifiers of which the first 11 characters tell containers apart.
_TELLING_ID = re.compile(r"[0-9a-f]{11,}|.{1,11}")
_MESOS_NAMESPACE = "projectcalico.org/namespace"
_RUN = re.compile(r"[^a-zA-Z0-9_.-]+")
_DASHES_AND_DOTS = re.compile(r"[-.]*\.[-.]*")
_EDGES = re.compile(r"^[^a-zA-Z0-9]+|[^a-zA-Z0-9]+$")


def identity(args: Args, conf: NetConf, node: str) -> Identity:
    """Return the identity of the endpoint.

    A pod needs both its name and its namespace: podman sets K8S_POD_NAME alone for plain containers.
    """
    namespace, pod = args.extra.get("K8S_POD_NAMESPACE", ""), args.extra.get("K8S_POD_NAME", "")
    is_pod = bool(namespace and pod)
    plain_namespace = conf.namespace or conf.mesos_labels.get(_MESOS_NAMESPACE)
    return Identity(
        node=node,
        orchestrator="k8s" if is_pod else "cni",
        namespace=namespace if is_pod else plain_namespace or DEFAULT_NAMESPACE,
        endpoint=args.ifname,
        container_id=args.container_id,
        pod=pod if is_pod else "",
    )


def host_interface(who: Identity, prefix: str = DEFAULT_PREFIX) -> str:
    """Return the name of the host end: the same for every call about this interface.

    As in Go Calico for pods, and for the first interface of containers whose id is random. It takes the
    beginning of the id; where that could be another container's too, ours is a digest.

    Args:
        prefix: what Felix knows workload interfaces by.
    """
    if who.orchestrator == "k8s":
        pod = who.pod if who.endpoint == _FIRST_INTERFACE else f"{who.pod}.{who.endpoint}"
        return pod_interface(who.namespace, pod, prefix)
    if who.endpoint == _FIRST_INTERFACE and _TELLING_ID.fullmatch(who.container_id):
        return container_interface(who.container_id, prefix)
    return pod_interface(who.container_id, who.endpoint, prefix)


def labels(conf: NetConf) -> dict[str, str]:
    """Return the labels of the endpoint: Mesos's made fit, then the operator's as they are."""
    mesos = {
        sanitised(key): sanitised(value)
        for key, value in conf.mesos_labels.items()
        if key != _MESOS_NAMESPACE
    }
    return {key: value for key, value in mesos.items() if key} | dict(conf.labels)


def sanitised(text: str) -> str:
    """Return a Mesos label's key or value as a label of ours can hold it. Source: 10.1."""
    text = _RUN.sub("-", text.replace("/", "."))
    return _EDGES.sub("", _DASHES_AND_DOTS.sub(".", text))


def handle(conf_name: str, container_id: str) -> str:
    """Return the IPAM handle of a container on a network."""
    return f"{conf_name}.{container_id}"
