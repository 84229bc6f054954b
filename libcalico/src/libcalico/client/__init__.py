"""Typed access to the resources of a datastore, with compare-and-swap.

>>> client = Client(backend)                                    # doctest: +SKIP
>>> pool = client.ippools.create(IPPool(...))                   # doctest: +SKIP
>>> client.ippools.update(pool.with_(spec=pool.spec.with_(disabled=True)))  # doctest: +SKIP

:class:`Client` has one :class:`ResourceClient` for each kind. What is written is completed with
Calico's defaults and validated first; what a kind needs beyond one key (overlap of pools, existence
of tiers, what hangs on a node) is in ``pools``, ``tiers`` and ``nodes``.
"""

from libcalico.client.cleanup import AddressCleanup
from libcalico.client.client import Client
from libcalico.client.resource_client import ResourceClient

__all__ = ["AddressCleanup", "Client", "ResourceClient"]
