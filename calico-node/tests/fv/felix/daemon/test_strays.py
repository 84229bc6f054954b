"""Routes that nobody wants leave workloads' interfaces, while ``removeExternalRoutes`` is set."""

STRAY = "192.0.2.0/24"


def test_a_stray_route_goes_after_the_grace_period_unless_it_is_wanted_that_they_stay(felix):
    felix.configure(remove_external_routes=False)
    felix.start()
    web = felix.connect("web")
    felix.host.sh(
        f"ip route add {STRAY} dev caliweb proto bird; ip -6 route add fd99::/64 dev caliweb"
    )
    felix.host.sh("ip link add eth7 type veth peer name eth8; ip link set eth7 up")
    felix.host.sh("ip link set eth8 up; ip route add 192.0.2.8 dev eth7 proto bird")
    felix.configure(remove_external_routes=True)
    felix.wait(lambda: not strays(felix), "they are removed")
    assert (
        "removed a route that nobody wants route=192.0.2.0/24 dev caliweb metric 0 proto 12"
        in felix.log
    )
    assert "192.0.2.8" in felix.host.sh("ip route show dev eth7")
    assert felix.outcomes(felix.host, web) == felix.OPEN


def strays(felix):
    return [
        line
        for line in felix.host.sh("ip route show; ip -6 route show").splitlines()
        if line.startswith((STRAY, "fd99::"))
    ]
