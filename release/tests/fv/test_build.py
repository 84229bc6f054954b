"""Real builds, installations and an index on the loopback interface."""

import hashlib
import json
import subprocess
import sys


def manifest(clone):
    return json.loads((clone.root / "build/release/manifest.json").read_text())


def test_a_release_is_built_once_and_always_the_same(built):
    files = [name for names in manifest(built)["files"].values() for name in names]
    assert sorted(files) == [
        "alpha_lib-0.1.0-py3-none-any.whl",
        "alpha_lib-0.1.0.tar.gz",
        "beta_tool-0.1.0-py3-none-any.whl",
        "beta_tool-0.1.0.tar.gz",
    ]
    assert built.release("build", "--revision", "release-1").count("is built") == 2
    built.release("build", "--revision", "release-1", "--out", "build/again")
    for name in files:
        first, second = (built.root / "build" / where / name for where in ("release", "again"))
        assert (
            hashlib.sha256(first.read_bytes()).digest()
            == hashlib.sha256(second.read_bytes()).digest()
        )


def test_what_is_missing_or_damaged_is_built_again(built):
    out = built.root / "build/release"
    (out / "beta_tool-0.1.0.tar.gz").write_text("half")
    assert "is not the file that was built" in built.release("verify", code=1)
    said = built.release("build", "--revision", "release-1")
    assert "alpha-lib 0.1.0: is built\nbeta-tool 0.1.0: beta_tool" in said
    assert "would be built" in built.release("build", "--revision", "main", "--dry-run")
    assert built.release("build", "--revision", "release-1").count("is built") == 2


def test_what_cannot_be_built_is_named(clone):
    assert "there is no revision v9" in clone.release("build", "--revision", "v9", code=1)
    assert "there is no package gamma" in clone.release("build", "--only", "gamma", code=1)
    assert "run calico-release build" in clone.release("verify", code=1)
    (clone.root / "alpha-lib/README.md").write_text("Title\n==\n\n.. broken")
    (clone.root / "alpha-lib/pyproject.toml").write_text(
        (clone.root / "alpha-lib/pyproject.toml").read_text().replace("README.md", "GONE.md")
    )
    clone.commit("break")
    assert "GONE.md" in clone.release("build", code=1)


def test_each_wheel_installs_alone_and_answers(built):
    said = built.release("verify")
    assert "alpha-lib: import alpha_lib works, version 0.1.0" in said
    assert "beta-tool: beta-tool --version says 0.1.0" in said
    dry = built.release("verify", "--dry-run")
    assert "would install beta_tool-0.1.0-py3-none-any.whl, alpha_lib" in dry


def test_a_command_that_says_another_version_fails(clone):
    (clone.root / "beta-tool/src/beta_tool/__init__.py").write_text('def main():\n    print("7")\n')
    clone.commit("lie")
    clone.release("build")
    said = clone.release("verify", "--only", "beta-tool", code=1)
    assert "beta-tool --version says '7', not 0.1.0.dev0" in said


def publish(url, *more):
    return ["publish", "--url", f"{url}/", "--simple-url", f"{url}/simple", *more]


def test_a_release_is_published_once_and_can_be_installed_from_the_index(built, index, tmp_path):
    url, folder = index
    assert built.release(*publish(url, "--dry-run")).count("would be published") == 4
    assert list(folder.iterdir()) == []
    # As after an interruption: one package is there, the other is not.
    assert built.release(*publish(url, "--only", "alpha-lib")).count(": published") == 2
    said = built.release(*publish(url))
    assert (said.count(": is published"), said.count(": published")) == (2, 2)
    assert len(list(folder.iterdir())) == 4
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    pip = [tmp_path / "env/bin/pip", "--disable-pip-version-check", "install", "-q", "beta-tool"]
    with_password = url.replace("//", "//user:secret@")
    subprocess.run([*pip, "--index-url", f"{with_password}/simple"], check=True)
    answer = subprocess.run(
        [tmp_path / "env/bin/beta-tool"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "0.1.0\n"


def test_a_version_is_never_published_twice(built, index):
    url, folder = index
    (folder / "alpha_lib-0.1.0.tar.gz").write_bytes(b"another")
    said = built.release(*publish(url), code=1)
    assert "the index has another alpha_lib-0.1.0.tar.gz" in said


def test_what_an_index_refuses_is_said(built, index, monkeypatch):
    url, folder = index
    monkeypatch.setenv("TWINE_PASSWORD", "wrong")
    assert "403 Forbidden" in built.release(*publish(url), code=1)
    assert "http:// or https://" in built.release(*publish("file:///tmp"), code=1)
    assert list(folder.iterdir()) == []


def test_what_is_between_releases_is_not_published(clone, index):
    clone.release("build")
    assert "is between releases; cut a release" in clone.release(*publish(index[0]), code=1)
