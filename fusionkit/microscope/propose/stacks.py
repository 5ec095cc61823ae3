"""Comparable counts of several stacks: background subtracted, in one unit, on the same pixels."""

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.spectra import unmixed
from fusionkit.microscope.propose.places import OtherStacks, Part
from fusionkit.operators.forward.scan import ScanMap

_WIDTH = 3.0  # pixels: Gaussian that smooths maps before negative values are cut off and summed


def net_counts(dataset: Dataset, name: str) -> Array:
    """The counts of each element of a stack."""
    arrays = dataset.arrays
    return unmixed(arrays[name], arrays.get(f"{name}_background", 0.0), arrays.get(f"{name}_mixing"))


def level(dataset: Dataset, name: str, part: Part | None = None) -> float:
    """Mean counts of a stack per pixel of the maps, background included, at least 1."""
    stack, covered = dataset.arrays[name], _covered(dataset.arrays["maps"], part)
    return max(float(np.sum(stack)) / len(stack) / max(covered[0].size, 1), 1.0)


def factors(dataset: Dataset, name: str, others: OtherStacks) -> dict[str, float]:
    """Counts of each element of a stack per count in ``maps``.

    An element without a map in ``maps`` has the factor 1 in a stack of the same technique. For another technique the
    unit is free; it makes the noise of both equal, background included, so that one TV weight suits both.

    Parameters
    ----------
    dataset : the data, counted.
    name : of the stack.
    others : facts about other stacks.
    """
    elements = dataset.stacks[name]
    if name == "maps":
        return dict.fromkeys(elements, 1.0)
    part = others.parts.get(name)
    unit = 1.0 if name in others.same_technique else (level(dataset, name, part) / level(dataset, "maps")) ** 0.5
    own, common = (np.maximum(smooth(net_counts(dataset, stack), _WIDTH), 0.0) for stack in (name, "maps"))
    own, common = own.sum(axis=(1, 2)), _covered(common, part).sum(axis=(1, 2))
    reference = dict(zip(dataset.stacks["maps"], common, strict=True))
    ratios = {e: n / reference[e] for e, n in zip(elements, own, strict=True) if reference.get(e, 0) > 0 and n > 0}
    return {element: rounded(ratios.get(element, unit)) for element in elements}


def _covered(maps: Array, part: Part | None) -> Array:
    """The maps' pixels in a part of their field, rounded to whole pixels."""
    if part is None:
        return maps
    ends = [[round(end) for end in pair] for pair in part.pixels(maps.shape).values()]
    return maps[:, slice(*ends[0]), slice(*ends[1])]


def of_every_element(dataset: Dataset, others: OtherStacks) -> dict[str, Array]:
    """Maps minus their background on the pixels of ``maps``, including elements that only another stack has.

    Maps are in their original units, those of another stack in the unit of the unknown.

    Parameters
    ----------
    dataset : the data, counted.
    others : facts about other stacks; those that cover a part of the field are left out.
    """
    maps = net_counts(dataset, "maps")
    units = {} if dataset.counting is None else dataset.counting.units
    result = {e: one * units.get(e, 1.0) for e, one in zip(dataset.stacks["maps"], maps, strict=True)}
    for name, elements in dataset.stacks.items():
        if name != "maps" and name not in others.parts:
            ratio = factors(dataset, name, others)
            for element, image in zip(elements, net_counts(dataset, name), strict=True):
                result.setdefault(element, averaged(image, maps.shape[1:], mean=False) / ratio[element])
    return {element: result[element] for element in dataset.elements if element in result}


def smooth(images: Array, width: float) -> Array:
    """Images smoothed by a Gaussian."""
    from scipy.ndimage import gaussian_filter

    return np.stack([gaussian_filter(one, width, mode="nearest") for one in images])


def averaged(image: Array, pixels: tuple[int, ...], mean: bool = True) -> Array:
    """An image on other pixels of the same field: means, or sums for counts."""
    whole = (0.0, float(image.shape[0])), (0.0, float(image.shape[1]))
    return ScanMap(image.shape, (pixels[0], pixels[1]), whole, mean=mean).apply(image)


def rounded(value: float) -> float:
    """The number rounded to four digits."""
    return float(f"{value:.4g}")
