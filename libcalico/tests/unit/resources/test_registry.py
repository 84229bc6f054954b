import pytest

from libcalico.errors import ValidationError
from libcalico.resources import registry


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("IPPool", "IPPool"), ("ippools", "IPPool"), ("POOL", "IPPool"), ("ipp", "IPPool"),
        ("np", "NetworkPolicy"), ("policies", "NetworkPolicy"), ("gnps", "GlobalNetworkPolicy"),
        ("wep", "WorkloadEndpoint"), ("no", "Node"), ("tiers", "Tier"), ("netsets", "NetworkSet"),
        ("hep", "HostEndpoint"), ("bf", "BGPFilter"), ("reservation", "IPReservation"),
        ("sknp", "StagedKubernetesNetworkPolicy"), ("spols", "StagedNetworkPolicy"),
        ("sgnp", "StagedGlobalNetworkPolicy"),
        ("kubecontrollersconfig", "KubeControllersConfiguration"),
    ],
)  # fmt: skip
def test_kinds_are_found_by_the_words_people_type(word, kind):
    assert registry.kind_by_name(word) == kind


def test_no_word_means_two_kinds():
    words = [
        word
        for kind in registry.KINDS.values()
        for word in {kind.INFO.kind.lower(), kind.INFO.plural, *kind.INFO.aliases}
    ]
    assert len(words) == len(set(words))


def test_unknown_words_and_kinds_are_refused():
    with pytest.raises(ValidationError, match="resource type 'pod' is not supported"):
        registry.kind_by_name("pod")
    with pytest.raises(ValidationError, match=r"'ippool' is not known; known kinds are .*IPPool"):
        registry.class_of("ippool")
