"""What release scripts must know of this tree: which packages there are, and which a change touches.

:mod:`.packages` reads their metadata, :mod:`.changed` finds the affected ones.
"""
