"""One socket to the kernel's nftables: whole batches go in, errors come back with their owner.

A commit is synchronous: when the send returns, the kernel has done all of the batch or nothing.

Source: net/netfilter/nfnetlink.c (batches, error delivery), nf_tables_api.c (generations).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from calico_node.felix.nft import _framing as framing
from calico_node.felix.nft import parse, wire
from calico_node.felix.nft._framing import Message
from calico_node.felix.nft.model import Verdict
from calico_node.felix.nft.operations import DestroyTable, Operation
from libcalico.errors import NetlinkError

_NETLINK_NETFILTER: Final = 12
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 10, 11
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_RECEIVE_BYTES: Final = 8 << 20  # room for one error for each message of a bad batch
_READ_BYTES: Final = 1 << 20
_SEND_MARGIN: Final = 4096
_ERROR, _DONE = 2, 3
_MULTI, _DUMP_INTERRUPTED = 0x2, 0x10
_NO_TABLE: Final = "no\x01such"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that the kernel refused.

    Args:
        operation: what was asked; None if the kernel refused the batch as such.
        errno: positive error number.
        reason: the kernel's own words, empty if it gave none.
    """

    operation: Operation | None
    errno: int
    reason: str = ""

    @property
    def owner(self) -> str:
        """Who asked for it, as the operation says."""
        return self.operation.owner if self.operation else ""


class RefusedError(NetlinkError):
    """The kernel refused a batch; nothing of it was done.

    Attributes:
        refusals: every refused operation, in the batch's order; the first is the error's own.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        first = refusals[0]
        about = f" ({first.reason})" if first.reason else ""
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        super().__init__(
            f"nftables: {first.owner or 'batch'}: {os.strerror(first.errno)}{about}"
            f" for {first.operation}{more}",
            first.errno,
        )
        self.refusals = tuple(refusals)
        self.owner = first.owner
        self.operation = first.operation


class Nftables:
    """A socket to the nftables of the network namespace in which it was opened.

    Not for several threads at once. Use as a context manager, or call :meth:`close`.

    Attributes:
        port_id: the kernel's name of this socket, which its notifications carry.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER
        )
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
            self.port_id: int = self._socket.getsockname()[0]
            self._send_bytes = 0
            self._destroys = True
            self._destroys = self._knows_destroy()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. What was programmed stays."""
        self._socket.close()

    def commit(self, operations: Sequence[Operation]) -> None:
        """Do all operations at once; nothing if the list is empty.

        Raises:
            RefusedError: the kernel refused; nothing was changed. All refused operations are in it.
            ValueError: an operation cannot be encoded; nothing was sent.
        """
        if not operations:
            return
        batch = wire.encode_batch(operations, destroys=self._destroys)
        self._send(batch.data)
        refusals = []
        for message in self._answers():
            number, reason = parse.error(message)
            if number:
                index = batch.operation_by_seq[message.seq]
                operation = operations[index] if index >= 0 else None
                refusals.append(Refusal(operation, number, reason))
        if refusals:
            raise RefusedError(refusals)

    def generation(self) -> int:
        """Return the number of the last commit of anybody in this network namespace."""
        self._send(wire.encode_get_generation())
        return parse.generation(self._reply()[0]).number

    def read_elements(self, table: str, set_: str, *, interval: bool = False) -> frozenset[bytes]:
        """Return the elements of a set as the kernel has them, packed as in :mod:`.keys`.

        Raises:
            NetlinkError: there is no such table or set, or it changed while it was read (EINTR).
        """
        self._send(wire.encode_dump_elements(table, set_))
        messages = self._reply()
        return parse.intervals(messages) if interval else parse.elements(messages)

    def read_verdicts(self, table: str, map_: str) -> dict[bytes, Verdict]:
        """Return the elements of a map as the kernel has them.

        Raises:
            NetlinkError: as :meth:`read_elements`.
        """
        self._send(wire.encode_dump_elements(table, map_))
        return parse.verdicts(self._reply())

    def _knows_destroy(self) -> bool:
        """Ask for the destruction of a table that cannot be; a kernel before 6.3 knows no such request."""
        try:
            self.commit([DestroyTable(_NO_TABLE)])
        except RefusedError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        return True

    def _send(self, data: bytes) -> None:
        """Send in one piece, for which the socket's buffer must be larger than it."""
        if len(data) > self._send_bytes - _SEND_MARGIN:
            self._send_bytes = 2 * len(data) + _SEND_MARGIN
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, self._send_bytes)
        self._socket.send(data)

    def _answers(self) -> list[Message]:
        """Return what the kernel answered to a batch; it has done so before the send returned.

        Raises:
            NetlinkError: answers were lost, or there are none.
        """
        found: list[Message] = []
        while True:
            try:
                data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            except OSError as error:
                raise NetlinkError(
                    f"nftables: answers lost: {error.strerror}", error.errno or errno.EIO
                ) from error
            found.extend(framing.messages(data))
        if not found:
            raise NetlinkError("nftables: the kernel did not acknowledge a batch", errno.ENOMSG)
        return found

    def _reply(self) -> list[Message]:
        """Return the messages that answer a request, up to the end of a dump.

        Raises:
            NetlinkError: the kernel refused the request, or the dump is not of one moment (EINTR).
        """
        found: list[Message] = []
        interrupted = False
        while True:
            for message in framing.messages(self._socket.recv(_READ_BYTES)):
                interrupted |= bool(message.flags & _DUMP_INTERRUPTED)
                if message.type == _ERROR:
                    number, reason = parse.error(message)
                    raise NetlinkError(f"nftables: {reason or os.strerror(number)}", number)
                if message.type == _DONE and interrupted:
                    raise NetlinkError("nftables: changed while it was read", errno.EINTR)
                if message.type == _DONE:
                    return found
                found.append(message)
            if not message.flags & _MULTI:
                return found
