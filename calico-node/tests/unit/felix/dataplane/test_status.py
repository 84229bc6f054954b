"""Status files: what CNI plugins wait for."""

import json

from calico_node.felix.dataplane.status import StatusFiles, file_name
from calico_node.felix.messages import EndpointId, EndpointPolicies, LocalEndpoint
from libcalico.net.addresses import parse_cidr

POD = EndpointId("shop", "node--1-k8s-web--0-eth0")
ENDPOINT = LocalEndpoint(
    "cali123",
    (parse_cidr("10.65.0.1"), parse_cidr("fd65::1")),
    "ee:ee:ee:ee:ee:ee",
    EndpointPolicies((), ()),
)
NAME = "k8s shop%2Fweb-0 eth0"


def test_the_file_is_named_by_orchestrator_workload_and_endpoint():
    assert file_name(POD) == NAME
    assert file_name(EndpointId("default", "n-cni-abc123-eth0")) == "cni default%2Fabc123 eth0"


def test_an_endpoint_whose_name_has_another_form_has_no_file():
    assert file_name(EndpointId("default", "whatever")) is None


def test_a_file_appears_with_its_endpoint_and_goes_with_it(tmp_path):
    files = StatusFiles(tmp_path)
    files.prune([])
    files.report(POD, ENDPOINT)
    path = tmp_path / "endpoint-status" / NAME
    assert json.loads(path.read_text()) == {
        "ifaceName": "cali123",
        "mac": "ee:ee:ee:ee:ee:ee",
        "ipv4Nets": ["10.65.0.1/32"],
        "ipv6Nets": ["fd65::1/128"],
    }
    files.report(POD, None)
    assert not path.exists()


def test_what_a_previous_run_left_is_removed_unless_it_is_known(tmp_path):
    directory = tmp_path / "endpoint-status"
    directory.mkdir()
    for name in (NAME, "cni default%2Fgone eth0", ".half"):
        (directory / name).write_text("{}")
    StatusFiles(tmp_path).prune([POD])
    assert [path.name for path in directory.iterdir()] == [NAME]


def test_a_file_that_is_right_stays_and_one_that_is_not_is_replaced(tmp_path):
    StatusFiles(tmp_path).report(POD, ENDPOINT)
    path = tmp_path / "endpoint-status" / NAME
    right, before = path.read_bytes(), path.stat().st_ino
    StatusFiles(tmp_path).report(POD, ENDPOINT)
    assert path.stat().st_ino == before
    for wrong in (b"", b"{}", b"\xff"):
        path.write_bytes(wrong)
        StatusFiles(tmp_path).report(POD, ENDPOINT)
        assert path.read_bytes() == right


def test_what_could_not_be_written_is_written_later(tmp_path):
    files = StatusFiles(tmp_path / "later")
    (tmp_path / "later").write_text("in the way")
    files.report(POD, ENDPOINT)
    (tmp_path / "later").unlink()
    files.retry()
    assert (tmp_path / "later" / "endpoint-status" / NAME).exists()
