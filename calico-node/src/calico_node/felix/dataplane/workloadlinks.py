"""Settings of workloads' interfaces: that they answer for their gateway, and forward."""

from __future__ import annotations

import logging

from calico_node.felix import metrics
from calico_node.felix.dataplane.sysctls import Sysctls
from calico_node.felix.routes.plan import Link
from libcalico.errors import NetlinkError
from libcalico.netlink import sysctl

log = logging.getLogger(__name__)


class WorkloadLinks:
    """Settings of workloads' interfaces: that they answer for their gateway, and forward.

    Args:
        sysctls: keeps them so.

    Attributes:
        unconfigured: interfaces to try again.
    """

    def __init__(self, sysctls: Sysctls, *, ipv6: bool) -> None:
        self._sysctls = sysctls
        self.unconfigured: set[str] = set()
        self._ipv6 = ipv6
        self._configured: dict[str, int] = {}
        self._settled: dict[str, int] = {}

    def is_configured(self, interface: str, link: Link) -> bool:
        """Whether this very device is set up."""
        return self._configured.get(interface) == link.index

    def configure(self, interface: str, link: Link | None) -> None:
        """Set an interface up; once for each new device. None: there is none."""
        self.unconfigured.discard(interface)
        if link is None:
            self._sysctls.drop(interface)
            self._configured.pop(interface, None)
            self._settled.pop(interface, None)
        elif not self.is_configured(interface, link):
            self._make(interface, link)

    def _make(self, interface: str, link: Link) -> None:
        try:
            changed = self._sysctls.keep(interface, link.index, self._settings(interface))
        except NetlinkError as error:
            # It may have gone meanwhile: then a link event will tell, and there is nothing to try again.
            log.warning("cannot configure interface interface=%s error=%s", interface, error)
            self.unconfigured.add(interface)
            return
        if changed and self._settled.get(interface) == link.index:
            log.warning("settings were changed interface=%s settings=%s", interface, list(changed))
            metrics.REPAIRS.labels("sysctls").inc(len(changed))
        self._configured[interface] = self._settled[interface] = link.index

    def doubt(self) -> None:
        """Set up every interface anew when it is configured next: not every change is told of."""
        self._configured.clear()

    def _settings(self, interface: str) -> dict[str, int]:
        settings = {
            sysctl.interface_key(4, interface, "route_localnet"): 1,
            sysctl.interface_key(4, interface, "proxy_arp"): 1,
            sysctl.neighbour_key(4, interface, "proxy_delay"): 0,
            sysctl.interface_key(4, interface, "forwarding"): 1,
        }
        if self._ipv6:
            settings |= {
                sysctl.interface_key(6, interface, "accept_ra"): 0,
                sysctl.interface_key(6, interface, "proxy_ndp"): 1,
                sysctl.interface_key(6, interface, "forwarding"): 1,
            }
        return settings
