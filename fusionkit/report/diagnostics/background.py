"""A background that the model lacks: the image is not dark where the maps are empty, or the reverse.

Where the maps have almost no counts, the image should equal the offset of its model; where the image is darkest, a map
should equal epsilon. Any excess, relative to the bright parts, is a background; pixels next to matter are ignored.
"""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from fusionkit.report.diagnostics.image_and_counts import ImageAndCounts, image_and_counts
from fusionkit.results.record import Diagnostic, RunRecord, percent, warning
from fusionkit.terms import Array

_SMOOTH = 3.0  # pixels, width of the Gaussian filter before matter and vacuum are separated
_EMPTY = 0.05  # of the brightest: fewer counts are vacuum
_DARK = 0.01  # of the range of the image, above its darkest pixels
_VACUUM = 0.3  # of the brightest: if the darkest part is brighter, the image shows matter everywhere
_EDGE = 2  # pixels next to matter that are ignored
_FEWEST = 50  # pixels needed to detect a background
_IMAGE = 0.01  # of the brightest: phantoms without an offset reach 0.0001, with one of 2 % 0.022
_MAP = 0.02  # of the brightest: maps without a background reach 0.001, with one of a tenth of the mean 0.04
_ERRORS = 4.0  # standard errors


def background(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning for the image and for each map that has a background."""
    fusion = image_and_counts(record)
    if fusion is None or fusion.image.weight == 0.0 or "offset" in record.result.parameters.get(fusion.image.name, {}):
        return
    level = image_background(fusion)
    if level is not None:
        yield warning(
            f"The HAADF image is not dark where the maps are empty (its level there is {percent(level)} of its "
            "brightest): does it have a background? Write offset: auto in its term, or subtract it."
        )
    for name, counts, share in map_backgrounds(fusion) if fusion.in_counts else ():
        yield warning(
            f"The map of {name} holds {counts:.2g} counts a pixel where the HAADF image is dark ({percent(share)} of "
            f"its brightest, above epsilon = {fusion.epsilon:g}): does it have a background, or is there matter that "
            "the image does not show?"
        )


def image_background(fusion: ImageAndCounts) -> float | None:
    """Level of the image where the maps are empty, above its offset, over its brightest; None if not significant."""
    total = _smooth(fusion.raw.sum(axis=0))
    vacuum = _inner(total < _EMPTY * np.percentile(total, 99.0))
    image = np.asarray(fusion.image.data, np.float64) - float(fusion.image.predict(np.zeros_like(fusion.x)).mean())
    if vacuum.sum() < _FEWEST:
        return None
    brightest, values = float(np.percentile(_smooth(image), 99.0)), image[vacuum]
    error = float(values.std()) / values.size**0.5
    level = float(values.mean())
    return level / brightest if level > max(_IMAGE * brightest, _ERRORS * error) and brightest > 0.0 else None


def map_backgrounds(fusion: ImageAndCounts) -> list[tuple[str, float, float]]:
    """Name, counts per pixel and share of the brightest for each map that is not empty where the image is dark."""
    image = _smooth(np.asarray(fusion.image.data, np.float64))
    darkest, brightest = (float(np.percentile(image, at)) for at in (0.5, 99.0))
    dark = _inner(image < darkest + _DARK * (brightest - darkest))
    backgrounds, weight = [], max(fusion.counts.weight, 1e-300)
    nothing = float(fusion.image.predict(np.zeros_like(fusion.x)).mean())
    if dark.sum() < _FEWEST or not brightest > darkest or darkest - nothing > _VACUUM * (brightest - nothing):
        return backgrounds
    for name, one in zip(fusion.labels, fusion.raw, strict=True):
        level = float(one[dark].mean())
        beyond, top = level - fusion.epsilon, float(np.percentile(_smooth(one), 99.0))
        error = (
            (max(level, 1.0 / dark.sum()) / fusion.counts.weight / dark.sum()) ** 0.5 if fusion.counts.weight else 1e9
        )
        if top > 0.0 and beyond > max(_MAP * top, _ERRORS * error):
            backgrounds.append((name, level * weight, beyond / top))
    return backgrounds


def _smooth(image: Array) -> Array:
    return ndimage.gaussian_filter(image, _SMOOTH, mode="nearest")


def _inner(mask: np.ndarray) -> np.ndarray:
    return ndimage.binary_erosion(mask, iterations=_EDGE, border_value=1)
