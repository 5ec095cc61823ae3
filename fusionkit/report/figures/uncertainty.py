"""``uncertainty.png``: each fused map above its standard deviation."""

from matplotlib.figure import Figure

from fusionkit.report.figures.image import draw_colour_bar, draw_image, draw_scale_bar
from fusionkit.report.image_limits import image_limits, quantity
from fusionkit.results.record import RunRecord

# inches
_SIDE = 2.2  # longer edge of a panel
_BAR_GAP, _BAR, _LABELS, _TITLE, _MARGIN, _HEADER = 0.06, 0.09, 0.62, 0.30, 0.2, 0.45


def uncertainty_figure(record: RunRecord) -> Figure:
    """A column for each element of a run with error bars: the fused map above its standard deviation."""
    error_bars = record.uncertainty
    if error_bars is None:
        raise ValueError("the run has no error bars")
    x, names = record.result.x, record.result.labels
    ny, nx = x.shape[1:]
    width, height = _SIDE * min(1.0, nx / ny), _SIDE * min(1.0, ny / nx)
    across = 2 * _MARGIN + len(x) * (width + _BAR_GAP + _BAR + _LABELS)
    up = _MARGIN + _HEADER + 2 * (height + _TITLE)
    figure = Figure(figsize=(across, up))
    unit = quantity(record.dataset.arrays.get("maps", x))
    for row, (stack, word) in enumerate(((x, "fused"), (error_bars.standard_deviation, "standard deviation"))):
        for column, (name, image) in enumerate(zip(names, stack, strict=True)):
            left = _MARGIN + column * (width + _BAR_GAP + _BAR + _LABELS)
            bottom = up - _HEADER - (row + 1) * (height + _TITLE)
            axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
            drawn = draw_image(axes, image, image_limits([image]), "inferno", f"{name} {word}")
            right = left + width + _BAR_GAP
            bar = figure.add_axes((right / across, bottom / up, _BAR / across, height / up))
            draw_colour_bar(figure, bar, drawn, image, unit)
            size, units = record.dataset.pixel_size, record.dataset.units
            if (row, column) == (0, 0) and size and units:
                draw_scale_bar(axes, nx, size, units)
    reach = f"a {100 * error_bars.interval:g} % interval is ± {error_bars.reach:.3g} standard deviations"
    title = f"Error bars by {error_bars.method}: {reach}"
    figure.suptitle(title, x=_MARGIN / across, y=1 - 0.12 / up, ha="left", va="top", fontsize=11)
    return figure
