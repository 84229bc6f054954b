import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.startup.settings import parse
from libcalico.errors import ConfigError

VARIABLES = (
    *("NODENAME", "IP", "IP6", "AS", "IP_AUTODETECTION_METHOD", "CALICO_NETWORKING_BACKEND"),
    *("NO_DEFAULT_POOLS", "CALICO_IPV4POOL_CIDR", "CALICO_IPV4POOL_BLOCK_SIZE"),
    *("CALICO_IPV4POOL_IPIP", "CALICO_IPV6POOL_VXLAN", "CALICO_IPV6POOL_CIDR"),
    *("DISABLE_NODE_IP_CHECK", "WAIT_FOR_DATASTORE"),
)


def test_an_empty_environment_means_the_documented_defaults():
    settings = parse({})
    assert settings.backend == "bird"
    assert settings.as_number is None
    assert (settings.addresses[4].mode, settings.addresses[6].mode) == ("", "")
    assert (settings.pools[4].block_size, settings.pools[6].block_size) == (26, 122)
    assert (settings.pools[4].nat_outgoing, settings.pools[6].nat_outgoing) == (True, False)
    assert settings.pools[4].node_selector == "all()"
    assert not settings.no_default_pools


def test_everything_can_be_said():
    settings = parse(
        {
            "NODENAME": " Rack1 ",
            "IP": "10.0.0.5/24",
            "IP6": "fd00::5",
            "AS": "1.10",
            "CALICO_IPV4POOL_CIDR": "10.65.0.0/16",
            "CALICO_IPV4POOL_IPIP": "Cross-Subnet",
            "CALICO_IPV6POOL_VXLAN": "ALWAYS",
            "CALICO_IPV4POOL_NAT_OUTGOING": "n",
            "WAIT_FOR_DATASTORE": "true",
        }
    )
    assert settings.node_name == "Rack1"
    assert (str(settings.addresses[4].given), settings.addresses[4].is_bare) == (
        "10.0.0.5/24",
        False,
    )
    assert (str(settings.addresses[6].given), settings.addresses[6].is_bare) == (
        "fd00::5/128",
        True,
    )
    assert settings.as_number == 65546
    assert settings.pools[4].ipip == "CrossSubnet"
    assert settings.pools[6].vxlan == "Always"
    assert not settings.pools[4].nat_outgoing
    assert settings.wait_for_datastore


@pytest.mark.parametrize(
    "environ",
    [
        {"IP": "fd00::5"},
        {"IP": "10.0.0.300"},
        {"IP6": "10.0.0.5"},
        {"AS": "x"},
        {"AS": "0"},
        {"CALICO_NETWORKING_BACKEND": "gobgp"},
        {"CALICO_IPV4POOL_CIDR": "10.0.0.1/8"},
        {"CALICO_IPV4POOL_CIDR": "fd00::/64"},
        {"CALICO_IPV4POOL_BLOCK_SIZE": "19"},
        {"CALICO_IPV6POOL_BLOCK_SIZE": "64"},
        {"CALICO_IPV4POOL_VXLAN": "sometimes"},
        {"NO_DEFAULT_POOLS": "true", "CALICO_IPV4POOL_CIDR": "10.0.0.0/8"},
    ],
)
def test_what_cannot_be_used_is_refused_by_name(environ):
    with pytest.raises(ConfigError) as refusal:
        parse(environ)
    assert any(name in str(refusal.value) for name in environ)


@given(environ=st.dictionaries(st.sampled_from(VARIABLES), st.text(max_size=12)))
def test_any_environment_is_settings_or_a_config_error(environ):
    with contextlib.suppress(ConfigError):
        parse(environ)
