"""``weight: auto``: weights chosen from the data alone, before the solve.

`auto` recognises these terms, `choose` plans the searches, `compete` carries them out, `search` and `path` solve along
a path of weights, and each method has its own file; see docs/weights.md.
"""
