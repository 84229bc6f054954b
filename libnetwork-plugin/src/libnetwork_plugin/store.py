"""Endpoints of this host and profiles of networks, in the datastore. All of the plugin's state is here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.errors import (
    AlreadyExistsError,
    CalicoError,
    ConflictError,
    NotFoundError,
    UnavailableError,
    ValidationError,
)
from libcalico.resources import codec
from libcalico.resources.endpoints import WorkloadEndpoint
from libcalico.resources.model import ResourceId
from libcalico.resources.names import name_prefix
from libcalico.resources.profiles import Profile
from libcalico.workload import plan as workload_plan
from libcalico.workload.model import Identity
from libnetwork_plugin import plan

_log = logging.getLogger(__name__)
_TRIES = 5


def require_unlocked(client: Client) -> None:
    """Refuse to give anything while the datastore is locked: it is copied, and what came later would be lost.

    Source: calico-control-plane reference, section 1.8.

    Raises:
        UnavailableError: it is locked; try again later.
    """
    with suppress(NotFoundError):
        if client.clusterinformations.get("default").spec.datastore_ready is False:
            raise UnavailableError(
                "the datastore is locked; unlock it: calicoctl datastore migrate unlock"
            )


class Endpoints:
    """The endpoints of one host that Docker made. Every method may raise UnavailableError.

    Args:
        client: of the datastore.
        node: the host's name in Calico.
        namespace: of the endpoints.
    """

    def __init__(self, client: Client, node: str, namespace: str) -> None:
        self._cluster = client
        self._client = client.workloadendpoints
        self._backend = client.backend
        self.node = node
        self.namespace = namespace

    def identity(self, endpoint_id: str) -> Identity:
        """Return who an endpoint is in Calico."""
        return plan.identity(self.node, self.namespace, endpoint_id)

    def _name(self, endpoint_id: str) -> str:
        return workload_plan.endpoint_name(self.identity(endpoint_id))

    def all(self) -> list[WorkloadEndpoint]:
        """Return all, in one read; those that cannot be read are logged and left out."""
        prefix = name_prefix(self.node, plan.ORCHESTRATOR, plan.ORCHESTRATOR)
        path = keys.path_of(ResourceId("WorkloadEndpoint", self.namespace, prefix))
        found = []
        for item in self._backend.read(path).items:
            try:
                resource = codec.decode(item.value, kind="WorkloadEndpoint", keep_unknown=False)
            except ValidationError as problem:
                _log.warning("stored endpoint cannot be read key=%s problem=%s", item.key, problem)
                continue
            if isinstance(resource, WorkloadEndpoint) and resource.spec.node == self.node:
                found.append(resource)
        return found

    def get(self, endpoint_id: str) -> WorkloadEndpoint:
        """Return one. Raises NotFoundError."""
        return self._client.get(self._name(endpoint_id), self.namespace)

    def add(self, endpoint: WorkloadEndpoint) -> None:
        """Store a new one; one that the same request made before is brought up to date.

        Raises:
            ValidationError: it breaks the resource model.
            UnavailableError: the datastore is locked.
        """
        require_unlocked(self._cluster)
        try:
            self._client.create(endpoint)
        except AlreadyExistsError:
            self.change(endpoint.spec.endpoint, lambda stored: plan.again(stored, endpoint))
        except UnavailableError:
            # The answer may be all that was lost.
            self._delete_quietly(endpoint.spec.endpoint)
            raise

    def change(
        self, endpoint_id: str, change: Callable[[WorkloadEndpoint], WorkloadEndpoint]
    ) -> WorkloadEndpoint:
        """Read one, change it, store it. Raises NotFoundError, ConflictError after many lost races."""
        return self._client.modify(self._name(endpoint_id), change, self.namespace)

    def delete(self, endpoint_id: str) -> None:
        """Delete one; none is no error."""
        with suppress(NotFoundError):
            self._client.delete(self._name(endpoint_id), self.namespace)

    def _delete_quietly(self, endpoint_id: str) -> None:
        try:
            self.delete(endpoint_id)
        except CalicoError as error:  # the error that made us undo is the one to tell
            _log.warning("undo failed step='delete endpoint' error=%r", str(error))


class Profiles:
    """The profiles of networks. Hosts whose networks have the same name share one.

    A profile that somebody else made, and that has the name of a network, is used as it is, and stays.

    Args:
        client: of the datastore.
        node: the host's name in Calico.
    """

    def __init__(self, client: Client, node: str) -> None:
        self._client = client.profiles
        self._node = node

    def ensure(self, name: str, network_id: str) -> None:
        """Have the profile, with a network of this host on file."""
        for _ in range(_TRIES):
            with suppress(ConflictError, NotFoundError):
                stored = self._get_or_create(name)
                networks = plan.networks_of(stored)
                if networks is not None and network_id not in networks:
                    networks = networks | {network_id: self._node}
                    self._client.update(plan.with_networks(stored, networks))
                return
        raise ConflictError(f"Profile({name}) changes all the time")

    def _get_or_create(self, name: str) -> Profile:
        try:
            return self._client.get(name)
        except NotFoundError:
            pass
        try:
            return self._client.create(plan.profile(name))
        except AlreadyExistsError:
            return self._client.get(name)

    def forget(self, network_id: str) -> None:
        """Take a network off its profile, and delete the profile if it was the last."""
        for stored in self._client.list():
            if network_id in (plan.networks_of(stored) or {}):
                self._forget(stored.name, [network_id])

    def forget_others(self, network_ids: set[str]) -> None:
        """Take all networks of this host off their profiles, except those."""
        for stored in self._client.list():
            networks = plan.networks_of(stored) or {}
            gone = [
                network
                for network, node in networks.items()
                if node == self._node and network not in network_ids
            ]
            if gone:
                self._forget(stored.name, gone)

    def _forget(self, name: str, gone: list[str]) -> None:
        for _ in range(_TRIES):
            with suppress(ConflictError):
                try:
                    stored = self._client.get(name)
                    self._take_off(stored, gone)
                except NotFoundError:
                    pass
                return
        raise ConflictError(f"Profile({name}) changes all the time")

    def _take_off(self, stored: Profile, gone: list[str]) -> None:
        networks = plan.networks_of(stored)
        if networks is None:
            return
        rest = {network: node for network, node in networks.items() if network not in gone}
        if rest:
            self._client.update(plan.with_networks(stored, rest))
        else:
            version = stored.metadata.resource_version
            self._client.delete(stored.name, resource_version=version)
