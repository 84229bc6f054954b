"""What create and apply leave in etcd, to the byte."""

import json

import pytest
import yaml


def test_apply_makes_a_fresh_store_a_cluster(ctl, make):
    pool = make("IPPool", "demo", {"cidr": "10.65.0.0/16"})
    assert ctl.apply(pool) == "Successfully applied 1 'IPPool' resource(s)\n"
    spec = ctl.stored("clusterinformations", "default")["spec"]
    assert len(bytes.fromhex(spec["clusterGUID"])) == 16
    assert spec["datastoreReady"] is True
    assert "calicoVersion" not in spec
    assert {
        n: ctl.stored("tiers", n)["spec"] for n in ("default", "kube-admin", "kube-baseline")
    } == {
        "default": {"order": 1000000, "defaultAction": "Deny"},
        "kube-admin": {"order": 1000, "defaultAction": "Pass"},
        "kube-baseline": {"order": 10000000, "defaultAction": "Pass"},
    }


def without_identity(ctl, plural, name):
    """The bytes that are stored, with uid and time shortened as in the reference."""
    text = ctl.text(plural, name)
    metadata = json.loads(text)["metadata"]
    text = text.replace(metadata["uid"], "U").replace(metadata["creationTimestamp"], "T")
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    return text


HEAD = (
    '{"kind":"%s","apiVersion":"projectcalico.org/v3",'
    '"metadata":{"name":"%s","uid":"U","creationTimestamp":"T"},'
)
REFERENCE = [
    # (plural, key, manifest's kind, name, spec, metadata, bytes that Go Calico stores)
    (
        *("tiers", "default", None, "default", None, {}),
        HEAD % ("Tier", "default") + '"spec":{"order":1000000,"defaultAction":"Deny"},"status":{}}',
    ),
    (
        *("ippools", "default-ipv4-ippool", "IPPool", "default-ipv4-ippool"),
        {"cidr": "192.168.0.0/16", "ipipMode": "Always", "natOutgoing": True},
        {},
        HEAD
        % ("IPPool", "default-ipv4-ippool")
        + '"spec":{"cidr":"192.168.0.0/16","vxlanMode":"Never","ipipMode":"Always","natOutgoing":true,'
        '"blockSize":26,"nodeSelector":"all()","allowedUses":["Workload","Tunnel"],'
        '"assignmentMode":"Automatic"}}',
    ),
    (
        *("felixconfigurations", "default", "FelixConfiguration", "default"),
        {"logSeverityScreen": "Info", "reportingInterval": "0s"},
        {},
        HEAD % ("FelixConfiguration", "default") + '"spec":{"logSeverityScreen":"Info",'
        '"reportingInterval":"0s","nftablesMode":"Auto","bpfConnectTimeLoadBalancing":"TCP",'
        '"bpfHostNetworkedNATWithoutCTLB":"Enabled","floatingIPs":"Disabled"}}',
    ),
    (
        *("bgpconfigurations", "default", "BGPConfiguration", "default", {}, {}),
        HEAD % ("BGPConfiguration", "default")
        + '"spec":{"logSeverityScreen":"Info","serviceLoadBalancerAggregation":"Enabled"}}',
    ),
    (
        *("profiles", "kns.default", "Profile", "kns.default"),
        {
            "ingress": [{"action": "Allow"}],
            "egress": [{"action": "Allow"}],
            "labelsToApply": {"pcns.projectcalico.org/name": "default"},
        },
        {},
        HEAD
        % ("Profile", "kns.default")
        + '"spec":{"ingress":[{"action":"Allow","source":{},"destination":{}}],'
        '"egress":[{"action":"Allow","source":{},"destination":{}}],'
        '"labelsToApply":{"pcns.projectcalico.org/name":"default"}}}',
    ),
    (
        *("networkpolicies", "default/allow-web", "NetworkPolicy", "allow-web"),
        {
            "order": 100,
            "selector": "app == 'web'",
            "ingress": [
                {
                    "action": "Allow",
                    "protocol": "TCP",
                    "source": {"selector": "role == 'client'"},
                    "destination": {"ports": [80, "8080:8090", "http"]},
                }
            ],
        },
        {"namespace": "default"},
        (
            '{"kind":"NetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":"allow-web",'
            '"namespace":"default","uid":"U","creationTimestamp":"T",'
            '"labels":{"projectcalico.org/tier":"default"},'
            '"annotations":{"projectcalico.org/metadata":"{\\"name\\":\\"allow-web\\"}"}},'
            '"spec":{"tier":"default","order":100,"ingress":[{"action":"Allow","protocol":"TCP",'
            '"source":{"selector":"role == \'client\'"},"destination":{"ports":[80,"8080:8090","http"]}}],'
            '"selector":"app == \'web\'","types":["Ingress"]}}'
        ),
    ),
    (
        *("bgppeers", "rack-tor", "BGPPeer", "rack-tor"),
        {"peerIP": "10.0.0.1", "asNumber": 64513},
        {},
        HEAD % ("BGPPeer", "rack-tor") + '"spec":{"peerIP":"10.0.0.1","asNumber":64513}}',
    ),
    (
        *("globalnetworkpolicies", "escaped", "GlobalNetworkPolicy", "escaped"),
        {"selector": "has(a) && b != '<>'", "order": 1.5, "types": ["Egress"]},
        {},
        (
            '{"kind":"GlobalNetworkPolicy","apiVersion":"projectcalico.org/v3","metadata":{"name":"escaped",'
            '"uid":"U","creationTimestamp":"T","labels":{"projectcalico.org/tier":"default"},'
            '"annotations":{"projectcalico.org/metadata":"{\\"name\\":\\"escaped\\"}"}},'
            '"spec":{"tier":"default","order":1.5,'
            '"selector":"has(a) \\u0026\\u0026 b != \'\\u003c\\u003e\'","types":["Egress"]}}'
        ),
    ),
]


@pytest.mark.parametrize("verb", ["create", "apply"])
def test_what_is_stored_is_what_go_calico_stores(ctl, make, verb):
    manifests = [make(k, n, spec, **meta) for _, _, k, n, spec, meta, _ in REFERENCE if k]
    ctl.ok(verb, "-f", "-", stdin=yaml.safe_dump_all(manifests))
    for plural, key, *_, wanted in REFERENCE:
        assert without_identity(ctl, plural, key) == wanted
