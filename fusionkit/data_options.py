"""The config's ``data``: what to read or simulate, and how to normalise it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from fusionkit.normalise import Normalisation
from fusionkit.options import Options
from fusionkit.phantom_spec import PhantomSpec


class DataOptions(Options):
    """Options of ``data``; either ``path`` or ``phantom`` must be given.

    Parameters
    ----------
    path : file of the recording, relative to the config's folder.
    phantom : what to simulate instead.
    reader : name of the file's format; None to go by the suffix.
    haadf : name of the HAADF image in the file; a phantom's is ``HAADF`` and need not be named.
    maps : name in the file of each element's map, in the order that is kept everywhere; a list where the names are the
        elements. A phantom's maps are all taken where this is None.
    arrays : further arrays of any shape: the name that terms use, and the name in the file. They are not normalised.
    normalize : what is done to the HAADF image and to each map, each on its own: ``minmax`` maps its least value to 0
        and its greatest to 1, ``max`` divides by its greatest value, ``none`` (the default) keeps counts as they are.
    """

    path: str | None = None
    phantom: PhantomSpec | None = None
    reader: str | None = None
    haadf: str | None = None
    maps: Annotated[dict[str, str], Field(min_length=1)] | None = None
    arrays: dict[str, str] = Field(default_factory=dict)
    normalize: Normalisation = "none"

    @field_validator("maps", mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            return value
        double = [name for name in value if value.count(name) > 1]
        if double:
            raise ValueError(f"the element '{double[0]}' stands there twice; name each once")
        return {name: name for name in value}

    @field_validator("maps")
    @classmethod
    def _one_map_each(cls, maps: dict[str, str] | None) -> dict[str, str] | None:
        owners: dict[str, str] = {}
        for element, name in (maps or {}).items():
            if name in owners:
                raise ValueError(f"'{name}' is the map of both {owners[name]} and {element}; name another for one")
            owners[name] = element
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
        if (self.path is None) == (self.phantom is None):
            given = "has neither 'path' nor 'phantom'" if self.path is None else "has both 'path' and 'phantom'"
            raise ValueError(f"{given}; give one of them")
        if self.phantom is not None and self.reader is not None:
            raise ValueError("has a 'reader', but a phantom is not read; remove it")
        return self
