"""One connection to the datastore, as the options and the environment say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libcalico.client import Client
from libcalico.datastore import config as datastore
from libcalico.ipam import IpamClient


@contextmanager
def connected(config: str | None) -> Iterator[Client]:
    """Yield a client of the configured datastore.

    Args:
        config: the file named by ``-c``; it must exist. None: the default file if it exists, else the
            environment.

    Raises:
        ConfigError: the file or a setting cannot be used.
    """
    settings = datastore.load(os.environ, Path(config) if config else None)
    with datastore.connect(settings) as backend:
        yield Client(backend, IpamClient(backend))
