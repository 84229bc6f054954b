"""The lines of the README work as they are."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_shortest_use(cluster):
    engine = cluster.engines[0]
    [lines] = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(lines.splitlines()) <= 10
    # Only the lab's etcd is elsewhere.
    script = lines.replace("http://127.0.0.1:2379", cluster.lab.etcd.endpoint)
    engine.stop_plugin()
    try:
        shown = engine.host.sh(f"trap 'kill $!' EXIT\n{script}", env=engine.env)
    finally:
        engine.start_plugin()
    assert re.search(r"^libnetwork .*\bnet1\b", shown, re.MULTILINE), shown
    assert cluster.endpoints() == []
    assert cluster.assigned() == 0
