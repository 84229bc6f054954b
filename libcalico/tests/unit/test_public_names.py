import subprocess
import sys

import pytest

import libcalico


def test_public_names_are_there():
    for name in libcalico.__all__:
        assert getattr(libcalico, name).__name__ == name
    assert set(libcalico.__all__) <= set(dir(libcalico))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        libcalico.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("module", "spared"),
    [
        ("libcalico", ["msgspec", "libcalico.errors", "grpc"]),
        ("libcalico.resources.codec", ["grpc", "pyetcd", "asyncio", "difflib"]),
        ("libcalico.client", ["grpc", "pyetcd", "asyncio", "pyroute2", "libcalico.datastore.etcd"]),
    ],
)
def test_imports_bring_no_more_than_they_need(module, spared):
    code = f"import sys, {module}; print([m for m in {spared!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
