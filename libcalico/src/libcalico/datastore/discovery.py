"""Endpoints of an etcd cluster from DNS service records.

Source: etcd's ``client/pkg/srv``: ``_etcd-client-ssl._tcp.DOMAIN`` names TLS members,
``_etcd-client._tcp.DOMAIN`` plain ones; Calico asks for the service ``etcd-client``.
"""

from __future__ import annotations

import dns.exception
import dns.resolver

from libcalico.datastore.config import Endpoint
from libcalico.errors import ConfigError, UnavailableError

_TIMEOUT_S = 10.0


def discover(domain: str, resolver: dns.resolver.Resolver | None = None) -> tuple[Endpoint, ...]:
    """Return the cluster's endpoints: the TLS ones if there are any, else the plain ones.

    Args:
        domain: the one that publishes the records.
        resolver: the system's if not given.

    Raises:
        ConfigError: the domain publishes no such record.
        UnavailableError: no name server answered.
    """
    try:
        ask = resolver or dns.resolver.Resolver()
    except dns.exception.DNSException as error:
        raise ConfigError(f"ETCD_DISCOVERY_SRV: no name server is configured: {error}") from error
    for service, tls in (("_etcd-client-ssl", True), ("_etcd-client", False)):
        endpoints = _lookup(ask, f"{service}._tcp.{domain}", tls=tls)
        if endpoints:
            return endpoints
    raise ConfigError(f"ETCD_DISCOVERY_SRV: {domain!r} publishes no _etcd-client service record")


def _lookup(resolver: dns.resolver.Resolver, name: str, *, tls: bool) -> tuple[Endpoint, ...]:
    try:
        records = resolver.resolve(name, "SRV", lifetime=_TIMEOUT_S)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except dns.exception.DNSException as error:
        raise UnavailableError(f"DNS lookup of {name}: {error}") from error
    ranked = sorted(records, key=lambda record: (record.priority, -record.weight, record.target))
    return tuple(
        Endpoint(record.target.to_text(omit_final_dot=True), record.port, tls) for record in ranked
    )
