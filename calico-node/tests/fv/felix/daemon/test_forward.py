"""A host whose own firewall drops what is forwarded, as Docker leaves it: policy decides all the same."""

from libcalico.testing import builders as a

DENY_WEB = a.a_global_policy(name="deny-web", selector="app == 'web'", ingress=[a.a_rule("Deny")])
DOCKER = """
iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -I FORWARD -j DOCKER-USER
ip6tables-nft -P FORWARD DROP
"""


def test_workloads_reach_each_other_where_docker_drops_and_policy_still_denies(felix):
    felix.host.sh(DOCKER)
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.OPEN
    felix.put(DENY_WEB)
    felix.wait_policy("deny-web")
    assert felix.outcomes(api, web) == felix.CLOSED
    assert felix.outcomes(web, api) == felix.OPEN


def test_a_docker_that_starts_later_takes_nothing_away(felix):
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    felix.host.sh(DOCKER)
    felix.wait_outcomes(api, web, felix.OPEN)
    felix.host.sh("iptables-nft -F DOCKER-USER; ip6tables-nft -F FORWARD")
    felix.wait_outcomes(api, web, felix.OPEN)


def test_what_policy_allows_may_be_left_to_the_hosts_own_firewall(felix):
    felix.host.sh(DOCKER)
    felix.start()
    web, api = felix.connect("web"), felix.connect("api")
    assert felix.outcomes(api, web) == felix.OPEN
    felix.configure(nftables_filter_allow_action="Return")
    felix.wait_outcomes(api, web, felix.CLOSED)
    felix.host.sh(
        "iptables-nft -I FORWARD -i cali+ -j ACCEPT; ip6tables-nft -I FORWARD -i cali+ -j ACCEPT"
    )
    assert felix.outcomes(api, web) == felix.OPEN
    felix.configure(nftables_filter_allow_action="Accept")
    felix.host.sh(
        "iptables-nft -D FORWARD -i cali+ -j ACCEPT; ip6tables-nft -D FORWARD -i cali+ -j ACCEPT"
    )
    felix.wait_outcomes(api, web, felix.OPEN)


def test_rules_go_where_the_configuration_says_and_stay_when_felix_ends(felix):
    felix.host.sh(DOCKER)

    def count(listing):
        return felix.host.sh(listing).count("calico: policy has passed")

    felix.start(FELIX_CHAININSERTMODE="Append")
    assert count("iptables-nft -S DOCKER-USER") == 0
    assert count("iptables-nft -S FORWARD; ip6tables-nft -S FORWARD") == 4
    felix.end()
    felix.start()
    assert count("iptables-nft -S FORWARD") == 0
    felix.end()
    assert count("iptables-nft -S DOCKER-USER; ip6tables-nft -S FORWARD") == 4
