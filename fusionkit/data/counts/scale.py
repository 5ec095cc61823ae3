r"""The value f of one count in a map: the smallest step between rates, or an estimate from the noise.

Counts c with the mean mu have the variance mu. A map b = f c therefore has f times its mean as variance at every pixel.
The variance comes from the mixed second differences of 3 x 3 pixels, which remove everything linear along either axis,
the mean from the same pixels:

.. math:: f = \frac{\sum_k (m * b)_k^2 / 36}{\sum_k \bar b_k}, \qquad
          m = \begin{pmatrix} 1 & -2 & 1 \\ -2 & 4 & -2 \\ 1 & -2 & 1 \end{pmatrix}

A ratio of sums holds at a tenth of a count a pixel, where medians are zero. Pixels beyond three standard deviations are
edges and are left out, with a correction for the lost tails of the normal distribution. Source of the mask:
J. Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996).
"""

from dataclasses import dataclass

import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.missing import filled, known
from fusionkit.data.noise import BEYOND, INSIDE, MASK_NORM, mixed_differences

_ROUNDS = 30
_BINS = 12
_FEWEST = 64  # responses with a positive mean
# sum of the squared correlations of neighbouring responses of the mask over all distances, squares of normal variables
_INFLATION = 1.0 + 2.78


@dataclass(frozen=True)
class MeanVariance:
    """The relation of variance and mean in a map."""

    factor: float  # f, variance over mean: one count in the units of the map
    error: float  # relative standard error of f
    # p of variance ~ mean^p over bins of the mean: 1 for counts, 0 for noise that is the same everywhere; None if the
    # means differ too little
    exponent: float | None
    # means, variances: of the bins
    means: tuple[float, ...]
    variances: tuple[float, ...]


def mean_variance(image: Array) -> MeanVariance | None:
    """Relation of variance and mean of an image (ny, nx); None if there are too few pixels, no noise or no mean."""
    if min(image.shape) < 3:
        return None
    squares, means = _local(np.asarray(image, np.float64))
    use = means > 0.0  # not NaN either
    squares, means = squares[use], means[use]
    if squares.size < _FEWEST or not squares.sum() > 0.0:
        return None
    factor = float(squares.sum() / means.sum())
    for _ in range(_ROUNDS):
        former, factor = factor, _factor(squares, means, factor)
        if not factor > 0.0:  # only edges remain: there is no noise
            return None
        if abs(factor - former) <= 1e-6 * former:
            break
    kept = squares <= BEYOND**2 * factor * means
    error = float(np.sqrt(_INFLATION * np.var(squares[kept] - factor * means[kept]) * kept.sum()) / squares[kept].sum())
    bins = _bins(squares[kept], means[kept])
    return MeanVariance(factor, error, _exponent(*bins), tuple(bins[0].tolist()), tuple(bins[1].tolist()))


def _local(b: Array) -> tuple[Array, Array]:
    """Squared responses of the mask over its squared norm, and the means of the same pixels."""
    mixed = mixed_differences(b) / MASK_NORM
    sums = b[:-2] + b[1:-1] + b[2:]
    return (mixed * mixed).ravel(), ((sums[:, :-2] + sums[:, 1:-1] + sums[:, 2:]) / 9.0).ravel()


def _factor(squares: Array, means: Array, factor: float) -> float:
    """The ratio of sums over the pixels within three standard deviations of ``factor``."""
    kept = squares <= BEYOND**2 * factor * means
    return float(squares[kept].sum() / means[kept].sum() / INSIDE)


def _bins(squares: Array, means: Array) -> tuple[Array, Array]:
    """Means and mean squares in bins with about as many pixels each, in the order of the mean."""
    parts = np.array_split(np.argsort(means, kind="stable"), _BINS)
    return np.array([means[p].mean() for p in parts]), np.array([squares[p].mean() for p in parts])


def _exponent(means: Array, variances: Array) -> float | None:
    use = (means > 0.0) & (variances > 0.0)
    if use.sum() < 3 or means[use].max() < 2.0 * means[use].min():
        return None
    return float(np.polyfit(np.log(means[use]), np.log(variances[use]), 1)[0])


# correlation of neighbouring second differences: white noise -2/3, on phantoms -0.61 to -0.70; smoothed by a Gaussian
# of half a pixel -0.57, of 0.7 pixels -0.28
_SHARED = -0.5


def shares_noise(image: Array) -> bool:
    """Whether pixels of a map (ny, nx) share their noise, as after smoothing; False for small maps."""
    if min(image.shape) < 16:
        return False
    mixed = mixed_differences(filled(image))
    energy = float(np.mean(mixed * mixed))
    across, down = float(np.mean(mixed[:, 1:] * mixed[:, :-1])), float(np.mean(mixed[1:] * mixed[:-1]))
    return energy > 0.0 and (across + down) / (2.0 * energy) > _SHARED


_LEAST_VARIANCE = 0.5  # of that of counts; a mean over 2 x 2 pixels leaves 0.03, a Gaussian of half a pixel 0.18
_SURE = 4.0  # standard errors


def is_smoothed(counts: Array) -> bool:
    """Whether the values of a map of counts (ny, nx) vary less than counts do: structure can only add to that."""
    if min(counts.shape) < 3:
        return False
    squares, means = _local(np.asarray(counts, np.float64))
    use = np.isfinite(squares)
    total = float(means[use].sum())
    if not total > 0.0:
        return False
    error = np.sqrt(2.0 * _INFLATION / np.count_nonzero(use) + 1.0 / total)
    return float(squares[use].sum()) < min(_LEAST_VARIANCE, 1.0 - _SURE * error) * total


_SAME = 1e-6  # of the greatest value: closer values differ by rounding
_SAMPLE = 65_536
_OFF = 0.05  # of a step: the greatest distance of a value from a whole number of steps


def is_counts(data: Array) -> bool:
    """Whether one map at least holds counts: whole numbers >= 0, not all multiples of one number as rates can be."""
    values = known(data)
    if not (np.all(values >= 0) and np.all(values == np.rint(values))):
        return False
    parts = [known(one) for one in (data if data.ndim == 3 else [data])]
    steps = [step_of(sample(one)) for one in parts if one.any()]
    return not steps or any(step is None or step < 1.5 for step in steps)


def sample(image: Array) -> Array:
    """Some of the values of an image: sorting all of them to find their step would slow the start of a run."""
    flat = image.ravel()
    some = flat[:: max(1, flat.size // _SAMPLE)]
    return some if some.any() else flat[np.flatnonzero(flat)[:_SAMPLE]]


def step_of(data: Array) -> float | None:
    """The factor between counts and these values >= 0; None if there is none.

    A subtracted offset (``minmax`` on a map whose least count is not 0) keeps the steps and is not detected.
    """
    values = np.unique(known(np.asarray(data, np.float64)))
    if not values.size:
        return None
    largest = float(values[-1])
    if not largest > 0.0 or values[0] < 0.0:
        return None
    steps = np.diff(values, prepend=0.0)
    keep = steps > _SAME * largest
    if not keep.any():  # too many values too close together: a step cannot be distinguished from rounding
        return None
    values, steps = values[keep], steps[keep]
    # the shortest step has few digits: refine it by counting steps up to the greatest value
    counts = np.cumsum(np.rint(steps / steps.min()))
    step = float(values[-1] / counts[-1])
    return step if float(np.abs(values - counts * step).max()) <= _OFF * step else None
