"""The driver as Docker uses it."""


def create(engine, *options, name="net1"):
    engine.docker("network", "create", "-d", "calico", "--ipam-driver", "calico", *options, name)


def test_container_has_an_address_and_reaches_the_other_host(cluster):
    one, two = cluster.engines
    create(one)
    create(two)
    first, second = one.run("one", "net1"), two.run("two", "net1")
    assert first.startswith("10.65.") and second.startswith("10.65.")
    cluster.until(lambda: one.pings("one", second), "ping")
