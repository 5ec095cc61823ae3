"""Images in which NaN marks pixels that were not measured: smoothed and filled from the others."""

import numpy as np

from fusionkit.arrays import Array

_WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # pixels, of the Gaussians that fill gaps, narrow ones first
_ENOUGH = 1e-2  # of a pixel, within the Gaussian
_SPARSE = 0.5  # share of values that were not measured


def filled(images: Array) -> Array:
    """The images (..., ny, nx) with a local mean of measured pixels in place of NaN; without NaN they are themselves.

    The mean is that of a Gaussian just wide enough; where even the widest has no pixel it is that of the image.
    """
    missing = np.isnan(images)
    if not missing.any():
        return images
    from scipy.ndimage import gaussian_filter

    result = np.array(images)
    for place in np.ndindex(images.shape[:-2]):
        one, hole = result[place], missing[place].copy()
        known, values = np.where(hole, 0.0, 1.0), np.where(hole, 0.0, one)
        for width in _WIDTHS:
            if not hole.any():
                break
            near = gaussian_filter(known, width, mode="nearest")
            new = hole & (near > _ENOUGH)
            one[new] = (gaussian_filter(values, width, mode="nearest")[new] / near[new]).astype(one.dtype)
            hole &= ~new
        one[hole] = values.sum() / max(known.sum(), 1.0)
    return result


def known(values: Array) -> Array:
    """The values that are not NaN: themselves where none is, else flat."""
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


def is_sparse(data: Array) -> bool:
    """Whether more than half of the values were not measured, as in a sparse scan."""
    return float(np.isnan(data).mean()) > _SPARSE
