"""Each penalty on an edge in one modality only.

Two elements, Co and O, 96 x 96 pixels, on average 20 counts each. A disc stands out

* in the image only (``unmapped``): the maps are constant, and the image is brighter inside the disc, as by an element
  without a map. The fit to the image alone pulls the maps, so the penalty is also tested without that term. Constant
  maps get automatic weights of hundreds, so it is also tested at a weight of 1, typical of other specimens;
* in the chemistry only (``blind``): inside the disc O replaces Co such that the image does not change;
* in both, but the disc of the chemistry is moved by some pixels (``shifted``). The image is not fitted, so that only
  the guide acts.

The contrast of a map is its mean inside the disc minus that outside, without a margin of 3 pixels on both sides, over
the mean of its truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from benchmarks.accuracy.metrics import errors
from benchmarks.guided.solving import GAMMA, PENALTIES, automatic
from fusionkit.data.dataset import Dataset
from fusionkit.terms import Array

Mask = npt.NDArray[np.bool_]
SIZE, RADIUS, COUNTS, NOISE, SHIFT = 96, 24.0, 20.0, 0.02, 4.0
ELEMENTS, Z = ("Co", "O"), np.array([27.0, 8.0])
METHODS = ("tv", "vectorial_tv", "tgv, joint", "directional_tv", "structure_tensor_tv")
# name, whether the image is fitted, and the weight of the penalty; None: chosen from the data
CASES: tuple[tuple[str, bool, float | None], ...] = (
    ("unmapped", True, None),
    ("unmapped", True, 1.0),
    ("unmapped", False, 1.0),
    ("blind", True, None),
    ("shifted", False, None),
)
_MARGIN = 3.0


@dataclass(frozen=True)
class Misled:
    """One case by one method.

    Parameters
    ----------
    case, method : names.
    image : whether the image was fitted.
    weight : of the penalty; None if it was chosen from the data.
    contrast, true_contrast : of each element.
    nrmse : of each element.
    x : the maps.
    """

    case: str
    method: str
    image: bool
    weight: float | None
    contrast: tuple[float, ...]
    true_contrast: tuple[float, ...]
    nrmse: tuple[float, ...]
    x: Array


def disc(shift: float = 0.0) -> Mask:
    """True inside the disc, shape (SIZE, SIZE); moved along x by ``shift`` pixels."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    return np.hypot(y, x - shift) < RADIUS


def recording(case: str, seed: int = 0) -> Dataset:
    """Counts, image and truth of a case."""
    truth = np.full((2, SIZE, SIZE), COUNTS)
    scale = (Z / Z.mean())[:, None, None]
    if case != "unmapped":
        inside = disc(SHIFT if case == "shifted" else 0.0)
        truth[0, inside] = 0.9 * COUNTS
        # the O that keeps the sum of powers
        power = (scale[:, 0, 0] * COUNTS) ** GAMMA
        truth[1, inside] = (power.sum() - 0.9**GAMMA * power[0]) ** (1 / GAMMA) / scale[1, 0, 0]
    image = np.sum((scale * truth) ** GAMMA, axis=0)
    if case != "blind":
        image = np.where(disc(), 1.3, 1.0) * image[0, 0]
    random = np.random.default_rng(seed)
    image = image + NOISE * image.max() * random.standard_normal(image.shape)
    return Dataset({"haadf": image, "maps": random.poisson(truth).astype(float)}, ELEMENTS, truth=truth)


def contrast(x: Array, truth: Array, inside: Mask) -> tuple[float, ...]:
    """Mean inside minus mean outside of each map, over the mean of its truth."""
    deep = np.asarray(distance_transform_edt(inside)) > _MARGIN
    far = np.asarray(distance_transform_edt(~inside)) > _MARGIN
    return tuple(float((one[deep].mean() - one[far].mean()) / true.mean()) for one, true in zip(x, truth, strict=True))


def study(case: str, method: str, image: bool, weight: float | None) -> Misled:
    """One case by one method."""
    dataset = recording(case)
    truth = dataset.truth
    assert truth is not None
    x = automatic(dataset, PENALTIES[method], image, weight).x
    inside = disc(SHIFT if case == "shifted" else 0.0)
    return Misled(
        case,
        method,
        image,
        weight,
        contrast(x, truth, inside),
        contrast(truth, truth, inside),
        tuple(errors(x, truth)),
        np.asarray(x, np.float64),
    )


def studies() -> list[Misled]:
    """Every case by every method."""
    return [study(case, method, image, weight) for case, image, weight in CASES for method in METHODS]
