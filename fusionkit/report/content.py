"""What a page shows: frozen, free of HTML, and the same for a report and for a comparison."""

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
    """An image that the page computes from two others: ``first`` plus or minus ``second``."""

    first: str
    sign: Literal[1, -1]
    second: str


@dataclass(frozen=True)
class Layer:
    """One way to see what a panel shows.

    Parameters
    ----------
    name : ``raw``, ``fused``, or the name of a run; layers of one name are shown together in all panels.
    image : key in ``Page.images``.
    limits : colour limits.
    beyond : whether values lie below and above them.
    colours : which colour map.
    profile : how the profile along a line shows it; None for not at all.
    """

    name: str
    image: str
    limits: Limits
    beyond: tuple[bool, bool] = (False, False)
    colours: Colours = "maps"
    profile: Style | None = "line"


@dataclass(frozen=True)
class Panel:
    """Layers of one field of view that lie over each other.

    Parameters
    ----------
    label : the element, or the name of the image.
    unit : of every layer.
    layers : the first two are shown first.
    profiles : heading of the profile chart that it shares with others.
    overlay : whether it takes part in the coloured overlay of the elements.
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
    verdict : the status in a word or two; empty for none.
    good : whether the verdict is a good one.
    facts : name and value.
    diagnostics : what to say in plain words, warnings first.
    panels : images; empty where there are none.
    images : by key, (ny, nx) each.
    derived : further images by key.
    pixels : (ny, nx) of the field of view.
    field_width : its width in ``units``; None where unknown.
    units : unit of length.
    side_by_side : whether layers are shown beside each other at first, rather than with a slider between two.
    sections : charts.
    tables : tables that stand open; ``details`` are folded away.
    texts : heading and text of what is folded away too.
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
