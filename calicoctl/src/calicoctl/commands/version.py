"""version: of this client, and of the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from calicoctl import revision
from libcalico.errors import DatastoreError, NotFoundError, UnavailableError, ValidationError

if TYPE_CHECKING:
    from libcalico.client import Client

_UNABLE = "unable to retrieve Cluster Version or Type"


def of_client() -> str:
    """Return the version of this program, and the commit that it was made of."""
    return (
        f"Client Version:    {metadata.version('calicoctl')}\n"
        f"Git commit:        {revision.commit()}"
    )


def of_cluster(client: Client) -> str:
    """Return the cluster's version and type.

    Raises:
        NotFoundError: the datastore holds no cluster yet.
    """
    try:
        spec = client.clusterinformations.get("default").spec
    except NotFoundError as error:
        raise NotFoundError(
            f"{_UNABLE}: the datastore holds no cluster yet; the first"
            " calicoctl create or apply, or the first node that starts, makes it one"
        ) from error
    except (DatastoreError, UnavailableError) as error:
        raise type(error)(f"{_UNABLE}: {error}") from error
    return (
        f"Cluster Version:   {spec.calico_version or 'unknown'}\n"
        f"Cluster Type:      {spec.cluster_type or 'unknown'}"
    )


def period_s(text: str) -> float:
    """Return how many seconds a Go duration is; 0 is once.

    Raises:
        ValidationError: it is none.
    """
    from libcalico.resources import durations  # noqa: PLC0415 - few look more than once

    period = durations.parse_duration(text)
    if period < 0:
        raise ValidationError(f"--poll: {text} is less than nothing")
    return period


def changes(
    client: Client, period_s: float, pause: Callable[[float], None] = time.sleep
) -> Iterator[str]:
    """Yield the cluster's version and type; with a period, again whenever they have changed, for ever.

    A datastore that goes away while it is polled is waited for.

    Raises:
        NotFoundError: the datastore holds no cluster yet.
        UnavailableError: it did not answer the first time.
    """
    told = of_cluster(client)
    yield told
    while period_s:
        pause(period_s)
        try:
            latest = of_cluster(client)
        except (NotFoundError, UnavailableError):
            continue
        if latest != told:
            told = latest
            yield told
