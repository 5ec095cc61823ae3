"""An image panel of a figure, with a colour bar and a scale bar."""

import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from fusionkit.report.image_limits import PANEL, Limits, block_mean, lie_beyond
from fusionkit.terms import Array

_SMALL = 8  # points


def draw_image(axes: Axes, image: Array, limits: Limits, colours: str, title: str) -> AxesImage:
    """Draw an image without ticks, reduced in size but in the pixel coordinates of the whole; not finite is grey."""
    ny, nx = image.shape
    reduced = block_mean(image)
    drawn = axes.imshow(
        np.ma.masked_invalid(reduced),
        cmap=mpl.colormaps[colours].with_extremes(bad="0.6"),
        vmin=limits[0],
        vmax=limits[1],
        extent=(0.0, float(nx), float(ny), 0.0),
        interpolation="nearest" if max(ny, nx) <= PANEL / 2 else "auto",
        interpolation_stage="data",  # interpolating colours would turn the noise of a residual grey
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=10, pad=4)
    return drawn


def draw_colour_bar(figure: Figure, axes: Axes, image: AxesImage, values: Array, label: str) -> None:
    """A colour bar in its own axes; a pointed end means that some of the ``values`` lie beyond that limit."""
    bottom, top = image.get_clim()
    below, above = lie_beyond(values, (bottom, top))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    order = math.floor(math.log10(max(abs(bottom), abs(top))))
    order = 0 if -3 < order < 4 else order  # tick labels are short anyway
    figure.colorbar(
        image,
        cax=axes,
        extend=extend,
        extendfrac=0.04,
        ticks=MaxNLocator(4, steps=[1, 2, 5, 10]),
        format=FuncFormatter(lambda value, _: f"{value / 10.0**order:.4g}".replace("-", "−")),
    )
    axes.tick_params(labelsize=_SMALL, length=2.5, pad=2)
    # matplotlib would put the power of ten above the bar, where it overlaps the title
    axes.set_ylabel(f"{label}  ($\\times 10^{{{order}}}$)" if order else label, fontsize=_SMALL, labelpad=3)


def round_length(width: float) -> float:
    """The largest length of 1, 2 or 5 times a power of ten that is at most a quarter of ``width``."""
    most = width / 4.0
    decade = 10.0 ** math.floor(math.log10(most))
    return max(factor * decade for factor in (1.0, 2.0, 5.0) if factor * decade <= most * (1 + 1e-9))


def draw_scale_bar(axes: Axes, width: float, pixel_size: float, units: str) -> None:
    """A scale bar of a round length in the lower left corner.

    Parameters
    ----------
    axes : of an image in pixel coordinates.
    width : of the image, in pixels.
    pixel_size : edge of a pixel in ``units``.
    units : such as ``nm``; 1000 nm is written as 1 µm, and 0.01 µm as 10 nm.
    """
    length = round_length(width * pixel_size)
    number, unit = length, units
    if units == "nm" and length >= 1000.0:
        number, unit = length / 1000.0, "µm"
    elif units in ("µm", "um") and length < 1.0:
        number, unit = length * 1000.0, "nm"
    thickness = 0.013 * math.sqrt(axes.get_xlim()[1] * axes.get_ylim()[0])
    bar = AnchoredSizeBar(
        axes.transData,
        length / pixel_size,
        f"{number:g} {unit}",
        loc="lower left",
        pad=0.4,
        sep=3,
        color="white",
        frameon=False,
        size_vertical=thickness,  # pyright: ignore[reportArgumentType]  # its stub says int, but it is a length
        label_top=True,
        fontproperties=FontProperties(size=9, weight="bold"),
    )
    outline = withStroke(linewidth=2.0, foreground="black")  # readable on bright pixels too
    for part in (*bar.txt_label.get_children(), *bar.size_bar.get_children()):
        part.set_path_effects([outline])
    axes.add_artist(bar)
