"""The README's lines work as pasted, in the root of the tree."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = ROOT / "docs" / "README.md"
INDEX = ROOT / "build" / "site" / "index.html"


def test_the_shortest_use():
    lines = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)[0].splitlines()
    assert len(lines) <= 10
    INDEX.unlink(missing_ok=True)
    for line in lines:
        # The tests that the lines after the first run are running: here it is enough that they would.
        command = line if line is lines[0] else line.replace("make", "make --dry-run", 1)
        done = subprocess.run(
            ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert INDEX.exists()
