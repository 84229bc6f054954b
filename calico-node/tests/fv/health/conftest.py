"""Two authorities, and certificates that they signed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Authority:
    """A folder with NAME.pem and NAME.key: ``server``, ``renewed``, ``client`` are signed by ``ca``.

    ``stranger`` is signed by ``other-ca``; ``first-ca.pem`` stays what ``ca.pem`` was in the beginning.
    """

    folder: Path

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def authority(self, name):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
        self.openssl("req", "-x509", *_KEY, *files, "-subj", f"/CN={name}", "-days", "2")

    def sign(self, name, signer):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("req", *_KEY, *files, "-subj", f"/CN={name}")
        (self.folder / "extensions").write_text("subjectAltName=IP:127.0.0.1\n")
        signing = ("-CA", f"{signer}.pem", "-CAkey", f"{signer}.key", "-CAcreateserial")
        made = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "extensions")
        self.openssl("x509", "-req", *signing, *made, "-days", "2")


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    for name in ("ca", "other-ca"):
        made.authority(name)
    for name in ("server", "renewed", "client"):
        made.sign(name, "ca")
    made.sign("stranger", "other-ca")
    (tmp_path / "first-ca.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    return made
