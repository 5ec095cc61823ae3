r"""Errors of maps against the ground truth, without rescaling.

.. math::
    \mathrm{NRMSE} = \frac{\|x - t\|}{\|t\|}, \qquad
    \mathrm{PSNR} = 10 \log_{10} \frac{(\max t - \min t)^2}{\mathrm{mean}\,(x - t)^2}

SSIM: Wang et al., IEEE Trans. Image Process. 13, 600 (2004), as implemented by scikit-image, averaged over the maps.
"""

from importlib.util import find_spec

import numpy as np

from fusionkit.terms import Array

_WINDOW = 7  # pixels along an edge, the default of scikit-image


def nrmse(x: Array, truth: Array) -> float:
    """Root mean square error over the root mean square of the truth; NaN if the truth is zero."""
    size = float(np.linalg.norm(np.asarray(truth, np.float64)))
    return float(np.linalg.norm(np.asarray(x, np.float64) - truth)) / size if size else float("nan")


def psnr(x: Array, truth: Array) -> float:
    """Peak signal to noise ratio in dB with the range of the truth as the peak; NaN if the truth is constant."""
    peak = float(np.ptp(truth))
    error = float(np.mean((np.asarray(x, np.float64) - truth) ** 2))
    if not peak:
        return float("nan")
    return 10.0 * float(np.log10(peak**2 / error)) if error else float("inf")


def ssim(x: Array, truth: Array) -> float:
    """Mean structural similarity of the maps (n, ny, nx); NaN if they are too small, not finite or all constant.

    `ModuleNotFoundError` if scikit-image is not installed, which `has_ssim` tests.
    """
    from skimage.metrics import structural_similarity

    if min(x.shape[-2:]) < _WINDOW or not np.isfinite(x).all():
        return float("nan")
    values = [
        structural_similarity(true, np.asarray(fused, np.float64), data_range=float(np.ptp(true)))
        for fused, true in zip(x, np.asarray(truth, np.float64), strict=True)
        if np.ptp(true) > 0.0
    ]
    return float(np.mean(values)) if values else float("nan")


def has_ssim() -> bool:
    """Whether scikit-image is installed."""
    return find_spec("skimage") is not None
