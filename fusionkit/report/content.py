"""The content of a page, without HTML: the same types for a report and for a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fusionkit.report.image_limits import Limits
from fusionkit.results.record import Diagnostic
from fusionkit.terms import Array

Colours = Literal["maps", "gray", "diverging"]
Style = Literal["line", "bold", "thin", "dashed", "points", "bars"]


@dataclass(frozen=True)
class Derived:
    """An image that the page computes: ``first`` plus or minus ``second``."""

    first: str
    sign: Literal[1, -1]
    second: str


@dataclass(frozen=True)
class Layer:
    """One of the images of a panel.

    Parameters
    ----------
    name : ``raw``, ``fused`` or the name of a run; all panels show layers of the same name together.
    image : key in ``Page.images``.
    limits : colour limits.
    beyond : whether values lie below and above them.
    colours : the colour map.
    profile : style in the profile along a line; None to leave it out.
    """

    name: str
    image: str
    limits: Limits
    beyond: tuple[bool, bool] = (False, False)
    colours: Colours = "maps"
    profile: Style | None = "line"


@dataclass(frozen=True)
class Panel:
    """Layers of one field of view.

    Parameters
    ----------
    label : the element, or the name of the image.
    unit : of every layer.
    layers : the first two are shown first.
    profiles : heading of the profile chart, shared with other panels.
    overlay : whether it belongs to the coloured overlay of the elements.
    """

    label: str
    unit: str
    layers: tuple[Layer, ...]
    profiles: str
    overlay: bool = False


@dataclass(frozen=True)
class Curve:
    """One line, cloud of points or row of bars; ``x`` ascends."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style = "line"


@dataclass(frozen=True)
class Chart:
    """Curves over one axis.

    Parameters
    ----------
    title, x_label, y_label : headings.
    curves : at least one.
    log : whether the y axis is logarithmic; values <= 0 then leave a gap.
    ticks : names of x = 0, 1, 2, ...; empty for numbers.
    note : a sentence below the chart.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log: bool = False
    ticks: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Section:
    """Charts under one heading."""

    title: str
    charts: tuple[Chart, ...]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts; those of ``head`` are the columns' names; ``first`` for a table above the images."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    first: bool = False


@dataclass(frozen=True)
class Page:
    """A page.

    Parameters
    ----------
    title : of the window and the page.
    subtitle : one line below it.
    verdict : the status in a word or two; may be empty.
    good : whether that is a success.
    facts : name and value.
    diagnostics : sentences, warnings first.
    panels : images; may be empty.
    images : by key, (ny, nx) each.
    derived : further images by key.
    pixels : (ny, nx) of the field of view.
    field_width : its width in ``units``; None where unknown.
    units : unit of length.
    side_by_side : whether layers are first shown beside each other rather than with a slider between two.
    sections : charts.
    tables : open tables; ``details`` are folded.
    texts : heading and text of further folded parts.
    footer : a last sentence.
    """

    title: str
    subtitle: str = ""
    verdict: str = ""
    good: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    panels: tuple[Panel, ...] = ()
    images: Mapping[str, Array] = field(default_factory=dict)
    derived: Mapping[str, Derived] = field(default_factory=dict)
    pixels: tuple[int, int] | None = None
    field_width: float | None = None
    units: str | None = None
    side_by_side: bool = False
    sections: tuple[Section, ...] = ()
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    footer: str = ""
