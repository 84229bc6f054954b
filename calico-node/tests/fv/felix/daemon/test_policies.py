"""What of a policy is seen in the kernel beside its verdicts: comments, log lines, what is prepared."""

from libcalico.resources.policy import RuleMetadata
from libcalico.testing import builders as a

#: Annotations as people write them, and what a comment makes of them.
ODD = {
    "a/owner": "Zoë & Jürgen",
    "b": 'two\nlines; "quoted" \\ and\ttabbed',
    "c": "; } flush ruleset; {",
    "d": "☃" * 40,
    "e": "x" * 300,
}


def noted(action="Allow", annotations=ODD, **fields):
    return a.a_rule(action, metadata=RuleMetadata(annotations=annotations), **fields)


def test_annotations_of_rules_are_comments_whatever_is_in_them(felix):
    felix.put(
        a.a_profile(name="open", ingress=[noted()], egress=[noted()]),
        a.a_tier(name="first", order=1.0),
        a.a_policy(name="of-ns", selector="app == 'web'", ingress=[noted("Pass")], tier="first"),
        a.a_global_policy(
            name="global",
            selector="app == 'web'",
            ingress=[
                noted("Deny", {"why": "no web"}, protocol="TCP", destination={"ports": [81]}),
                noted("Allow", {}),
            ],
        ),
    )
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.OPEN
    assert felix.outcomes(api, web, "tcp81") == felix.CLOSED
    assert 'comment "why=no web"' in felix.chain("cali-pi-gnp/global")
    odd = "a/owner=Zo  & J rgen; b=two lines;  quoted    and tabbed; c=; } flush ruleset; {; d="
    for chain in ("cali-pi-np/default/of-ns", "cali-pri-open", "cali-pro-open"):
        assert f'comment "{odd}' in felix.chain(chain), chain
    before = felix.table()
    listed = felix.host.run(["nft", "list", "table", "inet", "calico"]).stdout
    felix.host.run(["nft", "-c", "-f", "-"], stdin=listed)
    assert felix.table() == before


def test_the_head_of_log_lines_is_made_of_its_template_and_changes_live(felix):
    felix.configure(log_prefix="%t %k/%n:%p")
    rules = [a.a_rule("Log"), a.a_rule()]
    felix.put(
        a.a_policy(name="mine", selector="app == 'web'", ingress=rules),
        a.a_profile(name="open", ingress=rules, egress=[a.a_rule()]),
    )
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    mine, profile = "cali-pi-np/default/mine", "cali-pri-open"
    assert 'log prefix "default np/mine:default/mine: "' in felix.chain(mine)
    assert 'log prefix "profile pro/open:open: "' in felix.chain(profile)
    felix.configure(log_prefix="calico-packet", log_action_rate_limit="10/minute")
    felix.wait_chain(mine, 'log prefix "calico-packet: "')
    assert "limit rate 10/minute" in felix.chain(mine)
    assert felix.outcomes(api, web) == felix.OPEN, "to log is not to decide"


def test_a_policy_that_every_node_is_assumed_to_need_is_there_with_its_sets_before_it_is_needed(
    felix,
):
    from_nets = a.a_rule("Allow", source={"selector": "role == 'client'"})
    needed = a.a_global_policy(
        name="needed",
        selector="app == 'web'",
        ingress=[from_nets],
        performance_hints=["AssumeNeededOnEveryNode"],
    )
    felix.put(
        needed,
        a.a_global_policy(name="other", selector="app == 'web'", ingress=[a.a_rule("Pass")]),
        a.a_global_network_set(name="nets", labels={"role": "client"}, nets=["192.0.2.0/24"]),
    )
    felix.start()
    assert "cali40" in felix.chain("cali-pi-gnp/needed")
    assert "192.0.2.0/24" in str(felix.table())
    assert not felix.chain("cali-pi-gnp/other")
    felix.connect("web")
    assert felix.chain("cali-pi-gnp/other")
    felix.delete(felix.endpoint("web"))
    felix.wait(lambda: not felix.chain("cali-pi-gnp/other"), "nobody needs it")
    assert felix.chain("cali-pi-gnp/needed")
    felix.put(needed.with_(spec=needed.spec.with_(performance_hints=[])))
    felix.wait(lambda: "192.0.2.0/24" not in str(felix.table()), "the set is gone")
    assert not felix.chain("cali-pi-gnp/needed")
