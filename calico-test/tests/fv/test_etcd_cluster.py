"""A real cluster of etcd members."""

import pytest

from calico_test.errors import HarnessError
from calico_test.etcd_cluster import EtcdCluster


def test_members_hold_the_same_and_elect_another_leader():
    with EtcdCluster() as cluster:
        first = cluster.leader()
        first.put("/a", "1")
        first.kill()
        with pytest.raises(HarnessError, match="no answer"):
            first.call("/v3/maintenance/status", {})
        second = cluster.leader()
        assert second is not first
        assert second.get_prefix("/") == {"/a": "1"}
        first.restart()
        assert first.get_prefix("/") == {"/a": "1"}
        assert cluster.endpoints.count(",") == 2
        directories = [member.directory for member in cluster.members]
    assert not any(directory.exists() for directory in directories)
