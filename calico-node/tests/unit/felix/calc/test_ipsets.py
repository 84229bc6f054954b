"""What a change of an owner costs; what sets hold is for the conversations and the theorem to say."""

from calico_node.felix.calc.ipsets import IpSets, Owner
from calico_node.felix.calc.rules import SetSpec
from calico_node.felix.messages import SetId
from libcalico.net.addresses import Cidr, parse_cidr
from libcalico.selector import parse

MANY = 2000
CLIENTS = SetSpec(SetId("s:clients"), parse("role == 'client'"))


class Counted(Cidr):
    """A CIDR that counts how often such are compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return tuple.__eq__(self, other)

    __hash__ = Cidr.__hash__


def owner(*first):
    crowd = (Counted(4, (10 << 24) + number, 32) for number in range(MANY))
    return Owner((*map(parse_cidr, first), *crowd))


def test_one_member_of_many_changes_without_a_look_at_each_for_each():
    sets, labels = IpSets(), {"role": "client"}
    sets.use(CLIENTS)
    for name in ("one", "other"):
        sets.on_owner(name, owner("192.0.2.1/32"), labels, ())
    assert len(sets.flush()[CLIENTS.id].added) == MANY + 1
    Counted.compared = 0
    sets.on_owner("one", owner("192.0.2.2/32"), labels, ())
    assert sets.flush()[CLIENTS.id].added == {parse_cidr("192.0.2.2/32")}
    sets.on_owner_removed("one")
    assert sets.flush()[CLIENTS.id].deleted == {parse_cidr("192.0.2.2/32")}
    assert Counted.compared < 20 * MANY
