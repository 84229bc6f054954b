import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libcalico.errors import ValidationError
from libcalico.net import ifnames

CONTAINER = "0123456789abcdef0123456789abcdef"


def test_a_containers_interface_has_the_first_characters_of_its_identifier() -> None:
    assert ifnames.container_interface(CONTAINER) == "cali0123456789a"


def test_a_pods_interface_is_named_as_calicos_plugin_names_it() -> None:
    digest = hashlib.sha1(b"default.web-0").hexdigest()
    assert ifnames.pod_interface("default", "web-0") == "cali" + digest[:11]
    assert ifnames.pod_interface("default", "web-0", "tap") == "tap" + digest[:11]


@given(st.text(), st.text(), st.text(max_size=9))
def test_a_name_fits_the_kernel_or_is_refused(namespace: str, pod: str, prefix: str) -> None:
    makes = (
        lambda: ifnames.container_interface(namespace, prefix),
        lambda: ifnames.pod_interface(namespace.encode(errors="ignore").decode(), "pod", prefix),
    )
    for make in makes:
        try:
            name = make()
        except ValidationError:
            continue
        assert 1 <= len(name.encode()) <= ifnames.MAX_BYTES
        assert not set(name) & set("/ \0:%")


def test_a_long_prefix_must_leave_enough_to_tell_workloads_apart() -> None:
    assert len(ifnames.pod_interface("a", "b", "workload"[:7])) == 15
    with pytest.raises(ValidationError, match="at most 7 characters"):
        ifnames.pod_interface("a", "b", "workload")


@pytest.mark.parametrize("name", ["", ".", "..", "a" * 16, "a/b", "a b", "é"])
def test_what_the_kernel_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        ifnames.checked(name)


def test_the_first_prefix_of_felix_list_names_new_interfaces() -> None:
    assert ifnames.first_prefix("tap, cali") == "tap"
    assert ifnames.first_prefix("") == "cali"
