from pathlib import Path

from calico_node import paths


def test_the_defaults_are_calicos():
    places = paths.from_environ({})
    assert places.bird_socket == Path("/var/run/calico/bird.ctl")
    assert places.nodename == Path("/var/lib/calico/nodename")
    assert places.bgp_secrets == Path("/etc/calico/bgp-secrets")


def test_every_place_can_be_moved_and_empty_means_unset():
    environ = {"CALICO_RUN_DIR": "/r", "CALICO_LIB_DIR": "/l", "CALICO_LOG_DIR": ""}
    places = paths.from_environ(environ)
    assert places.bird_conf == Path("/r/bird.conf")
    assert places.nodename == Path("/l/nodename")
    assert places.log == Path("/var/log/calico")
    assert paths.from_environ({"CALICO_NODENAME_FILE": "/n"}).nodename == Path("/n")


def test_felixs_file_is_beside_the_others_unless_it_is_named():
    assert paths.from_environ({"CALICO_CONFIG_DIR": "/c"}).felix_config == Path("/c/felix.cfg")
    environ = {"CALICO_CONFIG_DIR": "/c", "CALICO_FELIX_CONFIG_FILE": "/f"}
    assert paths.from_environ(environ).felix_config == Path("/f")
