"""Programs that run once pay for gRPC only if they use the datastore."""

from __future__ import annotations

import subprocess
import sys


def test_everything_but_the_driver_imports_without_grpc():
    program = (
        "import sys, libcalico.datastore.config, libcalico.datastore.memory, "
        "libcalico.datastore.syncer, libcalico.datastore.follow\n"
        "sys.exit(any(name in sys.modules for name in ('grpc', 'pyetcd', 'google.protobuf', 'dns')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
