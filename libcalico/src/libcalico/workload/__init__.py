"""Attaching workloads to the network, the same for every orchestrator.

In reading order: ``model`` what is asked for and what came of it · ``plan`` endpoints and netlink
requests, without I/O · ``precedence`` which of several interfaces leads · ``interface`` does those ·
``fetch`` reads · ``status`` waits for Felix · ``undo`` what is done after a failure · ``apply``
:class:`Workloads`, what programs call · ``addressing`` addresses that come and go while a workload is
attached · ``cni`` the Container Network Interface on top of it, shared by the plugins and by the
resident server.
"""

from libcalico.workload.apply import Workloads
from libcalico.workload.model import Address, AddressRequest, Attached, Attachment, Identity

__all__ = ["Address", "AddressRequest", "Attached", "Attachment", "Identity", "Workloads"]
