"""Rehearsals, one transaction, differences, and the past, on a real etcd."""

import signal
import subprocess

import pytest
import yaml

DEADLINE_S = 60.0


@pytest.fixture
def pool(ctl, make):
    ctl.apply(make("IPPool", "demo", {"cidr": "10.65.0.0/16"}))
    return make("IPPool", "demo", {"cidr": "10.65.0.0/16", "natOutgoing": True})


def test_dry_run_and_diff_tell_what_apply_does(ctl, make, pool):
    tier, policy = make("Tier", "t", {"order": 5}), make("GlobalNetworkPolicy", "p", {"tier": "t"})
    ctl.file(
        "all.yaml",
        pool,
        tier,
        policy,
        make("Tier", "default", {"order": 1e6, "defaultAction": "Deny"}),
    )
    before = ctl.etcd.get_prefix("")
    assert ctl.ok("apply", "-f", "all.yaml", "--dry-run").splitlines() == [
        "changed    IPPool(demo)",
        "  spec.natOutgoing: (none) -> true",
        "created    Tier(t)",
        "created    GlobalNetworkPolicy(p)",
        "unchanged  Tier(default)",
        "Dry run: 2 created, 1 changed, 1 unchanged; nothing was written",
    ]
    done = ctl("diff", "-f", "all.yaml")
    assert (done.code, done.err) == (1, "")
    assert "\n+  natOutgoing: true\n" in done.out
    assert ctl.etcd.get_prefix("") == before
    ctl.ok("apply", "-f", "all.yaml")
    assert ctl.ok("diff", "-f", "all.yaml") == ""
    assert "3 unchanged" not in ctl.ok("apply", "--dry-run", "-f", "all.yaml")
    assert "0 created, 0 changed, 4 unchanged" in ctl.ok("apply", "--dry-run", "-f", "all.yaml")


def test_a_rehearsal_fails_as_the_write_would(ctl, make):
    ctl.file("p.yaml", make("GlobalNetworkPolicy", "p", {"tier": "gone"}))
    done = ctl("apply", "-f", "p.yaml", "--dry-run")
    assert done.code == 1
    assert done.err == ctl("apply", "-f", "p.yaml").err
    assert ctl("diff", "-f", "p.yaml").code == 2
    assert ctl("diff", "-f", "gone.yaml").code == 2


def test_atomic_is_all_or_nothing(ctl, make):
    good = [make("Tier", f"t{n}", {}) for n in range(20)]
    ctl.file("bad.yaml", *good, make("GlobalNetworkPolicy", "p", {"tier": "gone"}))
    before = ctl.etcd.get_prefix("")
    done = ctl("apply", "--atomic", "-f", "bad.yaml")
    assert (done.code, "nothing was written" in done.err) == (1, True)
    assert ctl.etcd.get_prefix("") == before
    ctl.file("good.yaml", *good, make("GlobalNetworkPolicy", "p", {"tier": "t1"}))
    assert ctl.ok("apply", "--atomic", "-f", "good.yaml") == "Successfully applied 21 resource(s)\n"
    revisions = {
        ctl.ok("get", "tier", f"t{n}", "-o", "go-template={{range .}}{{.ResourceVersion}}{{end}}")
        for n in range(3)
    }
    assert len(revisions) == 1
    ctl.file("many.yaml", *(make("GlobalNetworkSet", f"s{n}", {}) for n in range(200)))
    done = ctl("apply", "--atomic", "-f", "many.yaml")
    assert done.code == 1
    assert "nothing was written: 200 keys are too much for one transaction" in done.err
    assert "etcd takes 128 keys (--max-txn-ops)" in done.err
    assert ctl.ok("get", "gnetsets").split() == ["NAME"]


def test_history_rollback_and_the_past(ctl, make):
    """Under a name of its own: history also tells earlier lives, which other tests ended."""
    ctl.apply(make("IPPool", "aged", {"cidr": "10.65.0.0/16"}))
    ctl.apply(make("IPPool", "aged", {"cidr": "10.65.0.0/16", "natOutgoing": True}))
    ctl.ok("delete", "ippool", "aged")
    lines = [line.split() for line in ctl.ok("history", "pool", "aged").splitlines()[1:]]
    assert [line[1] for line in lines] == ["created", "changed", "changed", "deleted"]
    assert [line[2:] for line in lines[1:3]] == [["spec.natOutgoing"], ["spec.disabled"]]
    created, changed = lines[0][0], lines[1][0]
    old = ctl.ok("get", "pool", "aged", "--revision", created, "-o", "yaml")
    assert "natOutgoing" not in yaml.safe_load(old)["spec"]
    assert "aged" in ctl.ok("get", "pools", "--revision", changed)
    assert ctl.ok("rollback", "pool", "aged", f"--to={changed}") == (
        f"Successfully rolled back 1 'IPPool' resource to revision {changed}\n"
    )
    assert ctl.stored("ippools", "aged")["spec"]["natOutgoing"] is True
    ctl.etcd.call("/v3/kv/compaction", {"revision": changed})
    for arguments in (
        ("get", "pools", "--revision", created),
        ("rollback", "pool", "aged", f"--to={created}"),
    ):
        done = ctl(*arguments)
        assert (done.code, done.out, "compacted away" in done.err) == (1, "", True)
    assert "there is no revision 999999 yet" in ctl("get", "pools", "--revision", "999999").err
    assert "no version of Tier(gone) is known" in ctl("history", "tier", "gone").err


def test_watch_tells_what_happens_until_ctrl_c(ctl, make):
    command = ["env", "--default-signal=INT", *ctl.command("get", "tiers", "-w")]
    with subprocess.Popen(command, env=ctl.environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            ctl.apply(make("Tier", "t", {"order": 5}))
            for line in process.stdout:
                if line.split() == ["ADDED", "t", "5"]:
                    break
            ctl.ok("delete", "tier", "t")
            for line in process.stdout:
                if line.split() == ["DELETED", "t", "5"]:
                    break
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 130
        finally:
            process.kill()


@pytest.mark.parametrize(
    "more", [("--revision=5",), ("-f", "x"), ("--export",), ("-o", "go-template={{.}}")]
)
def test_what_does_not_go_with_watch(ctl, more):
    done = ctl("get", "tiers", "-w", *more)
    assert (done.code, "--watch" in done.err) == (1, True)
