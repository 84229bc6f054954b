"""Measurements, printed and written to ``build/bench.json`` by ``make bench``.

Absolute times of a shared machine are noise: every benchmark measures its baseline in the same run, and the
ratio is what counts.
"""
