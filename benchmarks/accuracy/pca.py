r"""PCA of a spectrum image, weighted for Poisson noise, a common way to denoise maps.

The spectrum image is made from the recorded maps: a Gaussian line spreads the counts of an element over its window, so
that the sums over the windows are the maps that all methods get; between the windows lies some bremsstrahlung. The
data matrix (pixels, channels) is divided by :math:`\sqrt{g_i h_j}`, with g and h its sums over channels and pixels,
decomposed, truncated after k components, multiplied back, and summed over the windows. Source: M. R. Keenan, P. G.
Kotula, Surf. Interface Anal. 36, 203 (2004); HyperSpy calls it ``normalize_poissonian_noise``.

k is the number with the lowest error, up to two more than elements.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.accuracy.metrics import mean_nrmse
from benchmarks.accuracy.specimens import Case
from fusionkit.terms import Array

_WINDOW, _GAP, _WIDTH = 12, 8, 2.5  # channels of a window, between windows, and the standard deviation of a line
_BREMSSTRAHLUNG = 0.3  # counts between the windows over counts inside


def windows(number: int) -> list[slice]:
    """The channels of each element's window."""
    step = _WINDOW + _GAP
    return [slice(_GAP + index * step, _GAP + index * step + _WINDOW) for index in range(number)]


def spectrum_image(case: Case, seed: int = 0) -> Array:
    """Counts of shape (pixels, channels) whose sums over the windows are the recorded maps."""
    maps, truth = case.dataset.arrays["maps"], case.dataset.truth
    assert truth is not None
    random = np.random.default_rng([seed, 2])
    offsets = np.arange(_WINDOW) - (_WINDOW - 1) / 2
    line = np.exp(-0.5 * (offsets / _WIDTH) ** 2)
    places = windows(len(maps))
    found = np.zeros((maps[0].size, places[-1].stop + _GAP))
    between = np.ones(found.shape[1], dtype=bool)
    for one, place in zip(maps, places, strict=True):
        found[:, place] = random.multinomial(np.rint(one).astype(np.int64).ravel(), line / line.sum())
        between[place] = False
    mass = truth.sum(axis=0).ravel() * _BREMSSTRAHLUNG / int(between.sum())
    found[:, between] = random.poisson(np.repeat(mass[:, None], int(between.sum()), axis=1))
    return found


def decomposed(spectra: Array) -> tuple[Array, Array, Array]:
    """Weighted data, weights of each value, and the loadings (channels, channels), strongest first."""
    weights = np.sqrt(np.outer(spectra.sum(axis=1), spectra.sum(axis=0)))
    scaled = np.divide(spectra, weights, out=np.zeros(spectra.shape), where=weights > 0.0)
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    return scaled, weights, vectors[:, ::-1]


def denoised(parts: tuple[Array, Array, Array], components: int) -> Array:
    """The spectra with only the strongest components."""
    scaled, weights, vectors = parts
    kept = vectors[:, :components]
    return (scaled @ kept) @ kept.T * weights


def pca(case: Case) -> tuple[Array, dict[str, Any]]:
    """Maps from the number of components with the lowest error."""
    maps, truth = case.dataset.arrays["maps"], case.dataset.truth
    assert truth is not None
    parts = decomposed(spectrum_image(case))
    tried: dict[int, Array] = {}
    for components in range(1, len(maps) + 3):
        spectra = denoised(parts, components)
        tried[components] = np.stack([spectra[:, p].sum(axis=1).reshape(maps[0].shape) for p in windows(len(maps))])
    errors = {components: mean_nrmse(x, truth) for components, x in tried.items()}
    chosen = min(errors, key=errors.__getitem__)
    return tried[chosen], {"components": chosen, "errors": [errors[k] for k in sorted(errors)]}
