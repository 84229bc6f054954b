"""Felix's settings of this host: which file they are in."""

import pytest

from calico_node import paths
from calico_node.felix import local
from libcalico.errors import ConfigError


@pytest.mark.parametrize("variable", ["CALICO_CONFIG_DIR", "CALICO_FELIX_CONFIG_FILE"])
def test_the_file_is_where_the_environment_says(tmp_path, variable):
    file = tmp_path / "felix.cfg"
    file.write_text("[global]\nFelixHostname = zed\n")
    environ = {variable: str(tmp_path if variable.endswith("DIR") else file)}
    assert local.hostname(environ, paths.from_environ(environ)) == "zed"


def test_a_file_that_is_named_must_be_there_another_need_not(tmp_path):
    environ = {"CALICO_CONFIG_DIR": str(tmp_path)}
    assert len(local.sources(environ, paths.from_environ(environ))) == 1
    environ["CALICO_FELIX_CONFIG_FILE"] = str(tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"CALICO_FELIX_CONFIG_FILE: there is no file .*gone"):
        local.sources(environ, paths.from_environ(environ))
