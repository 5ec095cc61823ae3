"""The figure of the maps: raw beside fused maps beside the HAADF image, its fit and the residual."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from fusionkit.report.figures.image import draw_colour_bar, draw_image, draw_scale_bar
from fusionkit.report.image_limits import Limits, brightness, image_limits, symmetric_limits
from fusionkit.report.raw_maps import raw_of, unit_of
from fusionkit.report.trace import status_line
from fusionkit.results.record import RunRecord
from fusionkit.terms import Array

# inches
_SIDE = 2.0  # root of the area of a panel
_BAR_GAP, _BAR = 0.06, 0.09
_LABELS = 0.62  # tick labels and label of the colour bar
_TITLE = 0.30
_BAND_GAP = 0.2
_MARGIN = 0.2
_HEADER = 0.38
_NARROWEST = 0.4  # width over height of a panel that its title still fits
_SHAPE = 16 / 9  # width over height that fills a slide


@dataclass(frozen=True)
class _Panel:
    image: Array
    limits: Limits
    colours: str
    title: str
    label: str


_Group = tuple[_Panel | None, ...]


@dataclass(frozen=True)
class _Grid:
    """Where panels go, in inches: each group of panels is a row or a column, in one or more bands."""

    groups: int
    kinds: int
    bands: int
    in_rows: bool
    width: float  # of an image
    height: float

    @property
    def length(self) -> int:
        """Groups in a band."""
        return math.ceil(self.groups / self.bands)

    @property
    def empty(self) -> float:
        """Part of the figure that stays empty."""
        return 1.0 - self.groups / (self.length * self.bands)

    @property
    def size(self) -> tuple[float, float]:
        """Of the figure."""
        across, down = self.length, self.kinds * self.bands
        if self.in_rows:
            across, down = down, across
        gaps = _BAND_GAP * (self.bands - 1)
        return (
            2 * _MARGIN + across * self._cell[0] + (gaps if self.in_rows else 0.0),
            _MARGIN + _HEADER + down * self._cell[1] + (0.0 if self.in_rows else gaps),
        )

    @property
    def _cell(self) -> tuple[float, float]:
        return self.width + _BAR_GAP + _BAR + _LABELS, self.height + _TITLE

    def corner(self, group: int, kind: int) -> tuple[float, float]:
        """Lower left corner of an image."""
        if self.in_rows:  # read across the bands, then down
            row, band = divmod(group, self.bands)
            column, right, down = band * self.kinds + kind, band * _BAND_GAP, 0.0
        else:
            band, column = divmod(group, self.length)
            row, right, down = band * self.kinds + kind, 0.0, band * _BAND_GAP
        top = _HEADER + down + row * self._cell[1] + _TITLE
        return _MARGIN + right + column * self._cell[0], self.size[1] - top - self.height


def draw_maps(record: RunRecord) -> Figure:
    """Raw and fused map of each element, with the truth or else the difference, beside the HAADF image and its fit.

    Parameters
    ----------
    record : a run whose unknown is a stack of maps, (n, ny, nx).
    """
    groups = [*_fits(record), *_elements(record)]
    ny, nx = record.result.x.shape[-2:]
    grid = _arrange(len(groups), len(groups[0]), min(max(nx / ny, _NARROWEST), 4.0))
    figure = Figure(figsize=grid.size)
    for group, panels in enumerate(groups):
        for kind, panel in enumerate(panels):
            if panel is not None:
                _draw(figure, panel, grid, (group, kind), record)
    figure.suptitle(
        status_line(record.result),
        x=_MARGIN / grid.size[0],
        y=1 - 0.12 / grid.size[1],
        ha="left",
        va="top",
        fontsize=11,
    )
    return figure


def _arrange(groups: int, kinds: int, aspect: float) -> _Grid:
    """The arrangement that fills a slide best."""
    width, height = _SIDE * aspect**0.5, _SIDE / aspect**0.5
    grids = [
        _Grid(groups, kinds, bands, in_rows, width, height)
        for bands in range(1, min(groups, 4) + 1)
        for in_rows in (False, True)
    ]
    return min(grids, key=lambda grid: abs(math.log(grid.size[0] / grid.size[1] / _SHAPE)) + 2 * grid.empty)


def _draw(figure: Figure, panel: _Panel, grid: _Grid, place: tuple[int, int], record: RunRecord) -> None:
    (left, bottom), (across, up) = grid.corner(*place), grid.size
    axes = figure.add_axes((left / across, bottom / up, grid.width / across, grid.height / up))
    shown = draw_image(axes, panel.image, panel.limits, panel.colours, panel.title)
    right = left + grid.width + _BAR_GAP
    bar = figure.add_axes((right / across, bottom / up, _BAR / across, grid.height / up))
    draw_colour_bar(figure, bar, shown, panel.image, panel.label)
    size, units = record.dataset.pixel_size, record.dataset.units
    if place == (0, 0) and size and units:
        # other modalities may have pixels of another size, but see the same field
        nx = panel.image.shape[1]
        draw_scale_bar(axes, nx, size * record.result.x.shape[-1] / nx, units)


def _fits(record: RunRecord) -> list[_Group]:
    """Image, model and residual of everything that is fitted by a forward model and is one image."""
    arrays, models = record.dataset.arrays, record.models
    names = [name for name in dict.fromkeys(("haadf", *models)) if name in arrays and arrays[name].ndim == 2]
    return [_fit(name.upper() if name == "haadf" else name, arrays[name], models.get(name)) for name in names]


def _fit(name: str, image: Array, model: Array | None) -> _Group:
    unit = brightness(image)
    if model is None or model.shape != image.shape:
        return _Panel(image, image_limits([image]), "gray", name, unit), None, None
    limits = image_limits([image, model])
    residual = _difference(image, model)
    return (
        _Panel(image, limits, "gray", name, unit),
        _Panel(model, limits, "gray", f"{name} model", unit),
        _Panel(residual, symmetric_limits(residual), "RdBu_r", f"{name} − model", unit),
    )


def _elements(record: RunRecord) -> list[_Group]:
    x, truth = record.result.x, record.dataset.truth
    recorded, unit = raw_of(record, x.shape[0]), unit_of(record)
    raw = [(image, recorded.name) for image in recorded.images]
    known = truth if truth is not None and truth.shape == x.shape else None
    names = record.result.labels or tuple(f"map {index + 1}" for index in range(x.shape[0]))
    return [_element(name, x[index], raw[index], _pick(known, index), unit) for index, name in enumerate(names)]


def _pick(stack: Array | None, index: int) -> Array | None:
    return None if stack is None else stack[index]


def _element(name: str, fused: Array, recorded: tuple[Array | None, str], truth: Array | None, unit: str) -> _Group:
    # the noise of the raw counts must not darken the fused map: the limits are those of what is nearly noise-free
    limits = image_limits([fused] if truth is None else [fused, truth])
    raw, called = recorded
    first = None if raw is None else _raw(f"{name} {called}", raw, fused, limits, unit)
    second = _Panel(fused, limits, "inferno", f"{name} fused", unit)
    if truth is not None:
        return first, second, _Panel(truth, limits, "inferno", f"{name} truth", unit)
    if raw is None or raw.shape != fused.shape:
        return first, second, None
    removed = _difference(raw, fused)
    return first, second, _Panel(removed, symmetric_limits(removed), "RdBu_r", f"{name} raw − fused", unit)


def _raw(title: str, raw: Array, fused: Array, limits: Limits, unit: str) -> _Panel:
    """Pixels of another size hold other counts, which have a scale of their own."""
    if raw.shape == fused.shape:
        return _Panel(raw, limits, "inferno", title, unit)
    return _Panel(raw, image_limits([raw]), "inferno", f"{title}, its own pixels", unit)


def _difference(first: Array, second: Array) -> Array:
    with np.errstate(invalid="ignore"):  # infinities of a diverged run have no difference: grey pixels
        return np.asarray(first, np.float64) - second
