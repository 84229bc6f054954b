"""The quality of service that an endpoint asks for, as the dataplane is told of it. Pure.

Source: calico-control-plane reference, section 2.10.
"""

from __future__ import annotations

from typing import Final

from calico_node.felix.messages import Direction, Limits, Quality
from libcalico.errors import ValidationError
from libcalico.net.dscp import parse_dscp
from libcalico.resources.endpoints import QoSControls

#: What the kernel counts in 32 bits.
_COUNTED: Final = ("minburst", "packet_burst", "max_connections")
_MOST: Final = 0xFFFFFFFF


def quality(controls: QoSControls) -> Quality:
    """Return what the controls ask for.

    Raises:
        ValidationError: a limit is negative or beyond what the kernel can count, or the DSCP is none.
    """
    dscp = None if controls.dscp is None else parse_dscp(controls.dscp)
    return Quality(_limits(controls, "ingress"), _limits(controls, "egress"), dscp)


def _limits(controls: QoSControls, direction: Direction) -> Limits:
    def limit(name: str) -> int:
        value: int = getattr(controls, f"{direction}_{name}")
        if value < 0:
            raise ValidationError(f"spec.qosControls: {direction} {name} {value} is below 0")
        if name in _COUNTED and value > _MOST:
            raise ValidationError(f"spec.qosControls: {direction} {name} {value} is beyond {_MOST}")
        return value

    return Limits(
        bandwidth=limit("bandwidth"),
        burst=limit("burst"),
        peakrate=limit("peakrate"),
        minburst=limit("minburst"),
        packet_rate=limit("packet_rate"),
        packet_burst=limit("packet_burst"),
        connections=limit("max_connections"),
    )
