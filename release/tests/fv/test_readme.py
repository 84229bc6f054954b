"""The README's lines work as pasted: a whole release."""

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def test_the_shortest_use(clone, index):
    url, folder = index
    lines = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)[0]
    assert len(lines.splitlines()) <= 10
    # Only the index is elsewhere.
    done = subprocess.run(
        ["bash", "-euc", lines.replace("https://index.example", url)],
        cwd=clone.root,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "alpha_lib-0.1.0-py3-none-any.whl",
        "alpha_lib-0.1.0.tar.gz",
        "beta_tool-0.1.0-py3-none-any.whl",
        "beta_tool-0.1.0.tar.gz",
    ]
