"""Which clusters a client works on."""

import pytest

from calicoctl.versions import require_same
from libcalico.errors import CalicoError


@pytest.mark.parametrize("cluster", ["", "v3.32.1", "3.32.0", "v3.32.5-0.dev-3-gabc"])
def test_same(cluster):
    require_same(cluster, "v3.32.1")


@pytest.mark.parametrize("cluster", ["v3.31.9", "v4.32.1", "3", "master"])
def test_other(cluster):
    with pytest.raises(CalicoError, match="Use --allow-version-mismatch to override"):
        require_same(cluster, "v3.32.1")
