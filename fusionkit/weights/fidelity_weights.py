r"""Weights of fits to data from the noise: 1 / sigma^2 for an image, 1 or 1 / f for counts.

**An image.** The mask of second-order mixed differences removes everything linear along either axis and leaves noise of
6 times its standard deviation; the median absolute value is that of the noise while structure fills less than half of
the image:

.. math:: \sigma = \mathrm{median}\,|m * b| \,/\, (6 \cdot 0.6745), \qquad
          m = \begin{pmatrix} 1 & -2 & 1 \\ -2 & 4 & -2 \\ 1 & -2 & 1 \end{pmatrix}

The mean is not subtracted: that of the noise is zero, and so is that of the differences of a smooth image. Detail of
single pixels counts as noise. Sources: J. Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996); D. L. Donoho, I. M.
Johnstone, Biometrika 81, 425 (1994).

**Counts.** With counts c, data b = f c and their mean x = f mu, the likelihood is that of c:

.. math:: \sum_k \mu_k - c_k \log \mu_k = \frac1f \sum_k x_k - b_k \log x_k + \mathrm{const}

The factor f is the smallest step between values or, without one, the variance of the noise over the mean.
"""

import numpy as np

from fusionkit.data.counts.scale import is_counts, mean_variance, step_of
from fusionkit.data.missing import known
from fusionkit.data.noise import mixed_differences, noise_level
from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, rounded

SMALLEST = 8  # pixels along an axis
# Variance of this sigma over that of the standard deviation of independent values: 1 / 0.37 for the median, plus the
# sum of the squared correlations of neighbouring responses of the mask, (1 + 2 (4/6)^2 + 2 (1/6)^2)^2 - 1. The part
# 0.37 of the indicator |z| < median is of second order in z, and higher orders hardly correlate.
_INFLATION = 1.0 / 0.37 + 2.78


def weight_of_image(data: Array, index: int, term: str) -> ChosenWeight:
    """1 / sigma^2 with the noise in an image or stack, in the units of the term, and its range of two standard errors.

    `UserError` if it is no image, or has no visible noise.
    """
    key = f"terms[{index}].weight"
    if data.ndim not in (2, 3) or min(data.shape[-2:]) < SMALLEST:
        message = f"auto needs an image of {SMALLEST} x {SMALLEST} pixels or more, and the data have shape {data.shape}"
        raise UserError(key, message, "give a number: 1 / s^2 for noise of the standard deviation s")
    responses = known(mixed_differences(data)).size
    if responses < SMALLEST**2 // 2:
        message = f"auto estimates the noise from 3 x 3 measured pixels, and the mask leaves {responses} of these"
        raise UserError(key, message, "give a number: 1 / s^2 for noise of the standard deviation s")
    sigma = noise_level(data)
    if not sigma > 0.0:
        message = "auto finds no noise: at half of the pixels the image is constant or linear"
        raise UserError(key, message, "crop a constant border, or give a number: 1 / s^2")
    error = min(0.25, (_INFLATION / (2.0 * (data.size if np.isfinite(data).all() else responses))) ** 0.5)
    return ChosenWeight(
        index,
        term,
        rounded(sigma**-2),
        "image_noise",
        f"The weight of {term} is {sigma**-2:.4g}: 1/s² with the noise s = {sigma:.4g}, estimated from the image.",
        (rounded((sigma * (1.0 + 2.0 * error)) ** -2), rounded((sigma * (1.0 - 2.0 * error)) ** -2)),
        {"sigma": sigma, "relative_error_of_sigma": error},
    )


def weight_of_counts(
    data: Array, labels: tuple[str, ...], index: int, term: str, converted: bool = False
) -> ChosenWeight:
    """1 for counts, 1 / f for counts times f; with an f of its own for each map, the one that keeps the total counts.

    `UserError` if the data are all 0, or have neither a smallest step nor noise.

    Parameters
    ----------
    data : counts, scaled counts or fractions; (n, ny, nx) for maps, each with its own factor or none.
    labels : of the maps.
    index, term : of the term.
    converted : whether the loader converted the data to counts.
    """
    if converted or is_counts(data):
        note = f"The weight of {term} is 1, since its data are {'taken to ' * converted}counts."
        return ChosenWeight(index, term, 1.0, "count_scale", note, None, {"factor": 1.0})
    factors, errors, totals = _factors(data, labels, index)
    if not factors:
        raise UserError(f"terms[{index}].weight", "auto finds no counts: the data are all 0", "give other data")
    counts = sum(total / factors[name] for name, total in totals.items())
    weight = counts / sum(totals.values())
    low, high = min(factors.values()), max(factors.values())
    how = "as effective counts from their noise, one being" if errors else "counts times"
    note = f"The weight of {term} is {weight:.4g}, since its data are {how} {1 / weight:.4g}"
    if high > 1.01 * low:
        note += (
            f" on average ({low:.4g} to {high:.4g}, each map its own: data.maps_are makes them counts, which weigh "
            "every map right)"
        )
    facts = {"factor": 1 / weight, **{f"factor_{name}": factor for name, factor in factors.items()}}
    return ChosenWeight(index, term, rounded(weight), "count_scale", note + ".", _limits(weight, errors), facts)


def _factors(
    data: Array, labels: tuple[str, ...], index: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Factor, relative error (if from the noise) and sum of each map that is not empty."""
    parts = list(data) if data.ndim == 3 else [data]
    names = labels if len(labels) == len(parts) else tuple(str(place) for place in range(len(parts)))
    factors, errors, totals = dict[str, float](), dict[str, float](), dict[str, float]()
    for name, part in zip(names, parts, strict=True):
        if not np.any(known(part) != 0):
            continue
        factor = step_of(part)
        if factor is None:
            fit = mean_variance(part) if part.ndim == 2 and known(part).min() >= 0 else None
            if fit is None:
                message = "auto needs counts or what was made of them, and the data"
                message += f" of {name}" if len(parts) > 1 else ""
                remedy = "give maps of counts, or a number"
                raise UserError(f"terms[{index}].weight", f"{message} have neither a smallest step nor noise", remedy)
            factor, errors[name] = fit.factor, fit.error
        factors[name], totals[name] = factor, float(known(part).sum(dtype=np.float64))
    return factors, errors, totals


def _limits(weight: float, errors: dict[str, float]) -> tuple[float, float] | None:
    """A range of two standard errors, the largest of any map."""
    if not errors:
        return None
    error = 2.0 * max(errors.values())
    return rounded(weight / (1.0 + error)), rounded(weight * (1.0 + error))
