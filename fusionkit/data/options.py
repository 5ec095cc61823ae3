"""The config's ``data``: what to read or simulate, how to prepare and normalise it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fusionkit.data.counts.kind import Kind
from fusionkit.data.normalise import Normalisation
from fusionkit.data.phantoms import PhantomSpec
from fusionkit.data.prepare.spec import Step
from fusionkit.options import Corners, Ends, Finite, Names, NonNegative, Options, listed_once


class Source(Options):
    """One array of a file, written as its name or as a mapping.

    Parameters
    ----------
    signal : its name in the file.
    path : the file, if it is not ``data.path``; relative to the config's folder.
    reader : format of ``path``; None to go by the suffix.
    offset, scale : the values used are (value - offset) * scale.
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
            raise ValueError("is 0; use another number")
        return scale

    @property
    def short(self) -> str | None:
        """The bare name if the other options have their defaults."""
        return self.signal if self == Source(signal=self.signal) else None


NAN, EMPTY = "nan", "empty"  # masks that the array itself gives


class Mask(Options):
    """Pixels that were not measured, written as a name, a list of pixels [[row, column], ...] or a mapping.

    Parameters
    ----------
    signal : an array (ny, nx) of the file, True or 1 where a pixel was not measured; ``nan`` where the data are NaN,
        ``empty`` where no map of a stack has a count; None for the only array of ``path``.
    path, reader : of its file, if that is not ``data.path``.
    pixels : [row, column] of each.
    rows, columns : [first, last] of a rectangle, the last not included; all of an axis that is not given.
    """

    by_name: ClassVar[bool] = True

    signal: str | None = None
    path: str | None = None
    reader: str | None = None
    pixels: list[Ends] | None = None
    rows: Ends | None = None
    columns: Ends | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"signal": value} if isinstance(value, str) else {"pixels": value} if isinstance(value, list) else value

    @property
    def short(self) -> str | None:
        """The bare name if the other options have their defaults."""
        return self.signal if self.model_dump(exclude_none=True).keys() == {"signal"} else None

    @model_validator(mode="after")
    def _something(self) -> Mask:
        if self.signal is None and self.path is None and not self.pixels and self.rows is None and self.columns is None:
            raise ValueError("names no pixels; write the name of an array, nan, empty or [[row, column], ...]")
        return self


Range = Annotated[list[Finite], Field(min_length=2, max_length=2)]
Ranges = Annotated[list[Finite], Field(min_length=2, max_length=4)]


_OF_WINDOWS = ("windows", "background", "background_windows", "subtract")


class SpectrumSource(Options):
    """Counts of elements from a spectrum image, one map for each.

    Parameters
    ----------
    signal : name of the spectrum image; None for the only one in the file.
    path : the file, if it is not ``data.path``.
    reader : format of ``path``; None to go by the suffix.
    elements : symbols, in the order of the maps; None for those of ``windows``, else of ``lines``, else of the file.
    lines : X-ray line or edge of an element (``Cu: Ka``); by default the file's, else the strongest.
    method : ``spectral`` divides the channels of spectra into one set for each element, sums each, and gives the
        array ``NAME_mixing``, the share of every element's counts in every set, for the forward model ``spectral``;
        ``windows`` sums the counts in a window of energy about the line; ``fit`` fits lines and background to each EDX
        spectrum, which separates overlapping lines, and gives the counts in the line's family.
    windows : first and last energy of an element's window, in the unit of the file's energy axis.
    background : ``none``; ``windows`` interpolates between windows beside the line, ``power_law`` extrapolates from
        windows before the edge. The maps stay the raw counts; the estimate becomes the array ``NAME_background``.
    background_windows : where the background is measured: [first, last] or [first, last, first, last].
    smooth : standard deviation in pixels of the Gaussian that smooths the background's counts, or the spectra of a fit;
        None for 2, and for as little as the counts permit with ``method: spectral``.
    regions : first and last row, first and last column of parts of the scan, without the last ones; with ``spectral``,
        report and exports show the spectrum of each with its model.
    subtract : whether the maps are the counts minus the background, negative ones set to 0, and so not counts.
    """

    signal: str | None = None
    path: str | None = None
    reader: str | None = None
    elements: Annotated[Names, Field(min_length=1)] | None = None
    lines: dict[str, str] = Field(default_factory=dict)
    method: Literal["windows", "fit", "spectral"] = "windows"
    windows: dict[str, Range] = Field(default_factory=dict)
    background: Literal["none", "windows", "power_law"] = "none"
    background_windows: dict[str, Ranges] = Field(default_factory=dict)
    smooth: NonNegative | None = None
    regions: list[Corners] = Field(default_factory=list)
    subtract: bool = False

    @field_validator("windows", "background_windows")
    @classmethod
    def _ascending(cls, windows: dict[str, list[float]]) -> dict[str, list[float]]:
        for element, ends in windows.items():
            if len(ends) % 2 or any(first >= last for first, last in zip(ends[::2], ends[1::2], strict=True)):
                raise ValueError(f"{ends} of {element} is not a window; write [first, last] with first < last")
        return windows

    @field_validator("background", mode="before")
    @classmethod
    def _not_fit(cls, value: object) -> object:
        if value == "fit":
            raise ValueError("is 'fit'; write method: spectral, and forward: spectral in the term poisson")
        return value

    @model_validator(mode="after")
    def _fit_takes_no_windows(self) -> SpectrumSource:
        others = (*_OF_WINDOWS, "lines") if self.method == "spectral" else _OF_WINDOWS
        keys = [key for key in others if key in self.model_fields_set and self.method != "windows"]
        keys += ["regions"] if self.regions and self.method != "spectral" else []
        if keys:
            raise ValueError(f"has '{keys[0]}', which method: {self.method} does not take; remove it")
        return self

    @model_validator(mode="after")
    def _subtract_what(self) -> SpectrumSource:
        if self.subtract and self.background == "none":
            raise ValueError("has 'subtract' but no 'background'; add background: windows or power_law")
        return self


class DataOptions(Options):
    """Options of ``data``; either ``path`` or ``phantom`` must be given.

    Parameters
    ----------
    path : file of the recording, relative to the config's folder; not needed if every source names its own.
    phantom : the phantom to simulate instead.
    reader : name of the file's format; None to go by the suffix.
    haadf : name of the HAADF image in the file, or {path, signal, offset, scale} if it is in another file or in other
        units; a phantom's is ``HAADF`` and need not be named.
    maps : name in the file of each element's map, in the order of the result; a list if the names are the elements, or
        {path, signal, offset, scale} each. None takes all maps of a phantom.
    spectra : stacks of counts from spectrum images, by the name of the array that they become; the stack called
        ``maps`` replaces the key ``maps``. The unknown has a map of every element of any stack.
    grid : ``haadf`` or ``maps``: the pixels of the unknown; None if image and maps have one shape.
    arrays : further arrays of any shape: name in the terms and name in the file. They are not normalised.
    prepare : preparation steps, in this order, before normalisation.
    normalize : of the HAADF image and of each map on its own: ``minmax`` maps the least value to 0 and the greatest
        to 1, ``max`` divides by the greatest value, ``none`` (the default) keeps counts as they are.
    mask : pixels that were not measured, of image and maps, or {haadf: ..., maps: ...}; the terms of these data leave
        them out.
    maps_are : ``counts``; ``rates``, counts times a factor that is determined; or ``fractions``, whose effective counts
        are estimated from their noise. The unknown is then in counts. None leaves the maps unchanged, with a guess.
    """

    path: str | None = None
    phantom: PhantomSpec | None = None
    reader: str | None = None
    haadf: Source | None = None
    maps: Annotated[dict[str, Source], Field(min_length=1)] | None = None
    spectra: dict[str, SpectrumSource] = Field(default_factory=dict)
    grid: Literal["haadf", "maps"] | None = None
    arrays: dict[str, str] = Field(default_factory=dict)
    prepare: list[Step] = Field(default_factory=list)
    normalize: Normalisation = "none"
    mask: dict[str, Mask] = Field(default_factory=dict)
    maps_are: Kind | None = None

    @field_validator("mask", mode="before")
    @classmethod
    def _one_or_each(cls, value: Any) -> Any:
        if isinstance(value, float) and value != value:  # YAML's .nan
            value = NAN
        each = value is None or (isinstance(value, dict) and not set(value) & set(Mask.model_fields))
        return (value or {}) if each else {"all": value}

    @field_validator("maps", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"is the text '{value}'; write a list of names: [{value}]")
        if value == []:
            raise ValueError("is an empty list; name the maps: [Co, O]")
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return value
        return {name: name for name in listed_once(value)}

    @field_validator("maps")
    @classmethod
    def _one_map_each(cls, maps: dict[str, Source] | None) -> dict[str, Source] | None:
        owners: dict[tuple[str, str | None], str] = {}
        for element, source in (maps or {}).items():
            place = (source.signal, source.path)
            if place in owners:
                former = owners[place]
                raise ValueError(f"'{source.signal}' is the map of both {former} and {element}; name another for one")
            owners[place] = element
        return maps

    @field_validator("arrays")
    @classmethod
    def _free_names(cls, arrays: dict[str, str]) -> dict[str, str]:
        for taken in ("haadf", "maps"):
            if taken in arrays:
                raise ValueError(f"the name '{taken}' is taken; use another, or the key data.{taken}")
        return arrays

    @model_validator(mode="after")
    def _one_source(self) -> DataOptions:
        sources = self._sources()  # those of ``arrays`` are in the file at ``path``
        if self.path is None and self.phantom is None and sources and all(s.path for s in sources) and not self.arrays:
            return self
        if (self.path is None) == (self.phantom is None):
            problem = "has neither 'path' nor 'phantom'" if self.path is None else "has both 'path' and 'phantom'"
            raise ValueError(f"{problem}; give one of them")
        if self.phantom is not None and self.reader is not None:
            raise ValueError("has a 'reader', but a phantom is not read from a file; remove it")
        if self.phantom is not None and (self.spectra or any(source.path for source in sources)):
            raise ValueError("has both 'phantom' and a file for image, maps or spectra; give one of them")
        if self.phantom is not None and any(s.reader or s.offset != 0 or s.scale != 1 for s in self._images()):
            raise ValueError("has a reader, offset or scale for the image or a map of a phantom; remove it")
        return self

    @model_validator(mode="after")
    def _one_stack_of_maps(self) -> DataOptions:
        if self.maps is not None and "maps" in self.spectra:
            raise ValueError("has both 'maps' and 'spectra.maps'; remove one, or give the spectra another name")
        for name in self.spectra:
            if name == "haadf" or name in self.arrays:
                raise ValueError(f"the name '{name}' of data.spectra is taken; use another")
        return self

    @model_validator(mode="after")
    def _masked_counts(self) -> DataOptions:
        for name, source in self.spectra.items():
            if source.subtract and {"all", name} & set(self.mask):
                raise ValueError(f"has a mask of '{name}', whose background is subtracted; remove 'subtract'")
        return self

    def _images(self) -> list[Source]:
        image = [] if self.haadf is None else [self.haadf]
        return [*image, *(self.maps or {}).values()]

    def _sources(self) -> list[Source | SpectrumSource]:
        """Everything but ``arrays``."""
        return [*self._images(), *self.spectra.values()]
