"""The command as the package installs it: finds calico_mesos beside its own folder."""  # noqa: INP001

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # the package ships none, and removes what it ships
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib" / "calico-mesos"))

from calico_mesos.plugin import main  # noqa: E402 - found by the line above

sys.exit(main())
