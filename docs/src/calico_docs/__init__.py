"""The documentation's tools.

:mod:`.links` finds links that lead nowhere, :mod:`.blocks` the commands that tests run, :mod:`.site` builds
and checks the site.
"""
