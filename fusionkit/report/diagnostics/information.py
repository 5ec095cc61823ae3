r"""How much of the information about a map comes from the image, and whether the image is blind to an element.

At a pixel, counts of the element i have the Fisher information :math:`d_i = w_p / (x_i + \varepsilon)`, and the image
adds :math:`w\,s s^\top` with the slopes :math:`s_i = \partial m / \partial x_i`. The image is one number for n
elements: its information about i is what remains if the others are known from their counts alone. It reduces the
variance :math:`1/d_i` of element i by the share

.. math:: r_i = q_i \Big/ \Bigl(1 + \sum_j q_j\Bigr), \qquad q_i = w s_i^2 / d_i,

by the Sherman-Morrison formula. The shares of a pixel sum to less than 1; averages weight pixels by x_i.
"""

from collections.abc import Iterator

import numpy as np

from fusionkit.report.diagnostics.image_and_counts import ImageAndCounts, image_and_counts
from fusionkit.results.record import Diagnostic, RunRecord, note, percent, warning
from fusionkit.terms import Array

# share of the variance: S and O with Co, or O with In, 0.3 to 4 %; elements that the image shows 7 to 99 %
_BLIND = 0.05
_FEW = 2.0  # counts at a pixel of the element: fewer leave an error above 70 %


def information(record: RunRecord) -> Iterator[Diagnostic]:
    """Each element that the image is blind to; a warning if its counts are few as well."""
    fusion = image_and_counts(record)
    if fusion is None or fusion.image.weight == 0.0:  # the image was left out
        return
    shares, counts = image_shares(fusion)
    for name, share, level in zip(fusion.labels, shares, counts, strict=True):
        if not share < _BLIND:
            continue
        sentence = f"The HAADF image tells next to nothing about {name} (it reduces the variance by {percent(share)}"
        if not fusion.in_counts:
            yield note(f"{sentence}): its fused map rests on the raw one and on the prior.")
        elif level < _FEW:
            yield warning(f"{sentence}), and a pixel has {level:.2g} counts: its fused map rests on the prior.")
        else:
            yield note(f"{sentence}): its fused map rests on its counts, {level:.3g} a pixel, and on the prior.")


def image_shares(fusion: ImageAndCounts) -> tuple[Array, Array]:
    """The share r of each element and the counts at its pixels, averages weighted by x; NaN for a map of zeros."""
    x, image, counts = fusion.x, fusion.image, fusion.counts
    jet = image.forward.jet(fusion.x, second=False)  # type: ignore[attr-defined]  # every pixelwise model has one
    slope = np.asarray(jet.slope, np.float64)
    q = image.weight * slope**2 * (x + fusion.epsilon) / max(counts.weight, 1e-300)
    share = q / (1.0 + q.sum(axis=0))
    with np.errstate(invalid="ignore"):
        total = x.sum(axis=(1, 2))
        return (share * x).sum(axis=(1, 2)) / total, counts.weight * (x * x).sum(axis=(1, 2)) / total
