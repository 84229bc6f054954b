"""Releases the packages of this tree.

:mod:`.packages`, :mod:`.fragments` and :mod:`.versions` read the tree; :mod:`.plan` decides,
:mod:`.render` writes texts;
:mod:`.cut`, :mod:`.build`, :mod:`.verify` and :mod:`.publish` are the steps; :mod:`.changed` finds what a
change touches.
"""
