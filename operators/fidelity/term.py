"""Data-fidelity terms of any forward model, and of linear ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import KeepsReadOnly, into
from fusionkit.errors import UserError
from fusionkit.linear import require_adjoint
from fusionkit.operators.fidelity.loss import Loss, LossFunctional, missing_in, weighted_sum, without
from fusionkit.operators.forward import Forward, LinearForward
from fusionkit.terms import Array, Composed, Differentiable, Smooth, Term


@dataclass(frozen=True, eq=False)
class Fidelity(KeepsReadOnly, Term):
    r"""A data-fidelity term, :math:`w \sum_k \varphi(m_k(x); b_k)`; made by `fidelity`.

    Parameters
    ----------
    name : of the term.
    weight : w >= 0.
    loss : phi.
    forward : m.
    data : b, of the shape of ``forward.range``, in the dtype of the problem, read-only; NaN marks a datum that was not
        measured, which the sum leaves out.
    target : name of the data in the dataset; empty if they come from elsewhere.
    """

    name: str
    weight: float
    loss: Loss
    forward: Forward
    data: Array = field(repr=False)
    target: str = ""

    def __post_init__(self) -> None:
        # a convex loss of an affine prediction is convex; of other predictions it may not be
        object.__setattr__(self, "convex", self.forward.linear)

    def value(self, x: Array) -> float:
        """Weighted loss at ``x``, accumulated in float64."""
        return weighted_sum(self.weight, self.measured(self.loss.values(self.forward.apply(x), self.data)))

    def predict(self, x: Array) -> Array:
        """The forward model at ``x``, of the shape and in the units of the data."""
        return self.forward.apply(x)

    def expected(self, x: Array) -> Array:
        """The mean of the data for the unknown ``x``, background included."""
        return self.loss.mean(self.forward.apply(x))

    def in_counts(self, units: Mapping[str, float], labels: tuple[str, ...]) -> Fidelity:
        """The term for an unknown in counts c: the maps are predicted from c, other data from f c.

        `UserError` if an element has no unit, or the forward model cannot be rescaled.

        Parameters
        ----------
        units : f_i, the value of one count of an element in the original units of its map.
        labels : elements of the unknown.
        """
        if self.target == "maps":
            return self
        remedy = "give the maps in counts, or remove the key"
        missing = [label for label in labels if label not in units]
        if missing:
            problem = f"turns maps into counts, but {missing[0]} has none among data.maps"
            raise UserError("data.maps_are", problem, remedy)
        forward = self.forward.rescaled(np.array([units[label] for label in labels]))
        if forward is None:
            problem = f"turns maps into counts, but the model of {self.name} for '{self.target}' cannot be rescaled"
            raise UserError("data.maps_are", problem, remedy)
        return replace(self, forward=forward)

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w J(x)' phi'(m(x); b), where the value is differentiable."""
        residual = self.measured(self.loss.derivative(self.forward.apply(x), self.data))
        residual *= self.weight
        return into(out, self.forward.adjoint(x, residual))

    @cached_property
    def missing(self) -> npt.NDArray[np.bool_] | None:
        """Where data were not measured, of their shape; None if all were."""
        return missing_in(self.data)

    def measured(self, values: Array, rows: slice = slice(None)) -> Array:
        """The values at the rows ``rows`` of the data, with 0 in place of those that were not measured."""
        if self.missing is None:
            return values
        return without(values, self.missing if rows == slice(None) else self.missing[..., rows, :])

    def _slopes(self, prediction: Array, rows: slice) -> tuple[Array, Array]:
        """phi' and phi'' at the rows ``rows`` of the data, 0 where nothing was measured."""
        first, second = self.loss.slopes(prediction, self.data[..., rows, :])
        return self.measured(first, rows), self.measured(second, rows)

    @property
    def noise(self) -> str:
        """The noise model of the loss, see `fusionkit.operators.fidelity.loss.Loss`."""
        return self.loss.noise


class DifferentiableFidelity(Fidelity, Differentiable):
    """A fidelity with a gradient wherever its value is finite."""


class SmoothFidelity(DifferentiableFidelity, Smooth):
    """A fidelity whose gradient is finite on x >= 0."""


class ComposedFidelity(Fidelity, Composed):
    """A fidelity of a linear prediction: the functional is the weighted loss, the operator is K."""

    smooth = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.forward, LinearForward):
            raise TypeError(f"a composed fidelity needs a LinearForward, not {type(self.forward).__name__}")
        require_adjoint(self.forward.linear_map, self.name)
        functional = LossFunctional(self.loss, self.weight, self.data, self.forward.offset, self.smooth)
        object.__setattr__(self, "functional", functional)
        object.__setattr__(self, "operator", self.forward.linear_map)


class SmoothComposedFidelity(ComposedFidelity, Smooth):
    """A fidelity of a linear prediction whose gradient is finite on x >= 0."""

    smooth = True
