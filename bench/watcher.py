"""A bare etcd watcher: when a process that does nothing else sees an event. Felix's baseline.

Run as ``python -m bench.watcher``: prints the monotonic clock in nanoseconds, a line for each batch.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time

from libcalico.datastore import config as datastore
from libcalico.datastore.model import Revision

PREFIX = "/calico/resources/v3/projectcalico.org/"


async def watch() -> None:
    """Print a line for each batch of events until the reader is gone."""
    backend = datastore.connect_async(datastore.from_environment(os.environ))
    snapshot = await backend.read("/calico/nothing")
    async with backend.watch([PREFIX], Revision(snapshot.revision + 1)) as batches:
        print("watching", flush=True)
        async for batch in batches:
            if batch.events:
                print(time.monotonic_ns(), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(watch())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
