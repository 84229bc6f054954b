"""Changes that others make to a table: notifications of every commit but our own.

Our own commits are filtered in the kernel, by the port that sent them: a load of 100,000 elements
would overrun any socket with its notifications.

Source: net/netfilter/nf_tables_api.c (nft_commit_notify); Documentation/networking/filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self

from calico_node.felix.nft import parse
from libcalico.errors import OverrunError
from libcalico.netlink.codec import Message
from libcalico.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket

_NFNLGRP_NFTABLES: Final = 7  # linux/netfilter/nfnetlink.h
_SO_ATTACH_FILTER: Final = 26
_RECEIVE_BYTES: Final = 8 << 20

_PORT_OFFSET: Final = 12  # of nlmsg_pid in nlmsghdr
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_WHOLE: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of somebody else that touched the table.

    Args:
        generation: who made it, and its number.
        changes: what was done, in order.
    """

    generation: parse.Generation
    changes: tuple[parse.Change, ...]


class Monitor:
    """Listens, in the network namespace in which it was opened, for changes of one name of a table.

    Use :meth:`fileno` with an event loop and :meth:`read` when it is readable.

    Args:
        table: the table's name.
        own_ports: ``port`` of every socket whose commits are ours.
        families: of the tables of that name.
        receive_bytes: room for notifications that wait to be read.

    Attributes:
        commits: how many commits of others, to any table, were told so far.
    """

    def __init__(
        self,
        table: str,
        own_ports: Iterable[int] = (),
        *,
        families: Collection[str] = ("inet",),
        receive_bytes: int = _RECEIVE_BYTES,
    ) -> None:
        self.commits = 0
        self._table = table
        self._families = frozenset(families)
        self._pending: list[parse.Change] = []
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_bytes=receive_bytes)
        try:
            _ignore(self._socket, sorted(own_ports))
            self._socket.join(_NFNLGRP_NFTABLES)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there may be something to read."""
        return self._socket.fileno()

    def read(self) -> list[Commit]:
        """Return the finished commits of others that touched the table; never blocks.

        Raises:
            OverrunError: notifications were lost, so the table may have changed without our
                knowing. Those after it can be read.
        """
        commits: list[Commit] = []
        try:
            while messages := self._socket.receive():
                for message in messages:
                    commits.extend(self._take(message))
        except OverrunError:
            self._pending.clear()
            self._socket.discard()
            raise
        return commits

    def _take(self, message: Message) -> list[Commit]:
        if parse.is_new_generation(message):
            self.commits += 1
            changes, self._pending = tuple(self._pending), []
            return [Commit(parse.generation(message), changes)] if changes else []
        change = parse.change(message)
        if change and change.table == self._table and change.family in self._families:
            self._pending.append(change)
        return []


def _ignore(listener: NetlinkSocket, ports: list[int]) -> None:
    """Attach a filter that drops the notifications of the ports before they are queued."""
    count = len(ports)
    program = [
        struct.pack("=HBBI", _LOAD_WORD, 0, 0, _PORT_OFFSET),
        *(
            struct.pack("=HBBI", _JUMP_IF_EQUAL, count - index, 0, socket.htonl(port))
            for index, port in enumerate(ports)
        ),
        struct.pack("=HBBI", _RETURN, 0, 0, _WHOLE),
        struct.pack("=HBBI", _RETURN, 0, 0, 0),
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    option = struct.pack("@HP", len(program), ctypes.addressof(code))  # struct sock_fprog
    with socket.socket(fileno=os.dup(listener.fileno())) as handle:
        handle.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, option)
