"""What workloads may ask of a host that gives them addresses and names, as OpenStack's do.

Source: calico-dataplane reference, section 2.4 (workload to host, and the reverse path).
"""

from __future__ import annotations

from typing import Final

from calico_node.felix.nft.keys import Prefix
from calico_node.felix.nft.model import ACCEPT, RETURN, Field, Match, NfProto, Rule, Verdict

_TCP, _UDP = 6, 17
_DNS: Final = 53
#: IP version → ports of client and server.
_DHCP: Final = {4: (68, 67), 6: (546, 547)}
_NFPROTO: Final = {4: NfProto.IPV4, 6: NfProto.IPV6}
#: From where somebody asks who has no address yet.
_CLIENTS: Final = {
    4: Match(Field.IP_SADDR, bytes(4)),
    6: Match(Field.IP6_SADDR, Prefix(b"\xfe\x80" + bytes(14), 10)),
}


def allowed() -> list[Rule]:
    """Return the rules that let requests for addresses and names in, whatever policy says."""
    return [
        *(_dhcp(version, Match(Field.NFPROTO, _NFPROTO[version]), ACCEPT) for version in _DHCP),
        *(
            Rule((Match(Field.L4PROTO, protocol), Match(Field.DPORT, _DNS), ACCEPT), comment="DNS")
            for protocol in (_UDP, _TCP)
        ),
    ]


def asking_for_an_address() -> list[Rule]:
    """Return the rules that let those without an address ask for one."""
    return [_dhcp(version, _CLIENTS[version], RETURN) for version in _DHCP]


def _dhcp(version: int, condition: Match, verdict: Verdict) -> Rule:
    client, server = _DHCP[version]
    ports = Match(Field.SPORT, client), Match(Field.DPORT, server)
    return Rule((condition, Match(Field.L4PROTO, _UDP), *ports, verdict), comment="DHCP")
