r"""Data-fidelity terms :math:`T(x) = w \sum_k \varphi(m_k(x); b_k)`: a loss of a forward model against data.

`fidelity` selects the class of the term, whose type declares what it can do:

=======================  ===================================================================================
forward model            the term is
=======================  ===================================================================================
identity on maps         pixelwise and proximable; smooth where the loss is
pixelwise                pixelwise; smooth where loss and model are
some of the maps         pixelwise and composed; smooth where the loss is
linear                   composed (the loss as functional, the map as operator); smooth where the loss is
any other                differentiable; smooth where loss and model are
=======================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import KeepsReadOnly
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps
from fusionkit.errors import UserError
from fusionkit.linear import require_adjoint
from fusionkit.operators.fidelity.loss import Loss, LossFunctional, weighted_sum
from fusionkit.operators.forward import Forward, Jet, LinearForward, PixelwiseChain, PixelwiseForward
from fusionkit.operators.forward.elements import SelectedMaps
from fusionkit.operators.forward.identity import Identity
from fusionkit.terms import Array, Composed, Differentiable, Expansion, Pixelwise, Proximable, Smooth, Term

__all__ = ["Fidelity", "Forward", "Jet", "LinearForward", "Loss", "PixelwiseForward", "fidelity"]


@dataclass(frozen=True, eq=False)
class Fidelity(KeepsReadOnly, Term):
    r"""A data-fidelity term, :math:`w \sum_k \varphi(m_k(x); b_k)`; made by `fidelity`.

    Parameters
    ----------
    name : of the term.
    weight : w >= 0.
    loss : phi.
    forward : m.
    data : b, of the shape of ``forward.range``, in the dtype of the problem, read-only.
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
        return weighted_sum(self.weight, self.loss.values(self.forward.apply(x), self.data))

    def predict(self, x: Array) -> Array:
        """The forward model at ``x``, of the shape and in the units of the data."""
        return self.forward.apply(x)

    def expected(self, x: Array) -> Array:
        """The mean of the data for the unknown ``x``, background included."""
        return self.loss.mean(self.forward.apply(x))

    def in_counts(self, units: Mapping[str, float], labels: tuple[str, ...]) -> Fidelity:
        """The term for an unknown in counts c: the maps are predicted from c, other data from f c.

        Parameters
        ----------
        units : f_i, the value of one count of an element in the original units of its map.
        labels : elements of the unknown.

        Raises
        ------
        UserError : an element has no unit, or the forward model cannot be rescaled.
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

    @property
    def noise(self) -> str:
        """The noise model of the loss, see `fusionkit.operators.fidelity.loss.Loss`."""
        return self.loss.noise


class DifferentiableFidelity(Fidelity, Differentiable):
    """A fidelity with a gradient wherever its value is finite."""

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w J(x)' phi'(m(x); b)."""
        return _chain(self, x, out)


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

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w K' phi'(K x + a; b)."""
        return _chain(self, x, out)


class SelectedFidelity(ComposedFidelity, Pixelwise):
    """A loss of some of the maps with factors and background: pixelwise, without coupling, and composed as well."""

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w K' phi'(K x + a; b)."""
        return _chain(self, x, out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        r"""g = w s phi'(m; b) and c = w s^2 phi''(m; b) of the chosen maps, 0 for the others; without coupling."""
        first, second = self.loss.slopes(self._predict(x, rows), self.data[:, rows])
        return Expansion(self._spread(first, x, 1), self._spread(second, x, 2))

    def pixel_values(self, x: Array, rows: slice) -> Array:
        """Weighted value at each pixel, shape (rows, nx)."""
        values = self.loss.values(self._predict(x, rows), self.data[:, rows]).sum(axis=0)
        values *= self.weight
        return values

    def information(self, x: Array, rows: slice) -> Array:
        """w s^2 times the expected second derivative of the loss at each value, (n, rows, nx)."""
        return self._spread(self.loss.information(self._predict(x, rows)), x, 2)

    @property
    def kernel(self) -> Kernel | None:
        """The compiled kernel of the term; None without one."""
        scalars = self.loss.scalars
        return None if scalars is None else LossOfMaps(scalars, self.weight, self.data, **self._maps.kernel_options)

    def _predict(self, x: Array, rows: slice) -> Array:
        prediction, offset = self._maps.linear_map.apply(x), self._maps.offset
        return prediction if offset is None else prediction + offset[:, rows]

    def _spread(self, values: Array, x: Array, power: int) -> Array:
        """w s^power times the values at the chosen maps, 0 for the others."""
        selection, spread = self._maps.linear_map, np.zeros_like(x)
        factors = np.asarray(selection.factors, x.dtype).reshape(-1, 1, 1) ** power
        spread[list(selection.indices)] = values * (x.dtype.type(self.weight) * factors)
        return spread

    @property
    def _maps(self) -> SelectedMaps:
        assert isinstance(self.forward, SelectedMaps)
        return self.forward


class SmoothSelectedFidelity(SelectedFidelity, Smooth):
    """A loss of some of the maps whose gradient is finite on x >= 0."""

    smooth = True


class PixelwiseFidelity(Fidelity, Pixelwise):
    """A fidelity of a pixelwise prediction; its gradient may be unbounded at x = 0."""

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w phi'(m) times the slope of m."""
        jet = self._model.jet(x, second=False)
        slope = self.loss.derivative(jet.prediction, self.data)
        slope *= self.weight
        return np.multiply(jet.slope, slope, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        r"""The convex second-order model at the rows ``rows`` of the unknown.

        With s the slope and d the bend of the prediction: :math:`g = w \varphi' s`, :math:`c = \max(w \varphi' d, 0)`
        and, if the prediction adds up the elements, :math:`u = \sqrt{w \varphi''}\, s`; otherwise the elements are
        not coupled and c includes :math:`w \varphi'' s^2`. For a chain f(s(x)), s and d are those of s(x),
        :math:`\varphi' f'` replaces :math:`\varphi'` and :math:`\max(\varphi'' f'^2 + \varphi' f'', 0)` replaces
        :math:`\varphi''`.

        Parameters
        ----------
        x : shape (n, rows, nx).
        rows : the rows of the data that it belongs to.
        """
        jet, first, second = self._by_prediction(x, self.data[..., rows, :])
        first *= self.weight
        second *= self.weight
        gradient = first * jet.slope
        curvature = np.empty_like(x)
        np.multiply(first, 0.0 if jet.bend is None else jet.bend, out=curvature)
        np.maximum(curvature, 0.0, out=curvature)
        if jet.prediction.ndim < x.ndim:
            np.sqrt(second, out=second)
            return Expansion(gradient, curvature, second * jet.slope)
        second *= jet.slope * jet.slope
        curvature += second
        return Expansion(gradient, curvature)

    def pixel_values(self, x: Array, rows: slice) -> Array:
        """Weighted value at each pixel, shape (rows, nx)."""
        values = self.loss.values(self.forward.apply(x), self.data[..., rows, :])
        values *= self.weight
        return values if values.ndim < x.ndim else values.sum(axis=0)

    def _by_prediction(self, x: Array, data: Array) -> tuple[Jet, Array, Array]:
        """The jet of m(x) with phi' and phi'' by m; for a chain f(s(x)) the jet of s(x), with derivatives by s."""
        model = self._model
        if not isinstance(model, PixelwiseChain):
            jet = model.jet(x)
            return jet, *self.loss.slopes(jet.prediction, data)
        jet, f = model.inner.jet(x), model.function
        first, second = self.loss.slopes(f.value(jet.prediction), data)
        slope = f.slope(jet.prediction)
        second *= slope * slope
        second += first * f.curvature(jet.prediction)
        first *= slope
        return jet, first, np.maximum(second, 0.0, out=second)

    @property
    def kernel(self) -> Kernel | None:
        """The compiled kernel of the term; None without one."""
        return self.loss.kernel(self.weight, self.forward, self.data)

    @property
    def _model(self) -> PixelwiseForward:
        assert isinstance(self.forward, PixelwiseForward)
        return self.forward


class SmoothPixelwiseFidelity(PixelwiseFidelity, Smooth):
    """A fidelity of a pixelwise prediction whose gradient is finite on x >= 0."""


class IdentityFidelity(PixelwiseFidelity, Proximable):
    """A loss of the maps themselves: without coupling, and with the prox of the loss."""

    def value(self, x: Array) -> float:
        """Weighted loss at ``x``, accumulated in float64."""
        return weighted_sum(self.weight, self.loss.values(x, self.data))

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w phi'(x; b)."""
        return np.multiply(self.loss.derivative(x, self.data), self.weight, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        """g = w phi'(x; b), c = w phi''(x; b), without coupling."""
        first, second = self.loss.slopes(x, self.data[:, rows])
        first *= self.weight
        second *= self.weight
        return Expansion(first, second)

    def information(self, x: Array, rows: slice) -> Array:
        """w times the expected second derivative of the loss at each value, (n, rows, nx)."""
        information = self.loss.information(x)
        information *= self.weight
        return information

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        """The exact prox of the loss at ``v`` with the step ``step`` times the weight."""
        result = self.loss.prox(v, self.data, step * self.weight)
        if out is None:
            return result
        np.copyto(out, result)
        return out


class SmoothIdentityFidelity(IdentityFidelity, Smooth):
    """A loss of the maps themselves whose gradient is finite on x >= 0."""


def fidelity(
    name: str,
    weight: float,
    loss: Loss,
    forward: Forward,
    data: npt.ArrayLike,
    where: str | None = None,
    target: str = "",
    labels: tuple[str, ...] = (),
) -> Fidelity:
    r"""The term :math:`w \sum_k \varphi(m_k(x); b_k)`, of the class that declares what it can do.

    Parameters
    ----------
    name : of the term.
    weight : w, finite and >= 0.
    loss : phi.
    forward : m.
    data : b, of the shape of ``forward.range`` (any shape of the same size if that is flat); its floating dtype is the
        dtype of the problem, integers become float64. The array is not copied: do not modify it.
    where : config key for error messages; the name of the term by default.
    target : name of the data in the dataset.
    labels : elements of the unknown, for error messages.

    Raises
    ------
    UserError : the weight is negative or not finite, or the data are complex, not finite, unlike the prediction in
        shape, or outside the range of the loss.
    """
    where = where or name
    if not (isfinite(weight) and weight >= 0):
        raise UserError(where, f"the weight is {weight}", "it must be finite and >= 0")
    b = _checked(np.asarray(data), forward, where)
    loss.check(b, where, labels)
    smooth = forward.smooth and loss.smooth_on(forward.nonnegative)
    return _class_of(forward, smooth)(name, float(weight), loss, forward, b, target)


def _class_of(forward: Forward, smooth: bool) -> type[Fidelity]:
    if isinstance(forward, Identity):
        return SmoothIdentityFidelity if smooth else IdentityFidelity
    if isinstance(forward, PixelwiseForward):
        return SmoothPixelwiseFidelity if smooth else PixelwiseFidelity
    if isinstance(forward, SelectedMaps):
        return SmoothSelectedFidelity if smooth else SelectedFidelity
    if isinstance(forward, LinearForward):
        return SmoothComposedFidelity if smooth else ComposedFidelity
    return SmoothFidelity if smooth else DifferentiableFidelity


def _checked(data: npt.NDArray[Any], forward: Forward, where: str) -> Array:
    """The data as a read-only floating array of the shape of the prediction."""
    if data.dtype.kind not in "fiub":
        raise UserError(where, f"the data are of type {data.dtype}", "give real numbers")
    b = data.astype(np.float64) if data.dtype.kind != "f" else data.view()
    if b.shape != forward.range and not (len(forward.range) == 1 and b.size == prod(forward.range)):
        raise UserError(
            where,
            f"the forward model predicts shape {forward.range} but the data have shape {b.shape}",
            "choose the data or the forward model so that they agree",
        )
    b = b.reshape(forward.range)
    b.flags.writeable = False
    return b


def _chain(term: Fidelity, x: Array, out: Array | None) -> Array:
    """w J(x)' phi'(m(x); b), written into ``out``."""
    residual = term.loss.derivative(term.forward.apply(x), term.data)
    residual *= term.weight
    gradient = term.forward.adjoint(x, residual)
    if out is None:
        return gradient
    np.copyto(out, gradient)
    return out
