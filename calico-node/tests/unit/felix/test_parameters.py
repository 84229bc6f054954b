"""Every parameter is read by code, or it is said why not."""

import ast
from pathlib import Path

import calico_node.felix
import libcalico.datastore.config
from calico_node.felix.parameters import NOT_APPLICABLE, effect
from libcalico.resources.felixparams import PARAMS

FELIX = Path(calico_node.felix.__file__).parent
DATASTORE = Path(libcalico.datastore.config.__file__)
DECLARATION = FELIX / "parameters.py"


def texts(path):
    """Return the texts that a module's code holds."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def read_by_code():
    by_lower = {name.lower(): name for name in PARAMS}
    found = {by_lower[text] for text in texts(DATASTORE) if text in by_lower}
    for path in FELIX.rglob("*.py"):
        if path != DECLARATION:
            found.update(text for text in texts(path) if text in PARAMS)
    return found


def test_what_is_read_and_what_is_not_are_all_parameters_and_do_not_overlap():
    read = read_by_code()
    assert read & NOT_APPLICABLE.keys() == set(), "it is read: take it out of NOT_APPLICABLE"
    missing = PARAMS.keys() - read - NOT_APPLICABLE.keys()
    assert missing == set(), "no code reads it: say why in calico_node.felix.parameters"
    assert read | NOT_APPLICABLE.keys() == set(PARAMS), "there is no such parameter"


def test_the_documentation_says_what_becomes_of_a_parameter():
    assert effect("InterfacePrefix") == "yes"
    assert effect("BpfEnabled") == "not applicable: there is no eBPF dataplane"
    assert effect("EtcdCertFile") == "yes, when Felix starts"
