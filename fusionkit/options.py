"""Typed options of terms, solvers and readers: a pydantic model each, whose first error becomes one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusionkit.explain import explain

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight of the term, >= 0")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Options(BaseModel):
    """Base of every options model: unknown keys are errors, values are strict (no text for numbers) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    def term_name(self, kind: str) -> str | None:
        """Name of the term that these options of the type ``kind`` make; None where they have no ``name``."""
        return getattr(self, "name", None) or kind if "name" in type(self).model_fields else None


class Named(Options):
    """A named thing with its own options, written ``name`` or ``{KEY: name, option: value}``; KEY is the subclass's."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    key: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {cls.key: value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return dict(self.model_extra or {})


class Spec(Named):
    """A thing of a registered type, written ``name`` or ``{type: name, option: value}``."""

    key = "type"

    type: str


M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Validate ``values`` against ``model``; the first error is raised as a `UserError` at its config key.

    Parameters
    ----------
    model : the options model.
    values : what the YAML file says.
    where : config key of ``values``, the prefix of the key in the error.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, model, where) from None
