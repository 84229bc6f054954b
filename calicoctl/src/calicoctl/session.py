"""One connection to the datastore, as the options and the environment say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calicoctl import versions
from calicoctl.grammar import Access
from libcalico.client import Client
from libcalico.errors import CalicoError, NotFoundError, UnavailableError
from libcalico.session import connect


@contextmanager
def connected(access: Access) -> Iterator[Client]:
    """Yield a client of the configured datastore.

    Args:
        access: without a file, the default one is used if it exists, else the environment.

    Raises:
        ConfigError: the file or a setting cannot be used.
        CalicoError: the cluster is of another version, and that is not allowed.
    """
    with connect(os.environ, Path(access.config) if access.config else None) as client:
        if not access.any_version:
            _check_version(client)
        yield client


def _check_version(client: Client) -> None:
    """Refuse a cluster of another version. Source: calico-control-plane reference, section 6.1."""
    try:
        cluster = client.clusterinformations.get("default").spec.calico_version
    except NotFoundError:
        return
    except UnavailableError:
        raise
    except CalicoError as error:
        raise CalicoError(
            f"unable to get Cluster Information to verify version mismatch: {error}\n"
            "Use --allow-version-mismatch to override"
        ) from error
    versions.require_same(cluster)
