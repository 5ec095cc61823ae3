"""The config's ``data``: what to read or simulate, and how to normalise it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fusionkit.data.counts.kind import Kind
from fusionkit.data.data_sources import Source, SpectrumSource
from fusionkit.data.normalise import Normalisation
from fusionkit.data.phantoms.spec import PhantomSpec
from fusionkit.data.prepare.spec import Step
from fusionkit.options import Options


class DataOptions(Options):
    """Options of ``data``; either ``path`` or ``phantom`` must be given.

    Parameters
    ----------
    path : file of the recording, relative to the config's folder; not needed where every source names its own.
    phantom : what to simulate instead.
    reader : name of the file's format; None to go by the suffix.
    haadf : name of the HAADF image in the file, or {path, signal, offset, scale} where it stands in another file or
        in other units; a phantom's is ``HAADF`` and need not be named.
    maps : name in the file of each element's map, in the order that is kept everywhere; a list where the names are the
        elements, or {path, signal, offset, scale} each. A phantom's maps are all taken where this is None.
    spectra : stacks of counts from spectrum images, by the name of the array that they become; the stack called
        ``maps`` stands for the key ``maps``. The unknown has a map of every element that any stack names.
    grid : ``haadf`` or ``maps``: whose pixels the unknown has; None where image and maps have one shape.
    arrays : further arrays of any shape: the name that terms use, and the name in the file. They are not normalised.
    prepare : steps that image and maps go through, in this order, before they are normalised.
    normalize : what is done to the HAADF image and to each map, each on its own: ``minmax`` maps its least value to 0
        and its greatest to 1, ``max`` divides by its greatest value, ``none`` (the default) keeps counts as they are.
    maps_are : ``counts``; ``rates``, counts times a factor that is found; or ``fractions``, whose effective counts are
        estimated from their noise. The unknown is then in counts. None leaves the maps as they are, and guesses.
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
    maps_are: Kind | None = None

    @field_validator("maps", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"is the text '{value}'; write a list of names: [{value}]")
        if value == []:
            raise ValueError("is an empty list; name the maps: [Co, O]")
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return value
        double = [name for name in value if value.count(name) > 1]
        if double:
            raise ValueError(f"the element '{double[0]}' stands there twice; name each once")
        return {name: name for name in value}

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
        sources = self._sources()  # what stands in ``arrays`` is in the file at ``path``
        if self.path is None and self.phantom is None and sources and all(s.path for s in sources) and not self.arrays:
            return self
        if (self.path is None) == (self.phantom is None):
            given = "has neither 'path' nor 'phantom'" if self.path is None else "has both 'path' and 'phantom'"
            raise ValueError(f"{given}; give one of them")
        if self.phantom is not None and self.reader is not None:
            raise ValueError("has a 'reader', but a phantom is not read; remove it")
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

    def _images(self) -> list[Source]:
        image = [] if self.haadf is None else [self.haadf]
        return [*image, *(self.maps or {}).values()]

    def _sources(self) -> list[Source | SpectrumSource]:
        """Everything but ``arrays``."""
        return [*self._images(), *self.spectra.values()]
