r"""Errors of maps against the ground truth, nothing rescaled.

.. math::
    \mathrm{NRMSE} = \frac{\|x - t\|}{\|t\|}, \qquad
    \mathrm{PSNR} = 10 \log_{10} \frac{(\max t - \min t)^2}{\mathrm{mean}\,(x - t)^2}

SSIM: Wang et al., IEEE Trans. Image Process. 13, 600 (2004), as scikit-image has it, the mean over the maps.
"""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from fusionkit.terms import Array

_WINDOW = 7  # pixels along an edge, scikit-image's choice


def nrmse(x: Array, truth: Array) -> float:
    """Root mean square error over the root mean square of the truth; NaN where the truth is zero."""
    size = float(np.linalg.norm(np.asarray(truth, np.float64)))
    return float(np.linalg.norm(np.asarray(x, np.float64) - truth)) / size if size else float("nan")


def psnr(x: Array, truth: Array) -> float:
    """Peak signal to noise ratio in dB, the peak being the range of the truth; NaN where that is constant."""
    peak = float(np.ptp(truth))
    error = float(np.mean((np.asarray(x, np.float64) - truth) ** 2))
    if not peak:
        return float("nan")
    return 10.0 * float(np.log10(peak**2 / error)) if error else float("inf")


def ssim(x: Array, truth: Array) -> float:
    """Mean structural similarity of the maps (n, ny, nx); NaN for maps that are constant or too small, or not finite.

    Raises
    ------
    ModuleNotFoundError : scikit-image is not installed; `has_ssim` says so beforehand.
    """
    from skimage.metrics import structural_similarity

    if min(x.shape[-2:]) < _WINDOW or not np.isfinite(x).all():
        return float("nan")
    values = [
        structural_similarity(known, np.asarray(one, np.float64), data_range=float(np.ptp(known)))
        for one, known in zip(x, np.asarray(truth, np.float64), strict=True)
        if np.ptp(known) > 0.0
    ]
    return float(np.mean(values)) if values else float("nan")


def has_ssim() -> bool:
    """Whether scikit-image is installed."""
    return find_spec("skimage") is not None
