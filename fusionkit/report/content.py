"""The content of a page, independent of HTML: reports and comparisons share these types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from fusionkit.report.image_limits import Limits
from fusionkit.results.record import Diagnostic, Level
from fusionkit.terms import Array

MOST_BARS = 40  # more coefficients are drawn as a curve, without their names

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
    """One image of a panel.

    Parameters
    ----------
    name : ``raw``, ``fused`` or the name of a run; all panels show layers of the same name together.
    image : key in ``Page.images``.
    limits : colour limits.
    beyond : whether values lie below and above the limits.
    colours : the colour map.
    profile : style in the line profile; None to omit it.
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
    overlay : whether it is part of the coloured overlay of the elements.
    """

    label: str
    unit: str
    layers: tuple[Layer, ...]
    profiles: str
    overlay: bool = False


@dataclass(frozen=True)
class Curve:
    """A line, a scatter plot or a row of bars; ``x`` ascends."""

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
    log : whether the y axis is logarithmic; values <= 0 then leave gaps.
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
    """Rows of text under the column names ``head``; ``first`` puts the table above the images."""

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
    subtitle : one line below the title.
    verdict : the status in a word or two; may be empty.
    level : of the verdict, which colours it.
    facts : names and values.
    diagnostics : sentences, warnings first.
    panels : of images; may be empty.
    images : by key, (ny, nx) each.
    derived : images that the page computes, by key.
    pixels : (ny, nx) of the field of view.
    field_width : width of the field of view in ``units``; None if unknown.
    units : unit of length.
    side_by_side : whether the page opens with layers side by side rather than with a slider between two.
    sections : of charts.
    tables, details : tables that are open, and folded.
    texts : heading and text of further folded parts.
    footer : the last sentence.
    """

    title: str
    subtitle: str = ""
    verdict: str = ""
    level: Level = "good"
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
