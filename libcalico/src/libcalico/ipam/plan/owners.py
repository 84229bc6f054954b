"""Writing who owns an address that stays assigned: a virtual machine that moves keeps its addresses.

Source: ``calico-control-plane.md`` 5.2, 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from libcalico.errors import ConflictError, NotFoundError
from libcalico.ipam.model import Attribute
from libcalico.ipam.plan.release import find_block
from libcalico.ipam.plan.view import View, block_key
from libcalico.net.addresses import parse_address


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnersRequest:
    """The owners that an address is to have: all of what they write about themselves.

    Attributes:
        handle: that must own the address, and goes on to.
        active: the owner that the address works for; empty if there is none.
        alternate: the owner that it will work for, or worked for, during a migration; empty if there
            is none.
        if_active: what the active owner's attributes must hold now; empty: there must be no owner; None:
            there may be any.
        if_alternate: likewise.
    """

    address: str
    handle: str
    active: Mapping[str, str]
    alternate: Mapping[str, str]
    if_active: Mapping[str, str] | None = None
    if_alternate: Mapping[str, str] | None = None


def set_owners(view: View, request: OwnersRequest) -> None:
    """Write the owners of an address.

    Raises:
        NotFoundError: the address is not assigned.
        ConflictError: another handle owns it, or its owners are not those expected.
    """
    wanted = parse_address(request.address)
    block = find_block(view, wanted)
    if block is not None:
        view.require(block_key(block.cidr), fresh=True)
        ordinal = wanted.first - block.cidr.first
        present = block.attribute_of(ordinal)
        if present is not None:
            _check(request, present)
            view.put_block(block.own(ordinal, _changed(present, request)))
            return
    raise NotFoundError(f"IP is unassigned: {request.address}")


def _changed(present: Attribute, request: OwnersRequest) -> Attribute:
    return replace(
        present, secondary=dict(request.active), alternate=dict(request.alternate) or None
    )


def _check(request: OwnersRequest, present: Attribute) -> None:
    if present.handle_id != request.handle:
        raise ConflictError(
            f"{request.address}: bad handle: owned by {present.handle_id!r}, not {request.handle!r}"
        )
    for which, expected, found in (
        ("active", request.if_active, present.secondary),
        ("alternate", request.if_alternate, present.alternate or {}),
    ):
        if expected is not None and not _holds(found, expected):
            raise ConflictError(
                f"{request.address}: its {which} owner is {_text(found)}, not {_text(expected)}"
            )


def _holds(found: Mapping[str, str], expected: Mapping[str, str]) -> bool:
    return expected.items() <= found.items() if expected else not found


def _text(owner: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(owner.items())) or "nobody"
