"""Splitting a pool into equal parts, in one transaction; the datastore has to be locked meanwhile.

Source: calico-control-plane reference, sections 1.9 and 6.5.
"""

from __future__ import annotations

import datetime as dt
import uuid
from ipaddress import ip_network
from typing import TYPE_CHECKING

from libcalico.datastore import keys
from libcalico.datastore.model import Delete, Put, Revision
from libcalico.errors import ValidationError
from libcalico.resources import codec
from libcalico.resources.ippools import IPPool
from libcalico.resources.model import ObjectMeta, id_of

if TYPE_CHECKING:
    from libcalico.client.client import Client

#: Parts that go into one transaction with the deletion of the whole; etcd takes 128 keys.
MOST_PARTS = 64


def split(client: Client, pool: IPPool, number: int) -> list[IPPool]:
    """Replace a stored pool by ``number`` pools of the same settings; return them.

    Blocks and addresses stay as they are: each lies in exactly one of the parts.

    Raises:
        ValidationError: the number is no power of two or too large, or a part would be smaller than a
            block.
        ConflictError: the pool was changed since it was read, or a part's name is taken.
    """
    parts = [_part(pool, cidr, index) for index, cidr in enumerate(_cidrs(pool, number))]
    revision = Revision(int(pool.metadata.resource_version))
    puts = [Put(keys.path_of(id_of(part)), codec.encode(part), Revision(0)) for part in parts]
    client.backend.transact([Delete(keys.path_of(id_of(pool)), revision), *puts])
    return parts


def _cidrs(pool: IPPool, number: int) -> list[str]:
    if number < 2 or number & (number - 1):
        raise ValidationError("number to split CIDR into is not a valid power of 2")
    if number > MOST_PARTS:
        raise ValidationError(
            f"a pool is split into at most {MOST_PARTS} at once; split the parts again"
        )
    network = ip_network(pool.spec.cidr, strict=False)
    prefix = network.prefixlen + number.bit_length() - 1
    if prefix > min(pool.spec.block_size or network.max_prefixlen, network.max_prefixlen):
        raise ValidationError(
            f"{pool.spec.cidr} is not large enough to be split into {number} pools of at least one"
            f" block of /{pool.spec.block_size}"
        )
    return [str(subnet) for subnet in network.subnets(new_prefix=prefix)]


def _part(pool: IPPool, cidr: str, index: int) -> IPPool:
    metadata = ObjectMeta(
        name=f"split-{pool.name}-{index}",
        uid=str(uuid.uuid4()),
        creation_timestamp=f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        labels=pool.metadata.labels,
        annotations=pool.metadata.annotations,
    )
    return pool.with_(metadata=metadata, spec=pool.spec.with_(cidr=cidr))
