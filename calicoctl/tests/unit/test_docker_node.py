"""calicoctl node run: options and environment → the docker command, held by golden files."""

import itertools
import os
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl.docker_node import CONFIG_DIR, NodeContainer, command, handed_on

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "plain": NodeContainer(settings={}, environ={"ETCD_ENDPOINTS": "http://10.0.0.1:2379"}),
    "everything": NodeContainer(
        settings={
            "NODENAME": "h1",
            "IP": "10.0.0.5/24",
            "IP_AUTODETECTION_METHOD": "cidr=10.0.0.0/8 or so",
        },
        environ={
            "ETCD_ENDPOINTS": "https://10.0.0.1:2379",
            "ETCD_USERNAME": "calico",
            "ETCD_PASSWORD": "secret",
            "ETCD_CA_CERT_FILE": "/etc/calico/ca.pem",
            "ETCD_CERT_FILE": "/srv/tls/cert.pem",
            "CALICO_ETCD_KEY_FILE": "/srv/tls/key.pem",
            "CALICO_IPV4POOL_CIDR": "10.65.0.0/16",
            "FELIX_LOGSEVERITYSCREEN": "Debug",
            "NODENAME": "from the environment",
        },
        image="registry.example/calico/node:v1",
        log_dir="/srv/log",
        libnetwork=True,
    ),
    "foreground": NodeContainer(settings={"CALICO_NETWORKING_BACKEND": "none"}, foreground=True),
}


@pytest.mark.parametrize("name", CASES)
def test_the_command(name):
    golden = GOLDEN / f"docker-{name}.txt"
    shown = shlex.join(command(CASES[name])).replace(" -", " \\\n  -") + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(shown)
    assert shown == golden.read_text()


def test_no_password_is_on_the_command_line():
    assert not [word for word in command(CASES["everything"]) if "secret" in word]


def test_what_is_elsewhere_inside_is_not_handed_on():
    environ = {"CALICO_RUN_DIR": "/x", "CALICO_NODENAME_FILE": "/x", "PATH": "/bin", "AS": ""}
    assert handed_on(environ) == []


WORDS = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=12)


@given(settings=st.dictionaries(st.sampled_from(["IP", "AS", "NODENAME"]), WORDS), file=WORDS)
def test_every_setting_arrives_as_it_was_given(settings, file):
    words = command(NodeContainer(settings=settings, environ={"ETCD_CERT_FILE": f"/{file}"}))
    told = {
        word.partition("=")[0]: word.partition("=")[2]
        for before, word in itertools.pairwise(words)
        if before == "-e"
    }
    assert {name: told[name] for name in settings} == settings
    inside_config = f"/{file}".startswith(f"{CONFIG_DIR}/")
    assert (f"/{file}:/{file}:ro" in words) is not inside_config
