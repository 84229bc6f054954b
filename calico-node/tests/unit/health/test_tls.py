"""What is said of certificates that cannot be used; handshakes are in the functional tests."""

import asyncio

import pytest

from calico_node.health.apply import serve
from calico_node.health.model import Aggregator, Setting, Tls
from calico_node.health.tls import CertificateError, Credentials


def tls(certificate="", key="", authority=""):
    return Tls(
        Setting("CertFile", certificate), Setting("KeyFile", key), Setting("CAFile", authority)
    )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"key": "{0}/key"}, "CertFile: must name a file"),
        ({"certificate": "{0}/cert"}, "KeyFile: must name a file"),
        ({"authority": "{0}/ca"}, "CertFile: must name a file"),
        ({"certificate": "{0}/none", "key": "{0}/key"}, "CertFile: {0}/none: No such file"),
        ({"certificate": "{0}", "key": "{0}/key"}, "CertFile: {0}: Is a directory"),
        ({"certificate": "{0}/cert", "key": "{0}/key"}, "CertFile, KeyFile: {0}/cert and {0}/key"),
    ],
)
def test_the_parameter_and_the_file_are_named(tmp_path, files, said):
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text("nonsense")
    named = {what: path.format(tmp_path) for what, path in files.items()}
    with pytest.raises(CertificateError) as refused:
        Credentials(tls(**named))
    assert str(refused.value).startswith(said.format(tmp_path))


def test_nothing_is_listened_on_without_certificates():
    async def conversation():
        async with serve(Aggregator(lambda: 0.0), "127.0.0.1", 0, tls=tls()):
            pass

    with pytest.raises(CertificateError):
        asyncio.run(conversation())
