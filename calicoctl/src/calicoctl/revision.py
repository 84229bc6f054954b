"""Which commit the program was made of."""

from typing import Final

#: ``git archive``, which releases are built from, writes the commit here; see ``.gitattributes``.
_EXPORTED: Final = "$Format:%H$"


def commit(exported: str = _EXPORTED) -> str:
    """Return the commit's hash; ``unknown`` in a working copy, which may hold more than any commit."""
    return "unknown" if exported.startswith("$") else exported
