"""Arguments in a YAML file for a class of another library: resolved and checked, with errors in one line."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.functional import to_pyproximal
from fusionkit.linear import to_pylops
from fusionkit.options import Spec, parse
from fusionkit.registry import suggestion

# raised by constructors of pylops and pyproximal for an argument of the wrong type, size or value
REFUSALS = (TypeError, ValueError, LookupError, AttributeError, NotImplementedError, ArithmeticError, ImportError)


def resolve_arguments(arguments: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """The arguments with their references resolved.

    ``{data: NAME}`` becomes that array of the dataset, ``{operator: SPEC}`` a ``pylops.LinearOperator`` on the unknown,
    ``{functional: SPEC}`` a ``pyproximal.ProxOperator`` on a vector of the unknown's shape. `UserError` at
    ``arguments.NAME`` for a reference to nothing.

    Parameters
    ----------
    arguments : from the YAML file.
    context : of the object with these arguments; its ``shape`` is that of the unknown.
    """
    inner = context.at("arguments")
    return {name: _resolve(value, inner.at(name)) for name, value in arguments.items()}


def _resolve(value: Any, context: Context) -> Any:
    if isinstance(value, list):
        return [_resolve(item, context) for item in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"data"} and isinstance(value["data"], str):
        return context.array(value["data"])
    if set(value) == {"operator"}:
        return to_pylops(context.build("operators", _spec(value, "operator", context), "operator"), context.dtype)
    if set(value) == {"functional"}:
        return to_pyproximal(context.build("functionals", _spec(value, "functional", context), "functional"))
    raise UserError(
        context.where, "is not a value", "write {data: NAME}, {operator: ...}, {functional: ...}, or a number"
    )


def _spec(value: Mapping[str, Any], key: str, context: Context) -> Spec:
    inner = value[key]
    return parse(Spec, {"type": inner} if isinstance(inner, str) else inner, context.at(key).where)


def call_with(
    factory: Callable[..., Any],
    arguments: Mapping[str, Any],
    defaults: Mapping[str, Any],
    dtype: np.dtype[Any],
    where: str,
) -> Any:
    """``factory(**arguments)``, with lists converted to arrays for array parameters.

    `UserError` if an argument is unknown or missing, or the factory rejects its value.

    Parameters
    ----------
    factory : the class.
    arguments : resolved arguments by name.
    defaults : values of parameters that the arguments lack.
    dtype : of the arrays made from lists.
    where : config key of the arguments.
    """
    parameters = inspect.signature(factory).parameters
    for name in arguments:
        if name not in parameters:
            raise UserError(f"{where}.{name}", "unknown argument", suggestion(name, parameters))
    values = {name: value for name, value in defaults.items() if name in parameters}
    values |= {name: _typed(value, parameters[name], dtype) for name, value in arguments.items()}
    for name, parameter in parameters.items():
        if name not in values and parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            raise UserError(f"{where}.{name}", "is missing", f"{factory.__name__} needs it")
    try:
        return factory(**values)
    except REFUSALS as error:
        raise UserError(where, f"{factory.__name__} rejects them: {error}", "see its documentation") from error


def _typed(value: Any, parameter: inspect.Parameter, dtype: np.dtype[Any]) -> Any:
    """Lists as arrays for array parameters, as tuples for the others (shapes, axes)."""
    if not isinstance(value, list):
        return value
    if not _is_numbers(value):
        return value
    array = np.asarray(value)
    # NDArray[np.number] is an array of values; sizes and axes are Sequence[int] | NDArray[np.integer]
    takes_values = "ndarray" in str(parameter.annotation) and "number" in str(parameter.annotation)
    return array.astype(dtype) if takes_values or array.dtype.kind == "f" else _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _is_numbers(value: list[Any]) -> bool:
    return all(_is_numbers(item) if isinstance(item, list) else isinstance(item, int | float) for item in value)
