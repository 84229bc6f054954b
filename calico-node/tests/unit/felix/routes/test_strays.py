"""A route that nobody wants is removed once it has been there for the whole grace period, and not before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_node.felix.routes.strays import Strays, is_of_the_link, ways
from libcalico.net.addresses import parse_cidr
from libcalico.netlink import routes
from libcalico.netlink.routes import NextHop, Route

STRAYS = [Route(parse_cidr(f"10.0.0.{number}"), oif=number) for number in range(3)]
GRACE_S = 10.0
happenings = st.lists(
    st.tuples(
        st.floats(0, 5),
        st.one_of(
            st.tuples(st.sampled_from(["see", "forget"]), st.sampled_from(STRAYS)),
            st.tuples(st.just("keep"), st.sets(st.sampled_from(STRAYS))),
        ),
    ),
    max_size=20,
)


@given(happenings)
def test_due_are_those_that_were_there_all_the_time(history):
    found, since, now_s = Strays(), {}, 0.0
    for later_s, (what, subject) in history:
        now_s += later_s
        if what == "see":
            found.see(subject, now_s)
            since.setdefault(subject, now_s)
        elif what == "forget":
            found.forget(subject)
            since.pop(subject, None)
        else:
            found.keep(subject)
            since = {route: began_s for route, began_s in since.items() if route in subject}
        due = {route for route, began_s in since.items() if now_s - began_s >= GRACE_S}
        assert set(found.due(now_s, GRACE_S)) == due
        assert set(found) == set(since)


@pytest.mark.parametrize(
    ("route", "is_of_link"),
    [
        (Route(parse_cidr("192.0.2.0/24"), oif=1), False),
        (Route(parse_cidr("::/0"), oif=1), False),
        (Route(parse_cidr("192.0.2.0/24"), oif=1, protocol=routes.PROTOCOL_KERNEL), True),
        (Route(parse_cidr("fe80::/64"), oif=1), True),
        (Route(parse_cidr("ff00::/8"), oif=1), True),
        (Route(parse_cidr("192.0.2.1"), oif=1, table=routes.TABLE_LOCAL), True),
        (Route(parse_cidr("192.0.2.1"), oif=1, table=100), True),
    ],
)
def test_what_the_kernel_makes_for_a_link_is_never_a_stray(route, is_of_link):
    assert is_of_the_link(route) is is_of_link


def test_a_route_with_several_ways_leads_through_all_of_them():
    assert ways(Route(parse_cidr("192.0.2.0/24"), oif=4)) == (4,)
    several = Route(parse_cidr("192.0.2.0/24"), hops=(NextHop(4), NextHop(5)))
    assert ways(several) == (4, 5)
