"""IP address management: blocks of addresses, claimed by hosts, given to workloads.

In reading order:

``model`` what is stored · ``plan`` what is decided, without I/O
(``plan.view`` is the idea) · ``commit`` reads, swaps, retries, group commit · ``apply``
:class:`IpamClient`, what programs call.
"""

from libcalico.ipam.apply import IpamClient
from libcalico.ipam.model import Attribute, IpamConfig
from libcalico.ipam.plan.assign import AddressRequest, Assigned, AssignRequest, AssignResult
from libcalico.ipam.plan.audit import Allocation, Audit
from libcalico.ipam.plan.owners import OwnersRequest
from libcalico.ipam.plan.release import ReleaseRequest
from libcalico.ipam.plan.usage import BlockUsage, PoolUsage

__all__ = [
    "AddressRequest",
    "Allocation",
    "AssignRequest",
    "AssignResult",
    "Assigned",
    "Attribute",
    "Audit",
    "BlockUsage",
    "IpamClient",
    "IpamConfig",
    "OwnersRequest",
    "PoolUsage",
    "ReleaseRequest",
]
