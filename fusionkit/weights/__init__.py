"""``weight: auto``: weights chosen from the data alone, before the solve.

`auto` recognises the terms that want it, `choose` decides how each weight is found, `search` and `path` solve along a
path of weights, and every method of choosing has a file of its own: docs/weights.md.
"""
