"""A small map as a PNG inside a page, and its colours as a CSS gradient."""

from __future__ import annotations

import base64
from io import BytesIO

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from fusionkit.report.image_limits import Limits
from fusionkit.terms import Array

_COLOURS = "inferno"  # as in maps.png
_STOPS = 9  # between which a gradient is nearly that of the colours


def thumbnail(image: Array, limits: Limits) -> str:
    """The image as a ``data:`` address of a PNG with a palette, a third of the size of one with colours.

    Parameters
    ----------
    image : shape (ny, nx); what is not finite is drawn as the lower limit.
    limits : values of the first and last colour.
    """
    low, high = limits
    shares = (np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low) - low) / (high - low)
    picture = Image.fromarray(np.round(255 * np.clip(shares, 0.0, 1.0)).astype(np.uint8))
    picture.putpalette((255 * mpl.colormaps[_COLOURS](np.arange(256))[:, :3]).round().astype(np.uint8).tobytes())
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def gradient() -> str:
    """The colours of a `thumbnail` from the lower limit to the upper one, from left to right."""
    stops = (to_hex(mpl.colormaps[_COLOURS](share)) for share in np.linspace(0.0, 1.0, _STOPS))
    return f"linear-gradient(to right, {', '.join(stops)})"
