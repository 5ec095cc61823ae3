r"""Penalties: a weighted functional of a linear map of the unknown, :math:`T(x) = g(K x)`."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.build import Context
from fusionkit.engines.kernel_terms import Kernel
from fusionkit.errors import UserError
from fusionkit.linear import IdentityMap, require_adjoint
from fusionkit.options import Options, Spec, Weight
from fusionkit.terms import Array, Composed, Functional, LinearMap, Proximable

IDENTITY = Spec(type="identity")


@runtime_checkable
class HasKernels(Protocol):
    """A functional that may have a compiled kernel with a linear map."""

    def kernel(self, linear_map: LinearMap) -> Kernel | None: ...


class ComposedPenalty(Composed):
    """A functional of a linear map of x and, for TGV, of an auxiliary unknown.

    Parameters
    ----------
    functional : g, weight included; a function with a prox (`fusionkit.functional`, any ``pyproximal.ProxOperator``)
        on the flattened range of ``operator``. It counts as convex unless its attribute ``convex`` is false.
    operator : K.
    name : of the term.
    auxiliary : A, from the auxiliary unknown to the range of K; None without one.
    kernel : the compiled kernel of the term; None calls ``functional.kernel(operator)`` if it has such a method.
    """

    def __init__(
        self,
        functional: Functional,
        operator: LinearMap,
        name: str,
        auxiliary: LinearMap | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        require_adjoint(operator, name)
        self.functional, self.operator, self.name, self.auxiliary = functional, operator, name, auxiliary
        self.convex = bool(getattr(functional, "convex", True))
        weight = getattr(functional, "sigma", None)  # functions of pyproximal have it too, not always as a number
        self.silent = isinstance(weight, float | int) and weight == 0.0
        self.kernel = functional.kernel(operator) if kernel is None and isinstance(functional, HasKernels) else kernel


class ProximableFunctional(Proximable):
    """A functional of x itself as a proximable term.

    Parameters
    ----------
    functional : g, weight included; a function with a prox on the flattened unknown.
    name : of the term.
    """

    def __init__(self, functional: Functional, name: str) -> None:
        self.functional, self.name = functional, name
        self.convex = bool(getattr(functional, "convex", True))

    def value(self, x: Array) -> float:
        """g(x)."""
        return float(self.functional(x.ravel()))

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        """The functional's prox, of the shape of ``v``."""
        result = self.functional.prox(v.ravel(), step).reshape(v.shape)
        if out is None:
            return result
        np.copyto(out, result)
        return out


class PenaltyOptions(Options):
    """Options of ``penalty``."""

    functional: Spec
    operator: Spec = IDENTITY
    weight: Weight = 1.0
    name: str | None = None


class NormPenaltyOptions(Options):
    """Options of the terms ``l1`` and ``l2``."""

    operator: Spec = IDENTITY
    weight: Weight = 1.0
    name: str | None = None


def penalty(options: PenaltyOptions, context: Context) -> Composed | Proximable:
    r"""Any functional of any linear map: :math:`T(x) = \mathrm{weight} \cdot g(K x)`.

    `UserError` if a name or option does not exist, or ``functional`` has a weight.

    Parameters
    ----------
    functional : g, the name of a functional.
    operator : K, the name of an operator; the identity by default.
    weight : >= 0.
    """
    # a resolved config writes out the default weight of the functional
    if options.functional.options.get("weight", 1.0) != 1.0:
        key = context.at("functional").at("weight").where
        raise UserError(key, "the weight belongs to the penalty", "give it as the 'weight' of the term")
    return _named(options.functional, options.operator, options.weight, options.name or "penalty", context)


def l1(options: NormPenaltyOptions, context: Context) -> Composed | Proximable:
    r"""Sparsity of any linear map: :math:`T(x) = \mathrm{weight} \cdot \|K x\|_1` (`penalty` with ``l1``)."""
    return _named(Spec(type="l1"), options.operator, options.weight, options.name or "l1", context)


def l2(options: NormPenaltyOptions, context: Context) -> Composed | Proximable:
    r"""Tikhonov penalty: :math:`T(x) = \tfrac12 \mathrm{weight} \cdot \|K x\|_2^2` (`penalty` with ``l2``)."""
    return _named(Spec(type="l2"), options.operator, options.weight, options.name or "l2", context)


def compose(functional: Functional, linear_map: LinearMap, name: str) -> Composed | Proximable:
    """The term ``functional(linear_map x)``: proximable if the map is the identity, otherwise composed."""
    if isinstance(linear_map, IdentityMap):
        return ProximableFunctional(functional, name)
    return ComposedPenalty(functional, linear_map, name)


def _named(functional: Spec, operator: Spec, weight: float, name: str, context: Context) -> Composed | Proximable:
    linear_map: LinearMap = context.build("operators", operator, "operator")
    weighted = Spec.model_validate({"type": functional.type, **functional.options, "weight": weight})
    # the functional acts on the range of the operator
    built: Functional = replace(context, shape=linear_map.range).build("functionals", weighted, "functional")
    return compose(built, linear_map, name)
