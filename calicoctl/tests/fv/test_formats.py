"""Forms of output beside tables and manifests, the check of versions, completion, start-up."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def pools(ctl, make):
    ctl.apply(
        make("IPPool", "demo", {"cidr": "10.65.0.0/16", "natOutgoing": True}),
        make("IPPool", "other", {"cidr": "10.66.0.0/16"}),
    )
    return ctl


def test_custom_columns(pools):
    assert pools.ok("get", "pools", "-o", "custom-columns=NAME,nat") == (
        "NAME    NAT     \ndemo    true    \nother   false   \n\n"
    )
    done = pools("get", "pools", "-o", "custom-columns=NAME,COLOUR")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("unknown heading COLOUR, valid values are: NAME, CIDR, NAT")


def test_go_templates(pools):
    source = "{{range .}}{{range .Items}}{{.ObjectMeta.Name}} {{.Spec.NATOutgoing}}\n{{end}}{{end}}"
    assert pools.ok("get", "pools", "-o", f"go-template={source}") == "demo true\nother false\n"
    one = "{{range .}}{{.Spec.CIDR}}{{end}}"
    assert pools.ok("get", "pool", "demo", "-o", f"go-template={one}") == "10.65.0.0/16"
    (pools.folder / "t.tmpl").write_text(one)
    assert pools.ok("get", "pool", "demo", "-o", "go-template-file=t.tmpl") == "10.65.0.0/16"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (
            "go-template={{range .}}{{.Spec.Cdir}}{{end}}",
            "template:1:14: can't evaluate field Cdir",
        ),
        ("go-template={{", "template:1:3: unclosed action"),
        ("go-template", "need to specify a template"),
        ("go-template-file=gone.tmpl", "gone.tmpl: No such file or directory"),
    ],
)
def test_wrong_templates_are_one_line(pools, form, said):
    done = pools("get", "pool", "demo", "-o", form)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert said in done.err


def test_a_cluster_of_another_version_is_refused(pools):
    value = pools.stored("clusterinformations", "default")
    value["spec"]["calicoVersion"] = "v3.20.1-rc1"
    pools.put("clusterinformations", "default", value)
    done = pools("get", "pools")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == "version mismatch."
    assert "Cluster Version:  3.20.1" in done.err
    for arguments in (
        ("get", "pools", "--allow-version-mismatch"),
        ("--allow-version-mismatch", "get", "pools"),
        ("--context=any", "get", "pools", "--context", "any", "--allow-version-mismatch"),
    ):
        assert "demo" in pools.ok(*arguments)
    assert "v3.20.1-rc1" in pools.ok("version")


def test_words_that_complete(ctl):
    def complete(line):
        words = line.split(" ")
        out = ctl.ok(
            _CALICOCTL_COMPLETE="bash_complete",
            COMP_WORDS=line,
            COMP_CWORD=str(len(words) - 1),
        )
        return {entry.partition(",")[2] for entry in out.splitlines()}

    assert {"get", "apply", "ipam"} <= complete("calicoctl ")
    assert complete("calicoctl ipam sp") == {"split"}
    assert complete("calicoctl get ipp") == {"ippool"}
    assert "--output" in complete("calicoctl get --out")
    assert {"add", "remove", "ip"} <= complete("calicoctl container ")
    assert complete("calicoctl container web ") == {"endpoint", "ip", "profile"}
    assert complete("calicoctl container web ip ") == {"add", "remove"}
    assert complete("calicoctl endpoint eth1 profile s") == {"set", "show"}
    assert complete("calicoctl profile web r") == {"rule"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(ctl, shell):
    script = ctl.ok("completion", shell)
    assert "_CALICOCTL_COMPLETE" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script.encode(), check=True, env=dict(os.environ))
