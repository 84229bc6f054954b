"""The example of the README works as pasted."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_example_works_as_pasted():
    example = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[1]
    assert len([line for line in example.splitlines() if line]) <= 10
    argv = [sys.executable, "-W", "error", "-c", example]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "tcp80 IPv4  host1  host2" in done.stdout


def test_it_is_short():
    assert len(README.read_text().splitlines()) <= 60
