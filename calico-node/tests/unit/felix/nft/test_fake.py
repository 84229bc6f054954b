"""The kernel in memory keeps the kernel's contract."""

import pytest

from calico_node.felix.nft.fake import FakeNftables
from calico_node.felix.nft.testing.contract import NftablesContract


@pytest.fixture
def kernel():
    return FakeNftables()


class TestFake(NftablesContract):
    """See the contract."""

    def test_an_absent_element_can_be_removed(self, kernel):
        self.check_absent_elements(kernel)
