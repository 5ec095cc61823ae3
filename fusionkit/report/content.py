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
    """One image of a panel."""

    name: str  # ``raw``, ``fused`` or the name of a run; all panels show layers of the same name together
    image: str  # key in ``Page.images``
    limits: Limits  # colour limits
    beyond: tuple[bool, bool] = (False, False)  # whether values lie below and above the limits
    colours: Colours = "maps"  # the colour map
    profile: Style | None = "line"  # style in the line profile; None to omit it


@dataclass(frozen=True)
class Panel:
    """Layers of one field of view."""

    label: str  # the element, or the name of the image
    unit: str  # of every layer
    layers: tuple[Layer, ...]  # the first two are shown first
    profiles: str  # heading of the profile chart, shared with other panels
    overlay: bool = False  # whether it is part of the coloured overlay of the elements


@dataclass(frozen=True)
class Curve:
    """A line, a scatter plot or a row of bars; ``x`` ascends."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: Style = "line"


@dataclass(frozen=True)
class Chart:
    """Curves over one axis."""

    # title, x_label, y_label: headings
    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]  # at least one
    log: bool = False  # whether the y axis is logarithmic; values <= 0 then leave gaps
    ticks: tuple[str, ...] = ()  # names of x = 0, 1, 2, ...; empty for numbers
    note: str = ""  # a sentence below the chart


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
    """A page."""

    title: str  # of the window and the page
    subtitle: str = ""  # one line below the title
    verdict: str = ""  # the status in a word or two; may be empty
    level: Level = "good"  # of the verdict, which colours it
    facts: tuple[tuple[str, str], ...] = ()  # names and values
    diagnostics: tuple[Diagnostic, ...] = ()  # sentences, warnings first
    panels: tuple[Panel, ...] = ()  # of images; may be empty
    images: Mapping[str, Array] = field(default_factory=dict)  # by key, (ny, nx) each
    derived: Mapping[str, Derived] = field(default_factory=dict)  # images that the page computes, by key
    pixels: tuple[int, int] | None = None  # (ny, nx) of the field of view
    field_width: float | None = None  # width of the field of view in ``units``; None if unknown
    units: str | None = None  # unit of length
    side_by_side: bool = False  # whether the page opens with layers side by side rather than with a slider between two
    sections: tuple[Section, ...] = ()  # of charts
    # tables, details: tables that are open, and folded
    tables: tuple[Table, ...] = ()
    details: tuple[Table, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()  # heading and text of further folded parts
    footer: str = ""  # the last sentence
