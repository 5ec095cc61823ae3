"""The noise that the data of a term have by themselves, whatever weight the term was given."""

from __future__ import annotations

from fusionkit.data.noise import noise_level
from fusionkit.operators.fidelity import Fidelity

_SMALLEST = 8  # pixels along an axis of an image whose noise can be seen


def seen_in_image(term: Fidelity) -> float | None:
    """The variance of white noise in the image of a least-squares term; None where it is no image or none is seen."""
    if term.noise != "normal" or term.data.ndim != 2 or min(term.data.shape) < _SMALLEST:
        return None
    return noise_level(term.data) ** 2 or None


def normal_variance(term: Fidelity) -> float:
    """The variance of the normal noise in the data of a term: as seen in an image, else what the weight stands for.

    The weight of an image may be less than 1 / s^2 because its model is not to be believed; its noise is not greater
    for that.
    """
    return seen_in_image(term) or 1.0 / term.weight
