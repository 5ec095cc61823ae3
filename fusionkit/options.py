"""Typed options of terms, solvers and readers: a pydantic model each, whose first error becomes one clear line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fusionkit.errors import UserError
from fusionkit.registry import suggestion

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight of the term, >= 0")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Options(BaseModel):
    """Base of every options model: unknown keys are errors, values are strict (no text for numbers) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())


class Spec(Options):
    """A named thing with its own options, written ``name`` or ``{type: name, option: value}``."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    type: str

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"type": value} if isinstance(value, str) else value

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the type."""
        return dict(self.model_extra or {})


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
        raise _first_error(error, model, where) from None


def _first_error(error: ValidationError, model: type[BaseModel], where: str) -> UserError:
    # a misspelt key usually causes a missing one too: the misspelling is the better message
    errors = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    first = errors[0]
    key = join(where, first["loc"])
    if first["type"] == "extra_forbidden":
        return UserError(key, "unknown key", suggestion(str(first["loc"][-1]), _siblings(model, first["loc"])))
    if first["type"] == "missing":
        return UserError(key, "is missing", "add it")
    if first["type"] == "value_error":  # a validator of ours: its text is the message
        return UserError(key, str(first["ctx"]["error"]))
    said = first["msg"][0].lower() + first["msg"][1:]
    given = first["input"]
    shown = f", got {given!r}" if isinstance(given, str | int | float | bool | None) else ""
    return UserError(key, said + shown)


def _siblings(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The keys that the model at ``loc[:-1]`` knows; the outermost model's where the path cannot be followed."""
    current: Any = model
    for part in loc[:-1]:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            break
        annotation = fields[part].annotation
        inner = [a for a in (annotation, *getattr(annotation, "__args__", ())) if hasattr(a, "model_fields")]
        if not inner:
            break
        current = inner[0]
    return [info.alias or name for name, info in current.model_fields.items()]


def join(where: str, loc: tuple[int | str, ...]) -> str:
    """``terms`` and (0, 'gamma') make ``terms[0].gamma``."""
    key = where
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if key else part
    return key
