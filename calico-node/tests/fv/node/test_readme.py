"""The README's lines for a host without Docker work as pasted."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[3] / "README.md"
BIN = Path(sys.executable).parent


def test_the_shortest_use(lab):
    made = lab(1)
    lines = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)[0]
    assert len(lines.splitlines()) <= 10
    # Only the lab's etcd is elsewhere.
    script = lines.replace("http://10.0.0.1:2379", made.etcd.endpoint)
    host = made.hosts[0]
    path = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    shown = host.sh(script, env={"PATH": path}, timeout_s=120)
    assert re.search(r"^felix +RUNNING", shown, re.MULTILINE), shown
    assert shown.endswith("Calico node stopped\n")
    assert "table inet calico" in host.sh("nft list tables")  # policy stays in force
