"""Health over HTTP: where it answers, and that it does not say well of what hangs."""

import signal
import sys
from pathlib import Path

from calico_test.probes import Probe

PORT = Probe("tcp", 9099)
HEALTH = [str(Path(sys.executable).with_name("calico-node")), "health"]


def test_it_answers_on_the_addresses_that_the_configuration_says(felix):
    felix.start()
    world = felix.lab.outside

    def answers():
        both = [felix.host.address(version) for version in (4, 6)]
        outside = [world.probe(address, PORT).outcome == "open" for address in both]
        return [felix.host.probe("127.0.0.1", PORT).outcome == "open", *outside]

    assert answers() == [True, False, False], "by default only this host may ask"
    felix.configure(health_host="0.0.0.0")
    felix.wait(lambda: answers() == [True, True, False], "everybody may ask, by IPv4")
    felix.configure(health_host=felix.host.address(6))
    felix.wait(lambda: answers() == [False, False, True], "one address only")
    felix.configure(health_host="::")
    felix.wait(lambda: answers()[2], "everybody may ask, by IPv6")
    felix.configure(health_host="localhost", health_enabled=False)
    felix.host.env.pop("FELIX_HEALTHENABLED")
    felix.end()
    felix.start(until_ready=False)
    felix.connect("web", registered=False)
    felix.wait(lambda: "cali-from-wl" in str(felix.table()), "it works")
    assert answers() == [False] * 3


def is_live(felix):
    said = felix.host.run([*HEALTH, "--felix-live"], check=False)
    assert said.returncode == 0 or "does not answer: no answer within" in said.stdout + said.stderr
    return said.returncode == 0


def test_a_felix_that_hangs_is_not_live(felix):
    felix.start()
    assert is_live(felix)
    felix.process.send_signal(signal.SIGSTOP)
    assert not is_live(felix)
    felix.process.send_signal(signal.SIGCONT)
    assert is_live(felix)
