"""Resources under the names that Go gives their fields."""

import pytest

from calicoctl import gofields
from calicoctl.columns import Context
from calicoctl.printers import by_template, chosen
from libcalico.errors import ValidationError
from libcalico.testing.builders import a_bgp_peer, a_node, a_policy, a_pool


@pytest.mark.parametrize(
    ("resource", "path", "value"),
    [
        (a_pool(nat_outgoing=True), "Spec.NATOutgoing", True),
        (a_pool(), "Spec.CIDR", "10.65.0.0/16"),
        (a_pool(), "ObjectMeta.Name", "pool"),
        (a_pool(), "Name", "pool"),
        (a_pool(), "Kind", "IPPool"),
        (a_pool(), "TypeMeta", {"Kind": "IPPool", "APIVersion": "projectcalico.org/v3"}),
        (a_bgp_peer(), "Spec.ASNumber", 64513),
        (a_node(), "Spec.BGP.IPv4Address", "172.16.0.1/24"),
        (a_policy(), "Namespace", "default"),
    ],
)
def test_fields(resource, path, value):
    found = resource
    for name in path.split("."):
        found = gofields.field(found, name)
    assert found == value


def test_a_field_that_is_not_there_is_named_with_the_nearest_one():
    with pytest.raises(KeyError, match=r"field Cdir in type IPPoolSpec; did you mean cidr\?"):
        gofields.field(a_pool().spec, "Cdir")
    with pytest.raises(KeyError, match="in a list; use range or index"):
        gofields.field([], "Name")


def test_templates_see_lists_as_go_does():
    pools = [a_pool(name="a"), a_pool(name="b", cidr="10.66.0.0/16")]
    results = [gofields.as_list("IPPool", pools, "7")]
    source = "{{range .}}{{.ListMeta.ResourceVersion}}{{range .Items}} {{.Name}}={{.Spec.CIDR}}{{end}}{{end}}"
    assert by_template(source, results, Context()) == "7 a=10.65.0.0/16 b=10.66.0.0/16"
    assert by_template('{{config "asnumber"}}', [], Context(64999)) == "64999"


def test_chosen_columns():
    assert chosen("IPPool", [a_pool()], ("CIDR", "NAME"), Context()) == (
        "CIDR           NAME   \n10.65.0.0/16   pool   \n\n"
    )
    with pytest.raises(ValidationError, match="unknown heading X, valid values are: NAME, CIDR"):
        chosen("IPPool", [], ("X",), Context())
