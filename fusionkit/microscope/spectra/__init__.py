"""Counts of elements from spectrum images.

`windows` sums windows of energy less their background, `sets` sums channels that elements share (``method: spectral``),
and `fit` divides counts among lines (``method: fit``); the last two need `model`, the lines and background of the sum
of all spectra. `lines` has the energies of lines and edges.
"""
