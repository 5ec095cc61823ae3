"""``index.html`` of a sweep: the maps in a grid over the swept values, and the table; one file without scripts."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from io import BytesIO
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from fusionkit.data.new_file import whole_file
from fusionkit.report.image_limits import Limits, image_limits
from fusionkit.sweep.axes import Axis
from fusionkit.sweep.plan import Plan
from fusionkit.sweep.table import Row, columns
from fusionkit.terms import Array

_COLOURS = "inferno"  # as in maps.png
_STOPS = 9  # of the gradient that approximates the colour map
_ENTRIES = ("report.html", "maps.png", "summary.json")  # a map links to the first that exists


def write_page(plan: Plan, rows: Sequence[Row], path: Path) -> None:
    """Write the page of a sweep with a row for each of its points, in order."""
    elements = list(dict.fromkeys(name for row in rows for name in row.maps))
    page = Template(resources.files("fusionkit.sweep").joinpath("page.html").read_text(encoding="utf-8"))
    limits = {name: image_limits([row.maps[name] for row in rows if name in row.maps]) for name in elements}
    text = page.substitute(
        title=escape(plan.folder.resolve().name),
        summary=escape(_heading(plan, rows, bool(elements))),
        choices=_choices(elements),
        choices_style=_choices_style(elements),
        scales=_scales(rows, limits),
        gradient=_gradient(),
        grids="\n".join(_grids(plan, rows, limits)),
        rows=_rows(rows),
    )
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _heading(plan: Plan, rows: Sequence[Row], has_maps: bool) -> str:
    states = [row.outcome for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    text = f"{len(rows)} point{'' if len(rows) == 1 else 's'} of {', '.join(axis.key for axis in plan.axes)}: {counts}."
    scale = " All maps of an element share a colour scale." if has_maps else ""
    return text + scale + (f" The point with the lowest {figure} is outlined." if (figure := _best(rows)[1]) else "")


def _choices(elements: Sequence[str]) -> str:
    if len(elements) < 2:
        return ""
    names = [*elements, "all"]
    boxes = [
        f'<label><input type="radio" name="element" id="choose{i}"{"" if i else " checked"}> {escape(name)}</label>'
        for i, name in enumerate(names)
    ]
    return f"<fieldset><legend>Element</legend>{''.join(boxes)}</fieldset>"


def _scales(rows: Sequence[Row], limits: Mapping[str, Limits]) -> str:
    """The colour scale of each element, with the values at its ends."""
    units = {row.unit for row in rows if row.maps}
    unit = units.pop() if len(units) == 1 else ""
    boxes = [
        f'<span class="scale element{index}">{escape(name)} <b>{low:.4g}</b><i></i><b>{high:.4g}</b> {unit}</span>'
        for index, (name, (low, high)) in enumerate(limits.items())
    ]
    return f'<p class="scales">{"".join(boxes)}</p>' if boxes else ""


def _choices_style(elements: Sequence[str]) -> str:
    rules = [
        f"body:has(#choose{i}:checked) :is(:is(figure, .scale):not(.element{i}), figcaption) {{ display: none; }}"
        for i in range(len(elements))
    ]
    return "\n".join(rules) if len(elements) > 1 else ""


def _grids(plan: Plan, rows: Sequence[Row], limits: Mapping[str, Limits]) -> list[str]:
    """The maps in a line for one axis, in a grid for two; for more, a grid for each combination of the other values."""
    best = _best(rows)[0]
    cells = {row.point.place: _cell(row, limits, row is best) for row in rows}
    if len(plan.axes) == 1:
        pairs = zip(plan.axes[0].labels, cells.values(), strict=True)
        boxes = "".join(f"<div><b>{escape(label)}</b>{cell}</div>" for label, cell in pairs)
        return [f'<h2>{escape(plan.axes[0].key)}</h2><div class="line">{boxes}</div>']
    others = plan.axes[2:]
    grids = []
    for rest in itertools.product(*(range(len(axis.values)) for axis in others)):
        fixed = ", ".join(f"{axis.key} = {axis.labels[index]}" for axis, index in zip(others, rest, strict=True))
        heading = f"<h2>{escape(fixed)}</h2>" if fixed else ""
        grids.append(f'{heading}<div class="scroll">{_grid(plan.axes[0], plan.axes[1], cells, rest)}</div>')
    return grids


def _grid(down: Axis, across: Axis, cells: Mapping[tuple[int, ...], str], rest: tuple[int, ...]) -> str:
    """The grid over two axes at the indices ``rest`` of the other axes."""
    head = "".join(f"<th>{escape(label)}</th>" for label in across.labels)
    body = []
    for i, label in enumerate(down.labels):
        line = "".join(f"<td>{cells[i, j, *rest]}</td>" for j in range(len(across.values)))
        body.append(f"<tr><th>{escape(label)}</th>{line}</tr>")
    corner = f"<th>{escape(down.key)} ↓<br>{escape(across.key)} →</th>"
    return f'<table class="grid"><thead><tr>{corner}{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def _best(rows: Sequence[Row]) -> tuple[Row | None, str]:
    """The best row and the figure of merit: the error, or where the truth is unknown the mean held-out error.

    An unusable row is not the best, and held-out errors of different files are not comparable.
    """
    files = {str(row.point.values.get("data.path")) for row in rows}
    for name, words in (("nrmse", "nrmse"), ("held-out", "held-out error")):
        comparable = [row for row in rows if row.numbers.get(name) is not None]
        if len(comparable) > 1 and (name == "nrmse" or len(files) == 1):
            return min(comparable, key=lambda row: (row.outcome == "unusable", row.numbers[name])), words
    return None, ""


def _cell(row: Row, limits: Mapping[str, Limits], best: bool) -> str:
    entry = next((name for name in _ENTRIES if (row.point.folder / name).is_file()), "")
    link = f"{quote(row.point.name)}/{entry}"
    figures = [
        f'<figure class="element{index}"><a href="{link}"><img alt="{escape(name)} of {escape(row.point.name)}" '
        f'src="{_thumbnail(row.maps[name], limits[name])}"></a><figcaption>{escape(name)}</figcaption></figure>'
        for index, name in enumerate(limits)
        if name in row.maps
    ]
    maps = f'<div class="maps">{"".join(figures)}</div>' if figures else f'<div class="none">{escape(row.status)}</div>'
    outcome = f'<span class="{escape(row.outcome)}">{escape(row.outcome)}</span>'
    if row.error:
        outcome += f": {escape(row.error)}"
    elif "nrmse" in row.numbers:
        outcome += f", nrmse {row.numbers['nrmse']:.4f}"
    elif row.numbers.get("held-out") is not None:
        outcome += f", held-out error {row.numbers['held-out']:.4f}"
    elif row.numbers.get("optimality") is not None:
        outcome += f", optimality {row.numbers['optimality']:.1e}"
    return f'<div class="cell{" best" if best else ""}">{maps}<div class="outcome">{outcome}</div></div>'


def _rows(rows: Sequence[Row]) -> str:
    lines = columns(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in lines[0])
    body = []
    for row, line in zip(rows, lines, strict=True):
        name = escape(row.point.name)
        first = f'<a href="{quote(row.point.name)}/">{name}</a>' if row.numbers else name
        rest = "".join(_field(name, value) for name, value in line.items() if name != "point")
        body.append(f"<tr><td>{first}</td>{rest}</tr>")
    return f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"


def _field(name: str, value: Any) -> str:
    if name in ("status", "verdict", "error"):
        text = "" if value is None else escape(str(value))
        return f'<td class="{text if name != "error" else "error"}">{text}</td>'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f'<td class="number">{value:.6g}</td>'
    return f"<td>{'' if value is None else escape(str(value))}</td>"


def _thumbnail(image: Array, limits: Limits) -> str:
    """The image as a ``data:`` URL of a PNG with a palette, a third of one in RGB; NaN becomes the lower limit."""
    low, high = limits
    shares = (np.nan_to_num(np.asarray(image, np.float64), nan=low, posinf=high, neginf=low) - low) / (high - low)
    picture = Image.fromarray(np.round(255 * np.clip(shares, 0.0, 1.0)).astype(np.uint8))
    picture.putpalette((255 * mpl.colormaps[_COLOURS](np.arange(256))[:, :3]).round().astype(np.uint8).tobytes())
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _gradient() -> str:
    """The colours of a `_thumbnail` from the lower to the upper limit as a CSS gradient."""
    stops = (to_hex(mpl.colormaps[_COLOURS](share)) for share in np.linspace(0.0, 1.0, _STOPS))
    return f"linear-gradient(to right, {', '.join(stops)})"
