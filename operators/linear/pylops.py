"""Any ``pylops.LinearOperator`` by its name in that library."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from math import prod
from typing import Any

import numpy as np
import pylops
import pylops.medical
import pylops.signalprocessing
from pydantic import Field

from fusionkit.build import Context
from fusionkit.errors import UserError
from fusionkit.linear import PylopsMap
from fusionkit.operators.arguments import REFUSALS, call_with, resolve_arguments
from fusionkit.options import Options
from fusionkit.registry import suggestion

_MODULES = (pylops, pylops.signalprocessing, pylops.medical, pylops.waveeqprocessing, pylops.avo)
# their arguments are functions or operators of other array libraries, which a YAML file cannot hold
_NOT_FROM_YAML = frozenset({"LinearOperator", "FunctionOperator", "JaxOperator", "TorchOperator", "MemoizeOperator"})


class PylopsOptions(Options):
    """Options of ``pylops``."""

    operator: str
    arguments: dict[str, Any] = Field(default_factory=dict)


def pylops_map(options: PylopsOptions, context: Context) -> PylopsMap:
    """The linear operator ``operator`` of pylops with ``arguments``.

    Arguments may be numbers, texts, lists, ``{data: NAME}`` for an array of the dataset and ``{operator: SPEC}`` for
    another operator. ``dims`` defaults to the shape of the unknown and ``dtype`` to that of the problem. `UserError` if
    there is no such operator, or it rejects the arguments.
    """
    arguments = resolve_arguments(options.arguments, context)
    return pylops_operator(options.operator, arguments, context.shape, context.dtype, context.where)


def pylops_operator(
    name: str, arguments: Mapping[str, Any], domain: tuple[int, ...], dtype: np.dtype[Any], where: str
) -> PylopsMap:
    """The linear operator that pylops calls ``name``.

    `UserError` if there is no such operator, it is not linear, rejects the arguments, or does not have the size of the
    unknown; or its values are complex.

    Parameters
    ----------
    name : of a class of pylops, ``pylops.signalprocessing``, ``.medical``, ``.waveeqprocessing`` or ``.avo``.
    arguments : of its constructor, references resolved (`resolve_arguments`); ``dims`` defaults to ``domain`` and ``N``
        to its size, ``dtype`` to ``dtype``.
    domain : shape of the unknown.
    dtype : of the unknown.
    where : config key of the spec with ``operator`` and ``arguments``, for error messages.
    """
    factory = _maker_of(name, f"{where}.operator")
    defaults = {"dims": domain, "dtype": dtype}
    if "N" in inspect.signature(factory).parameters:
        defaults["N"] = prod(domain)
    operator = call_with(factory, arguments, defaults, dtype, f"{where}.arguments")
    if not isinstance(operator, pylops.LinearOperator):
        raise UserError(f"{where}.operator", f"pylops' '{name}' is no single LinearOperator", "use another one")
    image = _image_of(operator, name, domain, f"{where}.arguments")
    _try_out(operator, name, dtype, where)
    return PylopsMap(operator, domain, image)


def _image_of(operator: pylops.LinearOperator, name: str, domain: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Shape of its output; `UserError` if its sizes are not numbers or not those of the unknown."""
    try:
        size, image = operator.shape[1], _range_of(operator, domain)
    except REFUSALS as error:  # pylops multiplies sizes without checks
        raise UserError(where, f"{name} has no sizes: {error}", "give whole numbers") from error
    if size != prod(domain):
        problem = f"{name} takes {size} values but the unknown has {prod(domain)} {domain}"
        raise UserError(where, problem, "change the sizes")
    return image


def _range_of(operator: pylops.LinearOperator, domain: tuple[int, ...]) -> tuple[int, ...]:
    image = tuple(int(size) for size in np.atleast_1d(operator.dimsd))
    if image == (prod(domain),):  # an operator without shapes that keeps the size
        return domain
    return image if prod(image) == operator.shape[0] else (operator.shape[0],)


@cache
def _makers() -> Mapping[str, Callable[..., Any]]:
    """Every linear operator of pylops that a YAML file can make, by name."""
    return {
        name: thing
        for module in reversed(_MODULES)
        for name, thing in vars(module).items()
        if name not in _NOT_FROM_YAML and _makes_operator(name, thing)
    }


def _makes_operator(name: str, thing: Any) -> bool:
    """Whether it is a class of operators, or a function named like one (``Radon2D`` returns one of two classes)."""
    if inspect.isclass(thing):
        return issubclass(thing, pylops.LinearOperator)
    return inspect.isfunction(thing) and name[0].isupper()


def _maker_of(name: str, where: str) -> Callable[..., Any]:
    if name in _makers():
        return _makers()[name]
    exists = any(hasattr(module, name) for module in _MODULES)
    problem = f"pylops' '{name}' is not a LinearOperator that a config can make" if exists else ""
    raise UserError(where, problem or f"pylops has no LinearOperator '{name}'", suggestion(name, _makers()))


def _try_out(operator: pylops.LinearOperator, name: str, dtype: np.dtype[Any], where: str) -> None:
    """Apply it and its adjoint once, so that errors appear before the first iteration."""
    try:
        image = operator.matvec(np.zeros(operator.shape[1], dtype))
        operator.rmatvec(image)
    except REFUSALS as error:
        raise UserError(f"{where}.arguments", f"{name} cannot be applied: {error}", "see its documentation") from error
    if np.iscomplexobj(image):
        raise UserError(f"{where}.operator", f"{name} returns complex values", "only real operators can be used")
