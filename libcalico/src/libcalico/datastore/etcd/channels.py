"""gRPC channels to etcd: options, TLS, and which method carries which request."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from pyetcd.etcdrpc import rpc_pb2, rpc_pb2_grpc

from libcalico.datastore.config import DatastoreConfig, Endpoint
from libcalico.datastore.etcd import wire
from libcalico.datastore.etcd.attempts import Attempts, Failure, Kind, classify
from libcalico.errors import ConfigError, UnavailableError

#: A method of a stub, blocking or not.
Method = Callable[..., Any]

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # As Go Calico: a dead peer is noticed within 40 s even on a watch that waits.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),  # counts as well, and is a minute unless set
    ("grpc.http2.max_pings_without_data", 0),
    # A member that is back is used at once, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Each backend owns its connections; a datastore is never reached through a web proxy.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)

#: Ends a watch when its member has no leader, so that nobody trusts a member that is cut off.
REQUIRE_LEADER = ("hasleader", "true")

#: A watch that the store has not confirmed in time.
UNCONFIRMED = Failure("DEADLINE_EXCEEDED", "the watch was not confirmed")


def options() -> list[tuple[str, int]]:
    """Return the channel options."""
    return list(_OPTIONS)


def credentials(config: DatastoreConfig, endpoint: Endpoint) -> grpc.ChannelCredentials | None:
    """Return what a TLS endpoint needs, None for a plain one."""
    if not endpoint.tls:
        return None
    return grpc.ssl_channel_credentials(
        root_certificates=config.ca_cert, private_key=config.key, certificate_chain=config.cert
    )


def methods(channel: Any) -> Mapping[type[Any], Method]:
    """Return request class → the method that carries it."""
    return {
        rpc_pb2.RangeRequest: rpc_pb2_grpc.KVStub(channel).Range,
        rpc_pb2.TxnRequest: rpc_pb2_grpc.KVStub(channel).Txn,
        rpc_pb2.LeaseGrantRequest: rpc_pb2_grpc.LeaseStub(channel).LeaseGrant,
        rpc_pb2.AuthenticateRequest: rpc_pb2_grpc.AuthStub(channel).Authenticate,
        rpc_pb2.WatchRequest: rpc_pb2_grpc.WatchStub(channel).Watch,
    }


def failure(error: Any) -> Failure:
    """Return the status of a ``grpc.RpcError``, whose classes differ between the two APIs."""
    return Failure(error.code().name, error.details() or error.code().name)


class Session:
    """What both drivers know of their endpoints, whoever carries the messages.

    Attributes:
        preferred: index of the endpoint that answered last; a random one at first, so that clients
            spread over the members.
        known: the store has answered a request.
        token: what the last log-in gave; "" if the store wants none, None before the first.
        closed: the backend was closed.
    """

    def __init__(self, config: DatastoreConfig) -> None:
        if not config.endpoints:
            raise ConfigError("datastore: no etcd endpoint is configured")
        self.config = config
        self.names = [endpoint.url for endpoint in config.endpoints]
        self.preferred = random.randrange(len(config.endpoints))
        self.known = False
        self.token: str | None = None
        self.closed = False

    def attempts(self) -> Attempts:
        """Start the attempts at one call."""
        return Attempts(
            self.names,
            self.preferred,
            self.config.timeout_s,
            time.monotonic(),
            known=self.known,
        )

    def answered(self, attempts: Attempts) -> None:
        """Take note that an attempt was answered."""
        self.preferred, self.known = attempts.endpoint, True

    def login(self, attempts: Attempts) -> rpc_pb2.AuthenticateRequest | None:
        """Return the log-in to be done before this attempt, None if none is due."""
        if not self.config.username or (self.token is not None and not attempts.log_in):
            return None
        attempts.log_in = False
        return wire.authenticate_request(self.config.username, self.config.password)

    def metadata(self) -> list[tuple[str, str]]:
        """Return what every call carries."""
        return [("token", self.token)] if self.token else []

    def start_failed(self, attempts: Attempts, status: Failure) -> None:
        """Take note that a watch could not be started.

        It is started once more only to log in again. For any other reason the reader must take
        a new snapshot first: this may no longer be the store that it has read. The next call
        goes to the next endpoint.

        Raises:
            CalicoError: unless it is worth one more attempt.
        """
        self.check_open()
        kind = classify(status)
        if kind is Kind.TOKEN:
            attempts.on_failure(status, time.monotonic())
            return
        self.preferred = (attempts.endpoint + 1) % len(self.names)
        raise attempts.error(status, kind)

    def check_open(self) -> None:
        """Raise UnavailableError once the backend was closed."""
        if self.closed:
            raise UnavailableError("datastore: the backend was closed")


def wants_no_login(status: Failure) -> bool:
    """Tell whether a log-in failed because the store knows no users: then it is not needed."""
    return "authentication is not enabled" in status.text


def broken(status: Failure | None) -> UnavailableError:
    """Return the error for a watch whose stream ended by itself."""
    text = "the store ended it" if status is None else status.text
    return UnavailableError(f"datastore: the watch stream broke: {text}")


def unconfirmed(status: Failure) -> Failure:
    """Return the status of a watch that could not be started; our own time limit cancels it."""
    return UNCONFIRMED if status.code == "CANCELLED" else status


def denied_watch(error: Exception) -> Failure:
    """Return the status of a watch that was denied: etcd says the same of an expired token."""
    return Failure("UNAUTHENTICATED", str(error))
