"""Checks of one input array; a failure is a `UserError` that names the config key, the array and the file."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.errors import UserError

FloatArray = npt.NDArray[np.float64]
_LEAST = 1e-150
_OUT = "out with data.mask: nan"


@dataclass(frozen=True)
class Origin:
    """Where an array comes from."""

    key: str  # config key that names it (``data.maps.Co``)
    name: str  # its name in the source
    source: str  # the file, or the phantom

    def error(self, problem: str, remedy: str = "") -> UserError:
        """The error at the config key, about this array."""
        return UserError(self.key, f"array '{self.name}' of {self.source} {problem}", remedy)


def to_float(values: npt.NDArray[Any], origin: Origin, masked: bool = False) -> FloatArray:
    """A float64 copy of real numbers of any type, in C order and native byte order; errors name their ``origin``.

    Where ``masked``, NaN and masked values, which become NaN, mark what was not measured. `UserError` if the array is
    empty, complex, not numeric, or holds NaN, infinite or masked values.
    """
    hidden = int(np.count_nonzero(getattr(values, "mask", False)))  # a NumPy masked array
    if hidden and not masked:
        raise origin.error(f"has {hidden} masked values", f"leave them {_OUT}")
    if values.dtype.kind == "c":
        raise origin.error(f"is complex ({values.dtype})", "save its modulus or real part")
    if values.dtype.kind not in "biuf":
        raise origin.error(f"is not numeric (dtype {values.dtype})", "name an array of numbers")
    if values.size == 0:
        raise origin.error(f"is empty, shape {values.shape}", "name one that holds values")
    # a long double beyond the range becomes infinite, and a signalling NaN quiet: both are reported below
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.array(values, dtype=np.float64, order="C")
    if hidden:
        result[np.ma.getmaskarray(values)] = np.nan
    check_finite(result, origin, masked)
    return result


def stacked(images: Iterable[FloatArray], count: int) -> FloatArray:
    """``count`` images of one shape as one array, filled one at a time to save memory."""
    result = np.empty(0)
    for index, image in enumerate(images):
        if index == 0:
            result = np.empty((count, *image.shape))
        result[index] = image
    return result


def check_finite(values: FloatArray, origin: Origin, masked: bool = False) -> None:
    """Refuse infinite values and, unless ``masked``, NaN; the message has their number and the index of the first."""
    infinite = np.isinf(values)
    bad = infinite if masked else ~np.isfinite(values)
    if not bad.any():
        return
    counts = {"infinite": int(infinite.sum()), "NaN": int((bad & ~infinite).sum())}
    what = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    first = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
    remedies = ["replace infinite values by NaN"] * bool(counts["infinite"]) + [f"leave NaN {_OUT}"] * (not masked)
    problem = f"has {what} value{'s' * (sum(counts.values()) != 1)}, the first at index {first}"
    raise origin.error(problem, " and ".join(remedies))


def check_counts(maps: npt.NDArray[Any] | None, where: str, what: str, remedy: str) -> None:
    """Refuse maps that are 0 everywhere; a single empty one may be that of an absent element."""
    if maps is not None and maps.size and not np.any(maps):
        raise UserError(where, f"{what} no counts: the maps are 0 everywhere", remedy)


def check_scale(values: npt.NDArray[Any], origin: Origin) -> None:
    """Refuse an array whose largest values have squares beyond float64."""
    most = max(float(np.fmax.reduce(values, None, initial=0.0)), -float(np.fmin.reduce(values, None, initial=0.0)))
    if most and not _LEAST < most < 1.0 / _LEAST:
        raise origin.error(f"holds values up to {most:.3g}, whose squares float64 cannot hold", "rescale it")


def check_image(shape: tuple[int, ...], origin: Origin) -> None:
    """Refuse an array that is not 2-D or has a single pixel; a line scan is an image of one row or column."""
    if len(shape) != 2:
        raise origin.error(f"is not 2-D: its shape is {shape}", "name a single image")
    if 0 in shape:
        raise origin.error(f"is empty, shape {shape}", "name one that holds values")
    if shape == (1, 1):
        raise origin.error("has a single pixel", "an image needs two or more")


def check_same_shape(shape: tuple[int, ...], origin: Origin, first: tuple[int, ...], first_name: str) -> None:
    """Refuse an image whose shape differs from that of the first one."""
    if shape != first:
        raise origin.error(f"has shape {shape}, but '{first_name}' has {first}", "bin or crop them to one shape")
