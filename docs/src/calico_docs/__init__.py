"""Checks that keep the documentation true: :mod:`.links` finds links that lead nowhere."""
