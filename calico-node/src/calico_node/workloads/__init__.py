"""The resident workload server: attaches and detaches workloads for the plugins of this host.

``listener`` the unix socket · ``server`` calls, threads, stopping · ``main`` what ``calico-node
workloads`` runs.
"""

from calico_node.workloads.main import main

__all__ = ["main"]
