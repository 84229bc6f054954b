"""What is exported is what is imported."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl import migration
from calicoctl.commands import datastore
from libcalico.client import Client
from libcalico.datastore import keys
from libcalico.datastore.memory import MemoryBackend
from libcalico.errors import ConfigError, ValidationError
from libcalico.ipam import AssignRequest, IpamClient
from libcalico.testing.builders import a_node, a_policy, a_pool, a_profile, a_tier, an_endpoint


def filled():
    client = Client(MemoryBackend())
    client.nodes.create(a_node())
    client.ippools.create(a_pool())
    client.tiers.create(a_tier())
    client.networkpolicies.create(a_policy(tier="platform"))
    client.profiles.create(a_profile())
    IpamClient(client.backend).auto_assign(AssignRequest(host="node-1", num4=2, handle="h"))
    client.workloadendpoints.create(an_endpoint())
    return client


def exported(client, **options):
    datastore.set_ready(client, ready=False)
    return "".join(datastore.export(client, **{"everything": True, **options}))


def stored(client):
    return {item.key: item.value for item in client.backend.read(keys.ROOT).items}


def test_an_import_makes_the_same_datastore():
    source, target = filled(), Client(MemoryBackend())
    archive = migration.parse(exported(source))
    assert datastore.import_(target, archive)[1] > 0
    assert stored(target) == stored(source)
    assert IpamClient(target.backend).problems() == []
    datastore.import_(target, archive)  # once more, as after an interruption
    assert stored(target) == stored(source)


def test_for_kubernetes_there_are_no_profiles_and_endpoints():
    kinds = {r.kind for r in migration.parse(exported(filled(), everything=False)).resources}
    assert {"IPPool", "Tier", "Node", "NetworkPolicy"} <= kinds
    assert not {"Profile", "WorkloadEndpoint"} & kinds


def test_a_datastore_that_may_change_is_not_exported():
    with pytest.raises(ConfigError, match="datastore is not locked"):
        datastore.export(filled(), everything=False)


def test_a_datastore_in_use_is_not_overwritten():
    archive = migration.parse(exported(filled()))
    target = filled()
    before = stored(target)
    with pytest.raises(ConfigError, match="import needs an empty one"):
        datastore.import_(target, archive)
    assert stored(target) == before


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map("\n===\n".join))
def test_other_files_are_refused(text):
    with pytest.raises(ValidationError):
        migration.parse(text)
