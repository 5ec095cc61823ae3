r"""The weight of a least-squares term: 1 / sigma^2, with the noise estimated from the image alone.

The mask of second-order mixed differences removes what is linear along either axis and leaves noise of 6 times its
standard deviation; the median absolute value is that of the noise as long as structure fills less than half the image:

.. math:: \sigma = \mathrm{median}\,|m * b| \,/\, (6 \cdot 0.6745), \qquad
          m = \begin{pmatrix} 1 & -2 & 1 \\ -2 & 4 & -2 \\ 1 & -2 & 1 \end{pmatrix}

The mean is not taken off: that of the noise is zero, and so is that of the differences of a smooth image. Detail of
single pixels counts as noise. Sources: J. Immerkaer, Comput. Vis. Image Underst. 64, 300 (1996); D. L. Donoho, I. M.
Johnstone, Biometrika 81, 425 (1994).
"""

from __future__ import annotations

from fusionkit.data.noise import noise_level
from fusionkit.errors import UserError
from fusionkit.terms import Array
from fusionkit.weights.chosen import ChosenWeight, rounded

_SMALLEST = 8  # pixels along an axis
# Variance of this sigma over that of the standard deviation of independent values: 1 / 0.37 for the median, and the sum
# of the squared correlations of neighbouring responses of the mask, (1 + 2 (4/6)^2 + 2 (1/6)^2)^2 - 1; of the indicator
# |z| < median, the part 0.37 is of second order in z, and what is of higher order hardly correlates.
_INFLATION = 1.0 / 0.37 + 2.78


def weight_of_image(data: Array, index: int, term: str) -> ChosenWeight:
    """1 / sigma^2 of the noise in ``data``, with two standard errors of it.

    Parameters
    ----------
    data : the image as the term sees it, (ny, nx) or (n, ny, nx).
    index, term : of the term.

    Raises
    ------
    UserError : it is no image, or no noise is seen in it.
    """
    key = f"terms[{index}].weight"
    if data.ndim not in (2, 3) or min(data.shape[-2:]) < _SMALLEST:
        said = f"auto needs an image of {_SMALLEST} x {_SMALLEST} pixels or more, and the data have shape {data.shape}"
        raise UserError(key, said, "give a number: 1 / s^2 for noise of the standard deviation s")
    sigma = noise_level(data)
    if not sigma > 0.0:
        said = "auto finds no noise: at half of the pixels the image is constant or linear"
        raise UserError(key, said, "crop a constant border, or give a number: 1 / s^2")
    error = min(0.25, (_INFLATION / (2.0 * data.size)) ** 0.5)
    return ChosenWeight(
        index,
        term,
        rounded(sigma**-2),
        "image_noise",
        f"The weight of {term} is {sigma**-2:.4g}: 1/s² with the noise s = {sigma:.4g}, estimated from the image.",
        (rounded((sigma * (1.0 + 2.0 * error)) ** -2), rounded((sigma * (1.0 - 2.0 * error)) ** -2)),
        {"sigma": sigma, "relative_error_of_sigma": error},
    )
