"""The real kernel keeps the contract, with and without the DESTROY requests of Linux 6.3."""

import errno

import pytest

from calico_node.felix.nft.apply import Nftables, RefusedError
from calico_node.felix.nft.operations import DeleteElements
from calico_node.felix.nft.plan import replace_table
from calico_node.felix.nft.testing.contract import BASE, C, NftablesContract

pytestmark = pytest.mark.root


class TestKernel(NftablesContract):
    """See the contract."""

    def test_an_absent_element_can_be_removed(self, kernel):
        self.check_absent_elements(kernel)


class TestOlderKernel(NftablesContract):
    """The same, spoken to as a kernel without DESTROY."""

    @pytest.fixture
    def kernel(self, netns):
        with netns.call(lambda: Nftables(destroys=False)) as kernel:
            yield kernel

    def test_an_absent_element_is_refused(self, kernel):
        kernel.commit(replace_table(BASE))
        with pytest.raises(RefusedError) as caught:
            kernel.commit([DeleteElements("t", "hosts", [C], interval=False, owner="x")])
        assert (caught.value.owner, caught.value.errno) == ("x", errno.ENOENT)
