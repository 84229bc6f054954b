import pytest

from calico_node import paths
from calico_node.bgp.agent import health_address, install_first_config, read_passwords
from libcalico.errors import ConfigError


def test_passwords_are_files_named_by_secret_and_key(tmp_path):
    (tmp_path / "tor").mkdir()
    (tmp_path / "tor" / "password").write_text(" pass word \n")
    (tmp_path / "tor" / "binary").write_bytes(b"\xff")
    (tmp_path / "loose").write_text("x")
    assert read_passwords(tmp_path) == {("tor", "password"): " pass word "}
    assert read_passwords(tmp_path / "absent") == {}


def test_the_health_endpoint_is_local_unless_told_otherwise():
    assert health_address({}) == ("127.0.0.1", 9098)
    told = {"CALICO_BGP_HEALTHHOST": "::", "CALICO_BGP_HEALTHPORT": "1"}
    assert health_address(told) == ("::", 1)


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ConfigError, match="CALICO_BGP_HEALTHPORT"):
        health_address({"CALICO_BGP_HEALTHPORT": port})


def test_the_first_configuration_touches_no_kernel_route(tmp_path):
    places = paths.from_environ({"CALICO_RUN_DIR": str(tmp_path)})
    install_first_config(places, "a", tmp_path / "bird")
    text = places.bird_conf.read_text()
    assert "protocol kernel" not in text
    assert "protocol bgp" not in text
