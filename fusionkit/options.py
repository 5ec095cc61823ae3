"""Typed options of terms, solvers and readers as pydantic models; their first error becomes a `UserError`."""

import inspect
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from fusionkit.errors import UserError
from fusionkit.registry import suggestion

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False, description="weight of the term, >= 0")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(ge=0)]
Ends = Annotated[list[Index], Field(min_length=2, max_length=2)]  # the first and the one after the last
Corners = Annotated[list[Index], Field(min_length=4, max_length=4)]  # the ends of the rows, then of the columns


def repeated(names: Iterable[str]) -> str | None:
    """The first name that is listed twice; None if all differ."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def listed_once(names: list[str]) -> list[str]:
    """The names; `ValueError`, for a validator, where one is listed twice."""
    double = repeated(names)
    if double is not None:
        raise ValueError(f"'{double}' is listed twice; name each once")
    return names


Names = Annotated[list[str], AfterValidator(listed_once)]


class Options(BaseModel):
    """Base of all options: unknown keys are errors, values are strict (no text for numbers) and frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, protected_namespaces=())

    def term_name(self, kind: str) -> str | None:
        """Name of the term of the type ``kind`` with these options; None for options without ``name``."""
        return getattr(self, "name", None) or kind if "name" in type(self).model_fields else None


class NoOptions(Options):
    """No options."""


class Named(Options):
    """A name with options, written ``name`` or ``{KEY: name, option: value}``; a subclass sets KEY."""

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
    """A registered type with options, written ``name`` or ``{type: name, option: value}``."""

    key = "type"

    type: str


class Existing(Spec):
    """An object in place of a type and options.

    Parameters
    ----------
    made : the object.
    """

    made: Any


M = TypeVar("M", bound=BaseModel)
Location = tuple[int | str, ...]


def parse(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """Validate ``values`` against ``model``; the first error is raised as a `UserError` at its config key.

    Parameters
    ----------
    model : the options model.
    values : from the YAML file.
    where : config key of ``values``, the prefix of the key in the error.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise explain(error, model, where) from None


def options_model(factory: Any) -> type[Options]:
    """The options model of a factory: the annotation of its first parameter, or of the attribute ``options``.

    The attribute counts for a class without a constructor of its own, such as a solver. `UserError` if there is no such
    annotation.
    """
    try:
        function = factory.__init__ if inspect.isclass(factory) else factory
        first = next((name for name in inspect.signature(function).parameters if name != "self"), "")
        model = get_type_hints(function).get(first)
        if inspect.isclass(factory) and "__init__" not in vars(factory):
            own = get_type_hints(factory).get("options", Any)
            model = model if own is Any else own
    except NameError:  # a name in an annotation that is imported for type checkers only
        model = None
    if not (inspect.isclass(model) and issubclass(model, Options)):
        where = f"{factory.__module__}.{factory.__qualname__}"
        remedy = "annotate it with a subclass of fusionkit.options.Options, imported at run time"
        raise UserError(where, "its first parameter is not annotated with a model of its options", remedy)
    return model


def options_of(factory: Any, values: Mapping[str, Any], where: str) -> Options:
    """The factory's options, validated from values of the YAML file."""
    return parse(options_model(factory), values, where)


def explain(error: ValidationError, model: type[BaseModel], where: str) -> UserError:
    """The first error of ``model``, whose values are at the config key ``where``, as one line."""
    # a misspelt key usually causes a missing one too; the misspelling makes the better message
    errors = sorted(error.errors(), key=lambda item: item["type"] != "extra_forbidden")
    first = errors[0]
    loc, annotation = _follow(model, first["loc"])
    for other in errors[1:]:  # of alternatives at one key, the user meant the one that matched deepest
        deeper, inner = _follow(model, other["loc"])
        if len(deeper) > len(loc) and deeper[: len(loc)] == loc:
            first, loc, annotation = other, deeper, inner
            break
    key = join(where, loc)
    if first["type"] == "extra_forbidden":
        known = _keys(_follow(model, first["loc"][:-1])[1])
        return UserError(key, "unknown key", suggestion(str(loc[-1]), known) if known else "remove it")
    if first["type"] == "missing":
        return UserError(key, "is missing", f"add it: {describe(annotation)}")
    if first["type"] == "value_error":  # from our own validator, whose text is the message
        return UserError(key, str(first.get("ctx", {}).get("error")))
    value, must = first["input"], describe(annotation)
    if first["type"] == "finite_number":
        must = must.replace("a number", "a finite number", 1)
    return UserError(key, f"must be {must}, got {_shown(value)}", _near(value, annotation))


def join(where: str, loc: Location) -> str:
    """``terms`` and (0, 'gamma') make ``terms[0].gamma``."""
    key = where
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part}" if key else part
    return key


def describe(annotation: Any) -> str:
    """The type in plain words: ``a number > 0 and <= 4``."""
    core, metadata = _unwrap(annotation)
    members = _members(core)
    if len(members) > 1:
        return " or ".join(describe(member) for member in members)
    core, more = _unwrap(members[0])
    metadata = [*metadata, *more]
    origin, arguments = get_origin(core), get_args(core)
    if origin is Literal:
        texts = [repr(choice) for choice in arguments]
        return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"
    if isinstance(core, type) and issubclass(core, BaseModel):
        # its options belong to another model, or the name alone may be enough
        if core.model_config.get("extra") == "allow" or getattr(core, "by_name", False):
            return f"a name or a mapping with '{_keys(core)[0]}'"
        return f"a mapping with the keys {', '.join(_keys(core))}"
    if origin in (list, tuple, set, frozenset):
        return f"a list{_sizes(metadata)}{_each('entry', arguments[0])}"
    if origin is dict:
        return f"a mapping{_sizes(metadata)}{_each('value', arguments[1])}"
    plain = {float: "a number", int: "a whole number", bool: "true or false", str: "a text", dict: "a mapping"}
    return plain.get(core, "another value") + _limits(metadata)


def _each(part: str, annotation: Any) -> str:
    return "" if annotation is Any else f", each {part} {describe(annotation)}"


def _follow(model: Any, loc: Location) -> tuple[Location, Any]:
    """The location without pydantic's labels of alternatives, and the type expected there."""
    current, kept = model, []
    for index, part in enumerate(loc):
        members = _members(_unwrap(current)[0])
        if len(members) > 1:  # ``part`` is the label of an alternative
            if index == len(loc) - 1:
                break
            current = next((member for member in members if _holds(member, loc[index + 1])), Any)
            continue
        core = _unwrap(members[0])[0]
        kept.append(part)
        if isinstance(core, type) and issubclass(core, BaseModel):
            fields = {info.alias or name: info for name, info in core.model_fields.items()}
            current = _annotated(fields[str(part)]) if part in fields else Any
        else:
            arguments = get_args(core)
            current = arguments[-1] if get_origin(core) is dict else arguments[0] if arguments else Any
    return tuple(kept), current


def _holds(annotation: Any, part: int | str) -> bool:
    core = _unwrap(annotation)[0]
    if isinstance(part, int):
        return get_origin(core) in (list, tuple)
    return get_origin(core) is dict or (isinstance(core, type) and issubclass(core, BaseModel))


def _annotated(info: FieldInfo) -> Any:
    return Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation


def _unwrap(annotation: Any) -> tuple[Any, list[Any]]:
    """The bare type and its limits."""
    if get_origin(annotation) is not Annotated:
        return annotation, []
    core, *metadata = get_args(annotation)
    return core, [limit for item in metadata for limit in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _members(annotation: Any) -> list[Any]:
    """The alternatives of a union, without None."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for member in get_args(annotation) if member is not NoneType]
    return [annotation]


def _limits(metadata: list[Any]) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    limits = [(sign, getattr(item, name, None)) for item in metadata for name, sign in signs.items()]
    words = [f"{sign} {limit:g}" for sign, limit in limits if limit is not None]
    return f" {' and '.join(words)}" if words else _sizes(metadata)


def _sizes(metadata: list[Any]) -> str:
    least = next((item.min_length for item in metadata if hasattr(item, "min_length")), 0)
    most = next((item.max_length for item in metadata if hasattr(item, "max_length")), None)
    if most is not None:
        return f" of {least} entries" if least == most else f" of {least} to {most} entries"
    return {0: "", 1: " that is not empty"}.get(least, f" of at least {least} entries")


def _keys(annotation: Any) -> list[str]:
    """The keys of the model in an annotation; empty without a model."""
    for member in _members(_unwrap(annotation)[0]):
        core = _unwrap(member)[0]
        if isinstance(core, type) and issubclass(core, BaseModel):
            return [info.alias or name for name, info in core.model_fields.items()]
    return []


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else f"the text {value[:40]!r}..."
    if isinstance(value, int | float):
        return str(value)[:40]
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a mapping" if isinstance(value, Mapping) else f"{str(value)[:40]} ({type(value).__name__})"


def _near(value: Any, annotation: Any) -> str:
    """``did you mean 'x'?`` for a misspelt choice."""
    choices = [
        choice
        for member in _members(_unwrap(annotation)[0])
        if get_origin(_unwrap(member)[0]) is Literal
        for choice in get_args(_unwrap(member)[0])
        if isinstance(choice, str)
    ]
    near = suggestion(value, choices) if isinstance(value, str) and choices else ""
    return near if near.startswith("did") else ""
