"""datastore migrate, cluster diags, node diags, node checksystem."""

import tarfile

import pytest

from calico_test.etcd import Etcd

MOVED = "Policies moved to their own names: "


@pytest.fixture
def filled(ctl, make):
    ctl.apply(
        make("IPPool", "demo", {"cidr": "10.65.0.0/16"}),
        make("Node", "n1", {"bgp": {"ipv4Address": "10.0.0.1/24"}}),
        make("NetworkPolicy", "web", {"selector": "all()"}),
    )
    return ctl


def test_migration_to_another_etcd(filled):
    refused = filled("datastore", "migrate", "export")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(
        "datastore is not locked. Run the `calicoctl datastore migrate lock` command in order to begin"
    )
    assert filled.ok("datastore", "migrate", "lock") == "Datastore locked.\n"
    (filled.folder / "dump").write_text(filled.ok("datastore", "migrate", "export", "--all"))
    before = filled.etcd.get_prefix("/calico/")
    busy = filled("datastore", "migrate", "import", "-f", "dump")
    assert busy.code == 0, "the same cluster, locked: this is an import that goes on"
    with Etcd() as target:
        said = filled.ok(
            "datastore", "migrate", "import", "-f", "dump", ETCD_ENDPOINTS=target.endpoint
        )
        assert said.startswith("Imported ")
        assert target.get_prefix("/calico/") == before
        filled.ok("datastore", "migrate", "unlock", ETCD_ENDPOINTS=target.endpoint)
        assert "demo" in filled.ok("get", "pools", ETCD_ENDPOINTS=target.endpoint)
    assert filled.ok("datastore", "migrate", "unlock") == "Datastore unlocked.\n"
    unlocked = filled("datastore", "migrate", "import", "-f", "dump")
    assert (unlocked.code, "import needs an empty one" in unlocked.err) == (1, True)
    filled.file("no.yaml")
    assert "no output of calicoctl" in filled("datastore", "migrate", "import", "-f", "no.yaml").err


def test_policies_of_old_releases_get_their_own_names(ctl, make):
    assert ctl.ok("datastore", "migrate", "policy-names") == MOVED + "0\n"
    for name in ("default.web", "default.taken"):
        policy = make("GlobalNetworkPolicy", name, {"tier": "default", "selector": "all()"})
        ctl.put("globalnetworkpolicies", name, policy)
    ctl.apply(make("GlobalNetworkPolicy", "taken", {"selector": "has(a)"}))
    assert "does not exist" in ctl("get", "gnp", "web").err
    code, out, err = ctl("datastore", "migrate", "policy-names")
    assert (code, out.splitlines()) == (
        1,
        ["Moved GlobalNetworkPolicy(web)", MOVED + "1"],
    )
    assert "GlobalNetworkPolicy(default.taken): key " in err
    assert "exists already" in err
    assert "web" in ctl.ok("get", "gnp", "web")
    assert ctl.ok("delete", "gnp", "default.taken")
    assert ctl.ok("datastore", "migrate", "policy-names") == MOVED + "0\n"
    assert ctl.keys() == ["globalnetworkpolicies/taken", "globalnetworkpolicies/web"]


def names(out):
    place = out.split("Diags saved to ")[1].strip()
    with tarfile.open(place) as archive:
        return place, {member.name: member for member in archive.getmembers()}


def test_cluster_diags(filled, tmp_path):
    out = filled.ok("cluster", "diags", "--since=1h", TMPDIR=str(tmp_path))
    place, members = names(out)
    assert place.startswith(str(tmp_path))
    assert {"diagnostics/ippools.yaml", "diagnostics/ipam-check"} <= {*members}
    with tarfile.open(place) as archive:
        assert b"10.65.0.0/16" in archive.extractfile("diagnostics/ippools.yaml").read()


def test_node_diags(ctl, tmp_path):
    (tmp_path / "logs" / "felix").mkdir(parents=True)
    (tmp_path / "logs" / "felix" / "current").write_text("hello\n")
    out = ctl.ok("node", "diags", "--log-dir", str(tmp_path / "logs"), TMPDIR=str(tmp_path))
    _, members = names(out)
    assert {"diagnostics/nft", "diagnostics/routes_v4", "diagnostics/logs/felix/current"} <= {
        *members
    }
    assert {member.mode & 0o077 for name, member in members.items() if "/logs/" not in name} == {0}


def test_checksystem(ctl):
    out = ctl.ok("node", "checksystem")
    assert out.endswith("System meets minimum system requirements to run Calico!\n")
    (ctl.folder / "config").write_text("CONFIG_VETH=y\n")
    assert ctl("node", "checksystem", "-f", "config").out.count("OK") < out.count("OK")
    assert "cannot be read" in ctl("node", "checksystem", "-f", "gone").err


@pytest.mark.parametrize("arguments", [("checksystem", "--fix"), ("diags",)])
def test_old_names_work_and_say_what_to_use(ctl, tmp_path, arguments):
    done = ctl(*arguments, TMPDIR=str(tmp_path))
    assert done.code == 0
    assert f"Use calicoctl node {arguments[0]}" in done.err
    assert "System meets" in done.out or "Diags saved to" in done.out


def test_status_under_its_old_name(ctl):
    old, new = ctl("status", "--runtime=docker"), ctl("node", "status")
    assert (old.code, old.out) == (new.code, new.out)
    assert "Use calicoctl node status" in old.err
