"""A phantom by name, with its options."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, model_validator

from fusionkit.build import options_of
from fusionkit.data import Dataset
from fusionkit.memory import require
from fusionkit.options import Options
from fusionkit.phantom_base import PhantomOptions
from fusionkit.registry import lookup


class PhantomSpec(Options):
    """A phantom and its options, written ``name`` or ``{preset: name, option: value}``."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    preset: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the preset."""
        return dict(self.model_extra or {})


def phantom_options(spec: PhantomSpec, where: str) -> Options:
    """The phantom's options, defaults filled in; `UserError` at ``where`` and below."""
    return options_of(lookup("phantoms", spec.preset, f"{where}.preset"), spec.options, where)


def simulate_dataset(spec: PhantomSpec, where: str) -> Dataset:
    """The phantom's data, refused before the first allocation where they need more memory than there is."""
    options: Any = phantom_options(spec, where)
    if isinstance(options, PhantomOptions):
        require(options.bytes_needed(), where)
    return lookup("phantoms", spec.preset, f"{where}.preset")(options)
