"""``maps.png``: raw and fused maps beside image, model and residual; ``uncertainty.png``: fused maps and error bars."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from fusionkit.report.figures.image import draw_colour_bar, draw_image, draw_scale_bar
from fusionkit.report.figures.vector import vector_figure
from fusionkit.report.image_limits import image_limits
from fusionkit.report.raw_maps import unit_of
from fusionkit.report.run_images import Shown, element_images, fitted_images
from fusionkit.report.trace import status_line
from fusionkit.results.record import RunRecord

# inches
_SIDE = 2.0  # square root of the area of a panel
_BAR_GAP, _BAR = 0.06, 0.09
_LABELS = 0.72  # tick labels and label of the colour bar
_TITLE = 0.30
_BAND_GAP = 0.2
_MARGIN = 0.2
_HEADER = 0.38
_NARROWEST = 0.4  # least width over height of a panel, for its title
_SHAPE = 16 / 9  # width over height of a slide


@dataclass(frozen=True)
class _Panel:
    shown: Shown
    colours: str
    title: str
    label: str


_Group = tuple[_Panel | None, ...]


@dataclass(frozen=True)
class _Grid:
    """The positions of panels in inches: each group of panels is a row or a column, in one or more bands."""

    groups: int
    kinds: int
    bands: int
    in_rows: bool
    width: float  # of an image
    height: float

    @property
    def length(self) -> int:
        """Number of groups in a band."""
        return math.ceil(self.groups / self.bands)

    @property
    def empty(self) -> float:
        """Share of the figure that stays empty."""
        return 1.0 - self.groups / (self.length * self.bands)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
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
        if self.in_rows:  # groups are read across the bands, then down
            row, band = divmod(group, self.bands)
            column, right, down = band * self.kinds + kind, band * _BAND_GAP, 0.0
        else:
            band, column = divmod(group, self.length)
            row, right, down = band * self.kinds + kind, 0.0, band * _BAND_GAP
        top = _HEADER + down + row * self._cell[1] + _TITLE
        return _MARGIN + right + column * self._cell[0], self.size[1] - top - self.height


def maps_figure(record: RunRecord) -> Figure:
    """What was reconstructed beside the data.

    Parameters
    ----------
    record : maps (n, ny, nx) are drawn as images: raw, fused, and the truth if known (else raw − fused), beside the
        HAADF image, its model and the residual; any other unknown is drawn by `vector_figure`.
    """
    if record.result.x.ndim != 3:
        return vector_figure(record)
    groups = [*_fits(record), *_elements(record)]
    return _figure(groups, _arrange(len(groups), len(groups[0]), *_edges(record)), status_line(record.result), record)


def uncertainty_figure(record: RunRecord) -> Figure:
    """A column for each element of a run with error bars: the fused map above its standard deviation."""
    error_bars, unit = record.uncertainty, unit_of(record)
    if error_bars is None:
        raise ValueError("the run has no error bars")
    columns: list[_Group] = []
    for name, *images in zip(record.result.labels, record.result.x, error_bars.standard_deviation, strict=True):
        pairs = zip(images, ("fused", "standard deviation"), strict=True)
        shown = ((Shown(image, image_limits([image])), f"{name} {word}") for image, word in pairs)
        columns.append(tuple(_Panel(one, "inferno", title, unit) for one, title in shown))
    reach = f"a {100 * error_bars.interval:g} % interval is ± {error_bars.reach:.3g} standard deviations"
    grid = _Grid(len(columns), 2, 1, False, *_edges(record))
    return _figure(columns, grid, f"Error bars by {error_bars.method}: {reach}", record)


def _figure(groups: Sequence[_Group], grid: _Grid, title: str, record: RunRecord) -> Figure:
    figure = Figure(figsize=grid.size)
    for group, panels in enumerate(groups):
        for kind, panel in enumerate(panels):
            if panel is not None:
                _draw(figure, panel, grid, (group, kind), record)
    figure.suptitle(title, x=_MARGIN / grid.size[0], y=1 - 0.12 / grid.size[1], ha="left", va="top", fontsize=11)
    return figure


def _edges(record: RunRecord) -> tuple[float, float]:
    """Width and height of a panel, with the shape of the maps but for very long ones."""
    ny, nx = record.result.x.shape[-2:]
    aspect = min(max(nx / ny, _NARROWEST), 4.0)
    return _SIDE * aspect**0.5, _SIDE / aspect**0.5


def _arrange(groups: int, kinds: int, width: float, height: float) -> _Grid:
    """The grid that fills a slide best."""
    grids = [
        _Grid(groups, kinds, bands, in_rows, width, height)
        for bands in range(1, min(groups, 4) + 1)
        for in_rows in (False, True)
    ]
    return min(grids, key=lambda grid: abs(math.log(grid.size[0] / grid.size[1] / _SHAPE)) + 2 * grid.empty)


def _draw(figure: Figure, panel: _Panel, grid: _Grid, place: tuple[int, int], record: RunRecord) -> None:
    (left, bottom), (across, up) = grid.corner(*place), grid.size
    axes = figure.add_axes((left / across, bottom / up, grid.width / across, grid.height / up))
    pixels = panel.shown.image
    drawn = draw_image(axes, pixels, panel.shown.limits, panel.colours, panel.title)
    right = left + grid.width + _BAR_GAP
    bar = figure.add_axes((right / across, bottom / up, _BAR / across, grid.height / up))
    draw_colour_bar(figure, bar, drawn, pixels, panel.label)
    size, units = record.dataset.pixel_size, record.dataset.units
    if place == (0, 0) and size and units:
        # other modalities may have pixels of another size, but see the same field
        nx = pixels.shape[1]
        draw_scale_bar(axes, nx, size * record.result.x.shape[-1] / nx, units)


def _fits(record: RunRecord) -> Iterator[_Group]:
    """Image, model and residual of every fitted image."""
    for fit in fitted_images(record):
        title, unit = fit.title, fit.unit
        yield (
            _panel(fit.image, "gray", title, unit),
            _panel(fit.model, "gray", f"{title} model", unit),
            _panel(fit.residual, "RdBu_r", f"{title} − model", unit),
        )


def _elements(record: RunRecord) -> Iterator[_Group]:
    """Raw map, fused map, and the truth or else the difference of both, of every element."""
    unit = unit_of(record)
    for element in element_images(record, record.result.x):
        name, raw, fused = element.name, element.raw, element.fused
        raw_title = f"{name} {element.raw_name}"
        if raw is not None and raw.image.shape != fused.image.shape:
            raw_title += ", its own pixels"
        if element.truth is not None:
            last = _panel(element.truth, "inferno", f"{name} truth", unit)
        else:
            last = _panel(element.removed, "RdBu_r", f"{name} raw − fused", unit)
        yield _panel(raw, "inferno", raw_title, unit), _panel(fused, "inferno", f"{name} fused", unit), last


def _panel(shown: Shown | None, colours: str, title: str, unit: str) -> _Panel | None:
    return None if shown is None else _Panel(shown, colours, title, unit)
