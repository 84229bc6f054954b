"""A socket to the kernel: requests with located errors, batches, consistent dumps, notifications.

The kernel handles a request while it is being sent, so answers are there when the send returns; nothing
here waits, except :meth:`NetlinkSocket.receive` when asked to.

Source: netlink(7); net/netlink/af_netlink.c (netlink_rcv_skb: a refused message does not stop those
after it; a dump that something changed meanwhile carries NLM_F_DUMP_INTR).
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Collection, Sequence
from typing import Final, Self

from libcalico.errors import NetlinkError, OverrunError
from libcalico.netlink import codec
from libcalico.netlink.codec import (
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_NOOP,
    Answer,
    Message,
)

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12
#: How much may wait unread in a socket, unless said otherwise.
RECEIVE_BYTES: Final = 4 << 20

_SOL_NETLINK: Final = 270
_ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK, _GET_STRICT_CHK = 1, 10, 11, 12
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_SEND_BYTES: Final = 1 << 20
_READ_BYTES: Final = 1 << 17  # dumps come in pieces of at most 32 KiB
_SEND_MARGIN: Final = 4096
_CHUNK: Final = 256  # requests per send: their errors, about 1 KiB each in the kernel, surely fit
_DUMP_ATTEMPTS: Final = 10
_MOST_DISCARDED: Final = 1 << 20  # a flood must not hold up an event loop for ever
_LAST_SEQ: Final = 0xFFFFFFFF


class NetlinkSocket:
    """A netlink socket of the network namespace in which it was opened, wherever it is used later.

    Usable from any thread, by one at a time. Do not send requests on a socket that joined multicast groups:
    its notifications would be thrown away with the answers. Close it, or use it as a context manager.
    """

    def __init__(
        self, family: int = NETLINK_ROUTE, groups: int = 0, *, receive_bytes: int = RECEIVE_BYTES
    ) -> None:
        """Open and bind the socket.

        Args:
            family: NETLINK_ROUTE, NETLINK_NETFILTER...
            groups: bit mask of the multicast groups 1 to 32 (group n is bit n - 1).
            receive_bytes: how much may wait unread before notifications are lost.

        Raises:
            NetlinkError: the kernel has no such family, or the process may not open it.
        """
        try:
            self._socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family
            )
        except OSError as error:
            raise _from_os(f"cannot open a netlink socket of family {family}", error) from error
        try:
            self._configure(groups, receive_bytes)
        except OSError as error:
            self._socket.close()
            raise _from_os(f"cannot set up a netlink socket of family {family}", error) from error
        self._seq = 0

    def _configure(self, groups: int, receive_bytes: int) -> None:
        for option in (_CAP_ACK, _EXT_ACK, _GET_STRICT_CHK):
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._set_buffer(_SO_RCVBUFFORCE, socket.SO_RCVBUF, receive_bytes)
        self._set_buffer(_SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BYTES)
        self._send_bytes = _SEND_BYTES
        self._socket.bind((0, groups))
        self.port: int = self._socket.getsockname()[0]

    def _set_buffer(self, force: int, polite: int, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, force, size)
        except PermissionError:  # without CAP_NET_ADMIN the system's maximum must do
            self._socket.setsockopt(socket.SOL_SOCKET, polite, size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the file descriptor, readable when notifications wait."""
        return self._socket.fileno()

    def join(self, group: int) -> None:
        """Join a multicast group by number (not bit).

        Raises:
            NetlinkError: there is no such group.
        """
        try:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
        except OSError as error:
            raise _from_os(f"cannot join netlink group {group}", error) from error

    def request(self, *requests: bytes, tolerated: Collection[int] = ()) -> list[Message]:
        """Send requests together; all are tried, also after one that the kernel refuses.

        Args:
            requests: whole messages as ``encode_...`` functions give them.
            tolerated: error numbers that are no error here, such as EEXIST.

        Returns:
            What the kernel answered besides acknowledgements, in order.

        Raises:
            NetlinkError: the first refusal that is not tolerated; its ``seq`` is the request's place, from 1.
        """
        replies, refusals = self._exchange(requests)
        for refusal in refusals:
            if refusal.errno not in tolerated:
                raise refusal
        return replies

    def batch(self, requests: Sequence[bytes]) -> list[NetlinkError]:
        """Send many requests, a few hundred per system call; all are tried.

        Returns:
            One error for each refused request, in order; its ``seq`` is the request's place, from 1.

        Raises:
            NetlinkError: the answers were lost or the send failed: what was done is unknown.
        """
        return self._exchange(requests)[1]

    def dump(self, request: bytes) -> list[Message]:
        """Read a whole table, again if it changed in between.

        Raises:
            NetlinkError: the kernel refused, or the table never stood still (EINTR).
        """
        for _ in range(_DUMP_ATTEMPTS):
            messages, is_torn = self._dump_once(request)
            if not is_torn:
                return messages
        raise NetlinkError(f"a dump changed under each of {_DUMP_ATTEMPTS} readings", errno.EINTR)

    def send(self, data: bytes | bytearray) -> None:
        """Send bytes as they are, in one piece.

        Raises:
            NetlinkError: the kernel did not take them.
        """
        if len(data) + _SEND_MARGIN > self._send_bytes:
            self._send_bytes = 2 * len(data) + _SEND_MARGIN
            self._set_buffer(_SO_SNDBUFFORCE, socket.SO_SNDBUF, self._send_bytes)
        try:
            self._socket.send(data)
        except OSError as error:
            raise _from_os(f"cannot send {len(data)} bytes to the kernel", error) from error

    def receive(self, timeout_s: float | None = 0) -> list[Message]:
        """Return the messages of one datagram; an empty list if there is none in time.

        Args:
            timeout_s: how long to wait for one; 0 not at all, None for ever.

        Raises:
            OverrunError: notifications were lost; read the state anew. Those after it can be received.
            NetlinkError: what was received is malformed.
        """
        if timeout_s != 0 and not self._wait(timeout_s):
            return []
        try:
            data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise OverrunError(
                    "netlink messages were lost: the socket's buffer was full"
                ) from error
            raise _from_os("cannot receive from the kernel", error) from error
        if len(data) == _READ_BYTES:
            raise NetlinkError(
                f"a netlink datagram is longer than {_READ_BYTES} bytes", errno.EMSGSIZE
            )
        return codec.parse_messages(data)

    def discard(self) -> None:
        """Throw away what waits to be received. After an overrun only an empty queue takes in more.

        Until then the kernel loses what comes without a word: read the state afterwards, not before.
        """
        for _ in range(_MOST_DISCARDED):
            try:
                if not self.receive():
                    return
            except OverrunError:
                continue

    def _wait(self, timeout_s: float | None) -> bool:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def _exchange(self, requests: Sequence[bytes]) -> tuple[list[Message], list[NetlinkError]]:
        replies: list[Message] = []
        refusals: list[NetlinkError] = []
        for start in range(0, len(requests), _CHUNK):
            chunk = requests[start : start + _CHUNK]
            first = self._reserve(len(chunk))
            self.send(codec.number_requests(chunk, first, NLM_F_ACK))
            for message in self._until_acknowledged(first, len(chunk)):
                if message.type != NLMSG_ERROR:
                    replies.append(message)
                elif (answer := codec.parse_answer(message)).errno:
                    refusals.append(_refusal(answer, message.seq - first + start + 1))
        return replies, refusals

    def _until_acknowledged(self, first: int, count: int) -> list[Message]:
        """Return the answers to a chunk; the acknowledgement of its last request ends them."""
        found: list[Message] = []
        last = first + count - 1
        while True:
            messages = self._answers()
            for message in messages:
                if first <= message.seq <= last and message.type != NLMSG_NOOP:
                    found.append(message)
                    if message.seq == last and message.type == NLMSG_ERROR:
                        return found

    def _dump_once(self, request: bytes) -> tuple[list[Message], bool]:
        seq = self._reserve(1)
        self.send(codec.number_requests([request], seq, NLM_F_DUMP))
        found: list[Message] = []
        is_torn = False
        while True:
            for message in self._answers():
                if message.seq != seq:
                    continue
                is_torn = is_torn or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    if (answer := codec.parse_answer(message)).errno:
                        raise _refusal(answer, 1)
                    return found, is_torn
                found.append(message)

    def _answers(self) -> list[Message]:
        """Return the next messages of an answer that must be there already."""
        messages = self.receive()
        if not messages:
            raise NetlinkError("the kernel did not answer a netlink request", errno.ENOMSG)
        return messages

    def _reserve(self, count: int) -> int:
        """Return the first of ``count`` consecutive sequence numbers, never 0."""
        if self._seq + count > _LAST_SEQ:
            self._seq = 0
        first = self._seq + 1
        self._seq += count
        return first


def _refusal(answer: Answer, place: int) -> NetlinkError:
    return NetlinkError(f"the kernel refused request {place}: {answer.text}", answer.errno, place)


def _from_os(what: str, error: OSError) -> NetlinkError:
    return NetlinkError(f"{what}: {error.strerror}", error.errno or errno.EIO)
