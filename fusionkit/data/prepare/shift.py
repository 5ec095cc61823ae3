r"""The shift between two images of one specimen, and whether it is credible.

The shift is where the cross-correlation of the two is greatest. Three things make it accurate to a tenth of a pixel:
a window that falls off at the borders, since the correlation is periodic and the images are not; repeated measurement
after each shift, since the window does not move with the specimen and only a remaining shift of 0 is unbiased; and
scikit-image's upsampled transform, to a fiftieth of a pixel.

A correlation always has a maximum, even that of noise. A shift is credible if the correlation exceeds chance. Chance
depends on the images, since smooth ones correlate often, so it is measured with surrogates of the moving image: its
spectrum with random phases. Their greatest correlations within the search, as Fisher's z = artanh r, follow an extreme
value distribution with a mean m and a standard deviation s; independent images rarely exceed m + 6 s (1 of 550 pairs of
unrelated noise and textures did, with m and s from 24 surrogates). Slow variations of the images are removed for this
test: they dominate the correlation and contain little about the shift.

Source: M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33, 156 (2008); J. Theiler et al., Physica D 58,
77 (1992) for surrogates.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from fusionkit.arrays import Array
from fusionkit.data.missing import filled
from fusionkit.errors import UserError

_SURROGATES = 24
_CHANCE = 6.0  # standard deviations above the mean of the surrogates
_TAPER = 0.3  # of each axis, over which the window falls off
_SLOW = 8.0  # pixels: standard deviation of the Gaussian whose smoothed image is removed for the test
_RIVAL = 0.9  # of the greatest correlation: another place above this fits nearly as well
_FRACTION = 50  # resolution: parts of a pixel
_ROUNDS = 12
_NEARLY_ONE = 1 - 1e-12  # rounding
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Shift:
    """The shift of one image onto another."""

    # rows, columns: in pixels; positive ones move the moving image towards larger indices
    rows: float
    columns: float
    correlation: float  # of the two images after the shift, slow variations removed
    by_chance: float  # the greatest correlation that is refused as chance

    def __str__(self) -> str:
        text = f"({self.rows:.2f}, {self.columns:.2f}) pixels"
        return f"{text} (correlation {self.correlation:.2f}; up to {self.by_chance:.2f} may be chance)"


def measure(moving: Array, reference: Array, largest: float | None, where: str, what: str) -> Shift:
    """The shift of ``moving`` onto ``reference``, of the same shape (ny, nx).

    `UserError` if an image is constant, scikit-image is missing, or the shift is not credible.

    Parameters
    ----------
    moving, reference : images in units in which their noise is about uniform; not changed.
    largest : greatest shift in pixels along an axis; None for a quarter of each.
    where : config key of the step.
    what : the moving image, for messages.
    """
    correlate = _phase_cross_correlation(where)
    window = _window(reference.shape)
    for image, name in ((moving, what), (reference, "the reference")):
        if not _energy(_without_slow(image, window)) > 0:
            raise UserError(where, f"{name} has no features to register", "remove the step")
    first = _whole_shift(_without_slow(moving, window), _without_slow(reference, window), largest, where, what)
    target, offset = _centred(reference, window), np.array(first, dtype=float)
    for _ in range(_ROUNDS):
        moved = _centred(shifted(moving, offset), window)
        rest = np.asarray(correlate(target, moved, upsample_factor=_FRACTION, normalization=None)[0], dtype=float)
        offset = offset + rest
        if np.abs(offset - first).max() > 2 + _SLOW / 2:
            remedy = "crop to a part with distinct features"
            raise UserError(where, f"the shift of {what} is not determined: the images repeat themselves", remedy)
        if np.abs(rest).max() <= 1 / _FRACTION:
            break
    search = _search(reference.shape, largest)
    reached, chance = _evidence(
        _without_slow(shifted(moving, offset), window), _without_slow(reference, window), search
    )
    if reached <= chance:
        problem = (
            f"the shift of {what} is not credible: correlation {reached:.2f}, and up to {chance:.2f} may be chance"
        )
        raise UserError(where, problem, "sum frames, bin pixels, or remove the step")
    return Shift(float(offset[0]), float(offset[1]), reached, chance)


def shifted(image: Array, by: Array, order: int = 3) -> Array:
    """The image moved by ``by`` pixels with splines; its border values continue outside.

    A pixel to which one that was not measured (NaN) contributes by linear interpolation is NaN.
    """
    moved = ndimage.shift(filled(image), by, order=order, mode="nearest")
    missing = np.isnan(image)
    if missing.any():
        part = ndimage.shift(missing.astype(np.float64), by, order=min(order, 1), mode="nearest")
        moved[part > _ROUNDING] = np.nan
    return moved


def _window(shape: tuple[int, ...]) -> Array:
    """One inside, falling to 0 at the borders as a cosine (Tukey's window; scipy.signal is slow to import)."""
    edges = [np.minimum(1.0, 2.0 * np.minimum(u, 1.0 - u) / _TAPER) for u in (np.linspace(0.0, 1.0, n) for n in shape)]
    rows, columns = (0.5 - 0.5 * np.cos(np.pi * edge) for edge in edges)
    return rows[:, None] * columns


def _phase_cross_correlation(where: str) -> Any:
    try:
        from skimage.registration import phase_cross_correlation  # slow to import
    except ImportError:
        raise UserError(where, "needs scikit-image", "pip install scikit-image") from None
    return phase_cross_correlation


def _centred(image: Array, window: Array) -> Array:
    return (image - (image * window).sum() / window.sum()) * window


def _without_slow(image: Array, window: Array) -> Array:
    """The windowed image without slow variations."""
    return _centred(image - ndimage.gaussian_filter(image, min(_SLOW, min(image.shape) / 8), mode="nearest"), window)


def _energy(image: Array) -> float:
    """Sum of squares; 0 if there is only rounding."""
    return 0.0 if np.ptp(image) <= 1e-12 * np.abs(image).max(initial=0.0) else float((image * image).sum())


def _surface(moving: Array, reference: Array) -> Array:
    """Correlation coefficient at every whole shift, the shift 0 in the middle."""
    product = np.fft.rfft2(reference) * np.conj(np.fft.rfft2(moving))
    surface = np.fft.irfft2(product, reference.shape)
    return np.fft.fftshift(surface) / np.sqrt(_energy(moving) * _energy(reference))


def _search(shape: tuple[int, ...], largest: float | None) -> list[int]:
    """The greatest whole shift along each axis that is considered."""
    return [max(1, int(length / 4 if largest is None else min(largest, length // 2 - 1))) for length in shape]


def _central(shape: tuple[int, ...], reach: list[int]) -> tuple[slice, ...]:
    """The part of a `_surface` up to the shifts ``reach``."""
    return tuple(slice(length // 2 - one, length // 2 + one + 1) for length, one in zip(shape, reach, strict=True))


def _whole_shift(moving: Array, reference: Array, largest: float | None, where: str, what: str) -> tuple[int, int]:
    """The whole shift with the greatest correlation; refused at the border of the search, or with a rival."""
    reach = _search(reference.shape, largest)
    surface = _surface(moving, reference)[_central(reference.shape, reach)]
    place = np.unravel_index(int(np.argmax(surface)), surface.shape)
    best = int(place[0]) - reach[0], int(place[1]) - reach[1]
    if any(abs(one) == limit for one, limit in zip(best, reach, strict=True)):
        problem = f"the shift of {what} is not credible: the best is {best}, at the border of the search"
        raise UserError(where, problem, f"raise 'largest' ({max(reach)} pixels) if the images are so far apart")
    rivals = np.empty(surface.shape, np.int32)
    if ndimage.label(surface > _RIVAL * surface[place], output=rivals) != 1:
        rival = np.argmax(np.where((rivals > 0) & (rivals != rivals[place]), surface, -np.inf))
        other = np.unravel_index(int(rival), surface.shape)
        second = int(other[0]) - reach[0], int(other[1]) - reach[1]
        problem = f"the shift of {what} is not determined: {best} and {second} fit nearly as well"
        raise UserError(where, problem, "lower 'largest', or crop to a part with distinct features")
    return best


def _evidence(moving: Array, reference: Array, reach: list[int]) -> tuple[float, float]:
    """The correlation at the shift 0 and its neighbours, and the greatest one by chance."""
    rng = np.random.default_rng(0)  # every run gives the same verdict
    spectrum, part = np.abs(np.fft.rfft2(moving)), _central(reference.shape, reach)
    peaks = []
    for _ in range(_SURROGATES):
        phases = np.fft.rfft2(rng.standard_normal(moving.shape))
        surrogate = np.fft.irfft2(spectrum * phases / np.maximum(np.abs(phases), 1e-300), moving.shape)
        peaks.append(float(_surface(surrogate, reference)[part].max()))
    levels = np.arctanh(np.minimum(peaks, _NEARLY_ONE))
    chance = float(np.tanh(levels.mean() + _CHANCE * levels.std(ddof=1)))
    return float(_surface(moving, reference)[_central(reference.shape, [1, 1])].max()), chance


def coarse(moving: Array, reference: Array) -> Shift | None:
    """As `measure`, by the correlation and a parabola through its greatest value, to a few tenths of a pixel.

    Without scikit-image and iterations: enough to detect a shift, but not to register images.

    Returns
    -------
    None if the shift is not credible, or not determined.
    """
    window = _window(reference.shape)
    pair = _without_slow(moving, window), _without_slow(reference, window)
    if not all(_energy(one) > 0 for one in pair):
        return None
    try:
        whole = _whole_shift(*pair, None, "", "the image")
    except UserError:  # at the border, or with a rival
        return None
    aligned = shifted(pair[0], np.array(whole, float), order=0)
    reached, chance = _evidence(aligned, pair[1], _search(reference.shape, None))
    if reached <= chance:
        return None
    middle = [length // 2 + one for length, one in zip(reference.shape, whole, strict=True)]
    near = _surface(*pair)[middle[0] - 1 : middle[0] + 2, middle[1] - 1 : middle[1] + 2]
    by = [one + _top(line) for one, line in zip(whole, (near[:, 1], near[1]), strict=True)]
    return Shift(by[0], by[1], reached, chance)


def _top(line: Array) -> float:
    """Where the parabola through three values at -1, 0 and 1 has its top."""
    bend = 2.0 * line[1] - line[0] - line[2]
    return float((line[2] - line[0]) / (2.0 * bend)) if bend > 0 else 0.0
