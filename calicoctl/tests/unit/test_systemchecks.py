"""Which kernels will do."""

import pytest

from calicoctl.systemchecks import FAILED, OPTIONAL, PASSED, REQUIRED, check, kernel

DEP = "\n".join(f"kernel/net/{name.replace('_', '-')}.ko.xz: kernel/x.ko" for name in REQUIRED)
CONFIG = "\n".join(f"CONFIG_{option}=y" for option, _ in REQUIRED.values())


@pytest.mark.parametrize(
    ("modules", "config"),
    [
        ([DEP], ""),
        ([DEP.replace(":", "")], ""),
        ([f"{name} 12288 0 - Live 0x0" for name in REQUIRED], ""),
        ([], CONFIG),
        ([], CONFIG.replace("=y", "=m")),
    ],
)
def test_a_feature_may_be_known_from_any_list(modules, config):
    lines, good = check(kernel("6.1.0-18-amd64", modules, config))
    assert good
    assert lines[-1] == PASSED
    assert sum("WARNING" in line for line in lines) == len(OPTIONAL)


@pytest.mark.parametrize("missing", list(REQUIRED))
def test_each_required_feature_is_required(missing):
    option = REQUIRED[missing][0]
    config = CONFIG.replace(f"CONFIG_{option}=y", f"# CONFIG_{option} is not set")
    lines, good = check(kernel("6.1.0", [], config))
    assert not good
    assert lines[-1] == FAILED
    assert [line.split()[0] for line in lines if "FAIL" in line] == [missing]


@pytest.mark.parametrize(
    ("release", "good"), [("5.10.0-1", True), ("5.4.99", False), ("4.19", False)]
)
def test_old_kernels(release, good):
    assert check(kernel(release, [DEP], ""))[1] is good
