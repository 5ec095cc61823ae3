r"""Standard deviations from the curvature at the solution: the inverse of the information plus a model of the penalty.

Total variation has no second derivative; its quadratic majorant at x has :math:`\nabla^\top W \nabla` with
:math:`W = \lambda / \|\nabla x\|` (lagged diffusivity). At a flat pixel that is infinite, as if flatness were certain;
a share of the variance of the gradient is therefore added, as the variational posterior adds all of it:

.. math:: W = \lambda \big/ \sqrt{\|\nabla x\|^2 + a \operatorname{tr} \operatorname{Cov}(\nabla x)}

which a few fixed-point iterations solve. The diagonal of the inverse is taken from a homogeneous medium with the
properties of the pixel: with the eigenvalues m_j and eigenvectors v_j of :math:`W^{-1/2} F W^{-1/2}`,

.. math:: \operatorname{Var}(x_i) = \frac{1}{W_i} \sum_j v_{ij}^2\, G(m_j), \qquad
          G(m) = \frac{2}{\pi (m + 4)} K\!\left(\frac{4}{m + 4}\right)

with G the lattice Green's function of m minus the Laplacian at its origin and K the complete elliptic integral. Like
the posterior variance of a Bayesian smoother it includes the squared bias, on average across a map (Wahba 1983).

Sources: G. Wahba, J. R. Stat. Soc. B 45, 133 (1983); C. R. Vogel, M. E. Oman, SIAM J. Sci. Comput. 17, 227 (1996);
S. D. Babacan, R. Molina, A. K. Katsaggelos, IEEE Trans. Image Process. 17, 326 (2008); E. N. Economou, Green's
Functions in Quantum Physics (2006), chapter 5.
"""

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ellipkm1

from fusionkit.terms import Array
from fusionkit.uncertainty.information import Information
from fusionkit.uncertainty.residuals import local_mean

# Share of the gradient's variance: with all of it the intervals of O in films and of S in the nanoparticle are twice
# too wide, since the gradient of the solution already contains noise; with none, those of flat maps are too narrow.
_SHARE = 0.12
_WIDTH = 3.0  # pixels over which the squared gradient is averaged, since maps are piecewise flat
_ITERATIONS = 4
_FIRST = 0.1  # initial variance of the gradient over that of the data
_SMALLEST = 1e-9  # eigenvalue of a direction without information
_BLOCK = 1 << 16  # pixels whose matrices are in memory at once


def standard_deviation(x: Array, data: Information, weights: Array) -> Array:
    """The standard deviation of each value, shape (n, ny, nx), float64.

    Parameters
    ----------
    x : the solution, (n, ny, nx).
    data : the information of the data.
    weights : lambda of the total variation of each element, (n,): all 0 or all > 0.
    """
    if not np.any(weights):
        return np.sqrt(_diagonal_of_inverse(data, x.shape))
    squared = _averaged(_squared_gradient(x))
    variance, of_gradient = np.empty(x.shape), _FIRST / np.maximum(data.diagonal, _SMALLEST)
    for _ in range(_ITERATIONS):
        stiffness = np.reshape(weights, (-1, 1, 1)) / np.sqrt(squared + _SHARE * _averaged(of_gradient))
        for rows in _blocks(x.shape):
            variance[:, rows], of_gradient[:, rows] = _in_medium(data.matrices(rows), stiffness[:, rows])
    return np.sqrt(local_mean(variance))


def green(m: Array) -> Array:
    """G(m), the diagonal of the inverse of m minus the Laplacian on the infinite square lattice, for m > 0."""
    # 1 - k^2 with the modulus k = 4 / (m + 4), without cancellation
    return 2.0 / (np.pi * (m + 4.0)) * ellipkm1(m * (m + 8.0) / (m + 4.0) ** 2)


def _in_medium(matrices: Array, stiffness: Array) -> tuple[Array, Array]:
    """Variance of each value and of its gradient, (n, rows, nx), in a medium of pixels like this one."""
    root = 1.0 / np.sqrt(np.moveaxis(stiffness, 0, -1))
    values, vectors = np.linalg.eigh(matrices * root[..., :, None] * root[..., None, :])
    np.maximum(values, _SMALLEST, out=values)
    level = green(values)
    shares = vectors**2 * (root**2)[..., :, None]
    # x'Lx = 1 - m x'x for the inverse of m + L, on average over its frequencies
    gradient = np.maximum(1.0 - values * level, 0.0)
    parts = (np.einsum("...ij,...j->...i", shares, each) for each in (level, gradient))
    variance, of_gradient = (np.moveaxis(part, -1, 0) for part in parts)
    return variance, of_gradient


def _diagonal_of_inverse(data: Information, shape: tuple[int, ...]) -> Array:
    result = np.empty(shape)
    for rows in _blocks(shape):
        result[:, rows] = np.moveaxis(np.einsum("...ii->...i", np.linalg.inv(data.matrices(rows))), -1, 0)
    return result


def _squared_gradient(x: Array) -> Array:
    values = np.asarray(x, np.float64)
    down = np.diff(values, axis=1, append=values[:, -1:])
    across = np.diff(values, axis=2, append=values[:, :, -1:])
    return down**2 + across**2


def _averaged(values: Array) -> Array:
    return gaussian_filter(values, (0.0, _WIDTH, _WIDTH))


def _blocks(shape: tuple[int, ...]) -> list[slice]:
    height = max(1, _BLOCK // shape[2])
    return [slice(first, first + height) for first in range(0, shape[1], height)]
