"""Where one image, or a stack of counts, comes from: what ``data.haadf``, ``data.maps`` and ``data.spectra`` hold."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fusionkit.options import Finite, NonNegative, Options


class Source(Options):
    """One array of a file, written as its name or as a mapping.

    Parameters
    ----------
    signal : its name in the file.
    path : the file, where it is not ``data.path``; relative to the config's folder.
    reader : format of ``path``; None to go by the suffix.
    offset, scale : what is used is (value - offset) * scale.
    """

    by_name: ClassVar[bool] = True

    signal: str
    path: str | None = None
    reader: str | None = None
    offset: Finite = 0.0
    scale: Finite = 1.0

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"signal": value} if isinstance(value, str) else value

    @field_validator("scale")
    @classmethod
    def _not_zero(cls, scale: float) -> float:
        if scale == 0:
            raise ValueError("is 0; it must be another number")
        return scale

    @property
    def short(self) -> str | None:
        """The name alone where that says everything."""
        return self.signal if self == Source(signal=self.signal) else None


Range = Annotated[list[Finite], Field(min_length=2, max_length=2)]
Ranges = Annotated[list[Finite], Field(min_length=2, max_length=4)]


_OF_WINDOWS = ("windows", "background", "background_windows", "subtract")


class SpectrumSource(Options):
    """Counts of elements from a spectrum image, one map for each.

    Parameters
    ----------
    signal : name of the spectrum image; None for the only one in the file.
    path : the file, where it is not ``data.path``.
    reader : format of ``path``; None to go by the suffix.
    elements : symbols in the order that is kept; None for the windows', else the lines', else the file's own.
    lines : X-ray line or edge of an element (``Cu: Ka``); the file's, else the strongest, where it names none.
    method : ``windows`` sums the counts in a window of energy about the line; ``fit`` fits lines and background to each
        EDX spectrum, so that lines that overlap are told apart, and gives the counts in the line's family.
    windows : first and last energy whose counts are an element's, in the unit of the file's energy axis.
    background : ``none``; ``windows`` interpolates between windows beside the line, ``power_law`` extrapolates from
        windows before the edge. The maps stay the raw counts; the estimate becomes the array ``NAME_background``.
    background_windows : where the background is measured: [first, last] or [first, last, first, last].
    smooth : standard deviation in pixels of the Gaussian that smooths the background's counts.
    subtract : whether the maps are the counts less the background, negative ones set to 0: no counts any more.
    """

    signal: str | None = None
    path: str | None = None
    reader: str | None = None
    elements: Annotated[list[str], Field(min_length=1)] | None = None
    lines: dict[str, str] = Field(default_factory=dict)
    method: Literal["windows", "fit"] = "windows"
    windows: dict[str, Range] = Field(default_factory=dict)
    background: Literal["none", "windows", "power_law"] = "none"
    background_windows: dict[str, Ranges] = Field(default_factory=dict)
    smooth: NonNegative = 2.0
    subtract: bool = False

    @field_validator("windows", "background_windows")
    @classmethod
    def _ascending(cls, windows: dict[str, list[float]]) -> dict[str, list[float]]:
        for element, ends in windows.items():
            if len(ends) % 2 or any(first >= last for first, last in zip(ends[::2], ends[1::2], strict=True)):
                raise ValueError(f"{ends} of {element} is no window; write [first, last], the first the smaller")
        return windows

    @model_validator(mode="after")
    def _fit_takes_no_windows(self) -> SpectrumSource:
        given = [key for key in _OF_WINDOWS if key in self.model_fields_set and self.method == "fit"]
        if given:
            raise ValueError(f"has '{given[0]}', which method: fit does not take; remove it")
        return self

    @model_validator(mode="after")
    def _subtract_what(self) -> SpectrumSource:
        if self.subtract and self.background == "none":
            raise ValueError("has 'subtract' but no 'background'; add background: windows or power_law")
        double = [one for one in self.elements or () if (self.elements or []).count(one) > 1]
        if double:
            raise ValueError(f"names the element '{double[0]}' twice; name each once")
        return self
