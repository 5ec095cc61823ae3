"""One image panel of a figure: reduced to a sensible size, with robust limits, a colour bar and a scale bar."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from fusionkit.terms import Array

LARGEST = 1024  # pixels along an edge that a figure can show
_SMALL = 8  # points
_PANEL = 400  # pixels of a panel, more or less: averaging to it makes noise weaker

Limits = tuple[float, float]


def block_mean(image: Array, largest: int = LARGEST) -> Array:
    """The image reduced by means over k x k blocks so that no edge exceeds ``largest`` pixels, float64.

    Parameters
    ----------
    image : shape (ny, nx); the last block of an axis may be smaller.
    largest : most pixels along an edge.
    """
    image = np.asarray(image, dtype=np.float64)
    block = math.ceil(max(image.shape) / largest)
    if block <= 1:
        return image
    for axis, size in enumerate(image.shape):
        starts = np.arange(0, size, block)
        shape = [1, 1]
        shape[axis] = starts.size
        image = np.add.reduceat(image, starts, axis=axis) / np.diff(starts, append=size).reshape(shape)
    return image


def image_limits(images: Sequence[Array], low: float = 0.1, high: float = 99.9) -> Limits:
    """Colour limits that hold nearly all of every image: percentiles, which one hot pixel cannot move.

    Parameters
    ----------
    images : arrays that share the limits.
    low, high : percentiles; the lower limit is 0 for images that are not negative but come near 0.
    """
    ranges = [np.percentile(values, (low, high)) for values in map(_finite, images) if values.size]
    if not ranges:
        return 0.0, 1.0
    bottom, top = float(min(r[0] for r in ranges)), float(max(r[1] for r in ranges))
    if 0.0 <= bottom < 0.3 * top:
        bottom = 0.0
    return _opened(bottom, top)


def symmetric_limits(image: Array, high: float = 99.0) -> Limits:
    """Colour limits symmetric about 0 that hold the given percentage of the pixels at the size of a panel."""
    values = np.abs(_finite(block_mean(image, _PANEL)))
    top = float(np.percentile(values, high)) if values.size else 0.0
    top = top if top > 0.0 else float(values.max(initial=0.0))
    return (-top, top) if top > 0.0 else (-1.0, 1.0)


def _finite(image: Array) -> Array:
    values = np.asarray(image, dtype=np.float64)
    return values[np.isfinite(values)]


def _opened(bottom: float, top: float) -> Limits:
    # a constant image has no range of its own
    smallest = 1e-6 * max(abs(bottom), abs(top))
    if top - bottom > smallest:
        return bottom, top
    return (0.0, 1.0) if top == 0.0 else (min(0.0, 2 * bottom), max(0.0, 2 * top))


def draw_image(axes: Axes, image: Array, limits: Limits, colours: str, title: str) -> AxesImage:
    """Show an image without ticks, in the pixel coordinates of the whole image.

    Parameters
    ----------
    axes : where.
    image : shape (ny, nx), any size; values that are not finite are grey.
    limits : colour limits.
    colours : name of the colour map.
    title : above the panel.
    """
    ny, nx = image.shape
    reduced = block_mean(image)
    shown = axes.imshow(
        np.ma.masked_invalid(reduced),
        cmap=mpl.colormaps[colours].with_extremes(bad="0.6"),
        vmin=limits[0],
        vmax=limits[1],
        extent=(0.0, float(nx), float(ny), 0.0),
        interpolation="nearest" if max(ny, nx) <= _PANEL / 2 else "auto",
        interpolation_stage="data",  # mixing colours would grey the noise of a residual
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10, pad=4)
    return shown


def draw_colour_bar(figure: Figure, axes: Axes, image: AxesImage, values: Array, label: str) -> None:
    """A colour bar in its own axes; pointed ends say that some pixels lie beyond the limits.

    Parameters
    ----------
    figure : what both belong to.
    axes : where the bar goes.
    image : what it explains.
    values : the pixels, to see whether any lie beyond the limits.
    label : the quantity or its unit.
    """
    finite = _finite(values)
    bottom, top = image.get_clim()
    below = finite.size > 0 and finite.min() < bottom - 1e-9 * (top - bottom)
    above = finite.size > 0 and finite.max() > top + 1e-9 * (top - bottom)
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        (bool(below), bool(above)), "neither"
    )
    order = _order(max(abs(bottom), abs(top)))
    figure.colorbar(
        image,
        cax=axes,
        extend=extend,
        extendfrac=0.04,
        ticks=MaxNLocator(4, steps=[1, 2, 5, 10]),
        format=FuncFormatter(lambda value, _: f"{value / 10.0**order:.4g}".replace("-", "−")),
    )
    axes.tick_params(labelsize=_SMALL, length=2.5, pad=2)
    # the power of ten belongs to the label: over the bar it would run into the title
    axes.set_ylabel(f"{label}  ($\\times 10^{{{order}}}$)" if order else label, fontsize=_SMALL, labelpad=3)


def _order(top: float) -> int:
    """The power of ten to take out of tick labels; 0 where they are short without."""
    order = math.floor(math.log10(top))
    return 0 if -3 < order < 4 else order


def round_length(width: float) -> float:
    """The length 1, 2 or 5 times a power of ten that is nearest below a quarter of ``width``."""
    wanted = width / 4.0
    decade = 10.0 ** math.floor(math.log10(wanted))
    return max(factor * decade for factor in (1.0, 2.0, 5.0) if factor * decade <= wanted * (1 + 1e-9))


def draw_scale_bar(axes: Axes, width: float, pixel_size: float, units: str) -> None:
    """A scale bar of a round length in the lower left corner.

    Parameters
    ----------
    axes : an image in pixel coordinates.
    width : of the image, in pixels.
    pixel_size : edge of a pixel in ``units``.
    units : such as ``nm``; 1000 nm are written as 1 µm.
    """
    length = round_length(width * pixel_size)
    shown, unit = (length / 1000.0, "µm") if units == "nm" and length >= 1000.0 else (length, units)
    thickness = 0.013 * math.sqrt(axes.get_xlim()[1] * axes.get_ylim()[0])
    bar = AnchoredSizeBar(
        axes.transData,
        length / pixel_size,
        f"{shown:g} {unit}",
        loc="lower left",
        pad=0.4,
        sep=3,
        color="white",
        frameon=False,
        size_vertical=thickness,  # pyright: ignore[reportArgumentType]  # its stub says int, but it is a length
        label_top=True,
        fontproperties=FontProperties(size=9, weight="bold"),
    )
    outline = withStroke(linewidth=2.0, foreground="black")  # readable on bright matter too
    for part in (*bar.txt_label.get_children(), *bar.size_bar.get_children()):
        part.set_path_effects([outline])
    axes.add_artist(bar)
