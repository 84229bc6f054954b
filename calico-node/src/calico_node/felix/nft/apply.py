"""One socket to the kernel's nftables: whole batches go in, errors come back with their owner.

A commit is synchronous: when the send returns, the kernel has done all of the batch or nothing.

Source: net/netfilter/nfnetlink.c (batches, error delivery), nf_tables_api.c (generations).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from calico_node.felix import metrics
from calico_node.felix.nft import parse, wire
from calico_node.felix.nft.handles import Handles, Request
from calico_node.felix.nft.model import Verdict
from calico_node.felix.nft.operations import DestroyTable, Operation, describe
from calico_node.felix.nft.rebuild import FoundMap, Skeleton
from libcalico.errors import NetlinkError, OverrunError
from libcalico.netlink.codec import NLMSG_ERROR, Answer, Message, parse_answer
from libcalico.netlink.sockets import NETLINK_NETFILTER, NetlinkSocket

_RECEIVE_BYTES: Final = 8 << 20  # room for one error for each message of a bad batch
#: A batch of more requests does not ask for its rules back: the socket would not have room for them.
_MOST_ECHOES: Final = 4000
_NO_TABLE: Final = "no\x01such"
_REASONS: Final = {
    errno.EBUSY: "rules or map elements still refer to it",
    errno.EEXIST: "it exists already, and is different",
    errno.EMLINK: "jumps never end, or are nested too deeply",
    errno.ENFILE: "the set is full",
    errno.ENOENT: "it does not exist, or refers to what does not exist",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One request that the kernel refused.

    Args:
        operation: what was asked; None if the kernel refused the batch as such.
        errno: positive error number.
        reason: the kernel's own words, empty if it gave none.
    """

    operation: Request | None
    errno: int
    reason: str = ""

    def __str__(self) -> str:
        why = self.reason or _REASONS.get(self.errno) or os.strerror(self.errno)
        if self.operation is None:
            return f"the batch: {why}"
        whose = f"{self.owner}: " if self.owner else ""
        return f"{whose}{describe(self.operation)}: {why}"

    @property
    def owner(self) -> str:
        """Who asked for it, as the operation says."""
        return self.operation.owner if self.operation else ""


class RefusedError(NetlinkError):
    """The kernel refused a batch; nothing of it was done.

    Attributes:
        refusals: every refused operation, in the batch's order.
        owner: of the first.
        operation: the first; None if the kernel refused the batch as such.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        first = refusals[0]
        more = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
        super().__init__(f"nftables: {first}{more}", first.errno)
        self.refusals = tuple(refusals)
        self.owner = first.owner
        self.operation = first.operation


def encode(
    operations: Sequence[Request], *, destroys: bool = True, echoes: bool = False
) -> wire.Batch:
    """Return the batch of the operations; see :func:`.wire.encode_batch`.

    Raises:
        RefusedError: an operation cannot be encoded (EINVAL).
    """
    try:
        return wire.encode_batch(operations, destroys=destroys, echoes=echoes)
    except wire.UnencodableError as error:
        refusal = Refusal(operations[error.index], errno.EINVAL, str(error))
        raise RefusedError([refusal]) from error


class Nftables:
    """A socket to the nftables of the network namespace in which it was opened.

    Not for several threads at once. Use as a context manager, or call :meth:`close`.

    Args:
        destroys: whether the kernel knows requests that remove what may be absent; None: ask it.
            Without them (before Linux 6.3) removing an absent element is refused with ENOENT.

    Attributes:
        port: the kernel's number of this socket, which its notifications carry.
        commits: how many batches were done through it.

    Raises:
        NetlinkError: the kernel has no nftables, or this process may not use it.
    """

    def __init__(self, *, destroys: bool | None = None) -> None:
        self._socket = NetlinkSocket(NETLINK_NETFILTER, receive_bytes=_RECEIVE_BYTES)
        self.port = self._socket.port
        self.commits = 0
        self._handles = Handles()
        try:
            self._destroys = True
            self._destroys = self._knows_destroy() if destroys is None else destroys
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
            RefusedError: nothing was changed. Every operation that the kernel refused is in it, or
                the first that cannot be encoded, with EINVAL. One refusal can be the cause of those
                after it.
            NetlinkError: the kernel's answer was lost; whether it did the batch is unknown.
        """
        if not operations:
            return
        requests = self._handles.shorten(operations)
        batch = encode(requests, destroys=self._destroys, echoes=len(requests) <= _MOST_ECHOES)
        metrics.NFT_CALLS.inc()
        handle_by_seq: dict[int, int] = {}
        try:
            refused = self.exchange(batch.data, handle_by_seq)
        except NetlinkError:
            self._handles.forget()
            raise
        if refused:
            metrics.NFT_ERRORS.inc()
            places = ((answer, batch.operation_by_seq[answer.seq]) for answer in refused)
            raise RefusedError(
                [
                    Refusal(requests[at] if at >= 0 else None, answer.errno, answer.reason)
                    for answer, at in places
                ]
            )
        self.commits += 1
        by_index = {batch.operation_by_seq[seq]: handle for seq, handle in handle_by_seq.items()}
        self._handles.learn(requests, by_index)

    def exchange(self, batch: bytes, handle_by_seq: dict[int, int] | None = None) -> list[Answer]:
        """Send a whole batch and return the refusals in it; without any it was done.

        Args:
            batch: as it is sent.
            handle_by_seq: gets the handles of new rules that the kernel echoes, by sequence number.

        Raises:
            NetlinkError: the kernel's answer was lost; whether it did the batch is unknown.
        """
        self._socket.send(batch)
        answers = self._answers({} if handle_by_seq is None else handle_by_seq)
        return [answer for answer in answers if answer.errno]

    def dump(self, request: bytes) -> list[Message]:
        """Read what a request asks for; raises NetlinkError as :meth:`read_elements`."""
        return self._socket.dump(request)

    def generation(self) -> int:
        """Return the number of the last commit of anybody in this network namespace."""
        (message,) = self._socket.request(wire.encode_get_generation())
        return parse.generation(message).number

    def skeleton(self, table: str) -> Skeleton | None:
        """Return what there is of a table; None if it is absent, or empty.

        Raises:
            NetlinkError: it could not be read; one reason is a verdict of a kind that is not known.
        """
        self._handles.forget()  # whoever asks doubts that the chains are as they were written here
        chains = parse.chains(self._socket.dump(wire.encode_dump_chains()), table)
        sets = parse.sets(self._dump_sets(table))
        if not chains and not sets:
            return None
        maps = {
            name: FoundMap(found.shape, self.read_verdicts(table, name))
            for name, found in sets.items()
            if found.is_verdict_map
        }
        return Skeleton(chains, frozenset(sets), maps)

    def _dump_sets(self, table: str) -> list[Message]:
        try:
            return self._socket.dump(wire.encode_dump_sets(table))
        except NetlinkError as error:
            if error.errno == errno.ENOENT:  # there is no such table
                return []
            raise

    def read_elements(self, table: str, set_: str, *, interval: bool = False) -> frozenset[bytes]:
        """Return the elements of a set as the kernel has them, packed as in :mod:`.keys`.

        Of a set without ``size`` some can be missing while the kernel, in the background, still
        enlarges its hash table; a sized set is read whole.

        Raises:
            NetlinkError: there is no such table or set, or it never stood still (EINTR).
        """
        messages = self._socket.dump(wire.encode_dump_elements(table, set_))
        return parse.intervals(messages) if interval else parse.elements(messages)

    def read_verdicts(self, table: str, map_: str) -> dict[bytes, Verdict]:
        """Return the elements of a map as the kernel has them.

        Raises:
            NetlinkError: as :meth:`read_elements`.
        """
        return parse.verdicts(self._socket.dump(wire.encode_dump_elements(table, map_)))

    def _knows_destroy(self) -> bool:
        """Ask to destroy a table that cannot be; a kernel before 6.3 knows no such request."""
        try:
            self.commit([DestroyTable(_NO_TABLE)])
        except RefusedError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        return True

    def _answers(self, handle_by_seq: dict[int, int]) -> list[Answer]:
        """Return the answers to a batch, which are there when it was sent: at least one.

        When there are more refusals than the socket has room for, the first of them count.
        """
        found: list[Answer] = []
        lost: OverrunError | None = None
        while True:
            try:
                messages = self._socket.receive()
            except OverrunError as error:
                lost = error
                continue
            if not messages:
                break
            for message in messages:
                if message.type == NLMSG_ERROR:
                    found.append(parse_answer(message))
                elif (handle := parse.new_rule(message)) is not None:
                    handle_by_seq[message.seq] = handle
        if any(answer.errno for answer in found) or (found and not lost):
            return found
        raise NetlinkError("nftables: no answer to a batch", errno.ENOMSG) from lost
