r"""Losses :math:`\varphi(m; b)`, elementwise and convex, which compare a prediction with the data."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fusionkit.engines.kernel_terms import Kernel, LossOfMaps, LossOfSum
from fusionkit.engines.losses import LossScalars
from fusionkit.errors import UserError
from fusionkit.functional import ProxFunction, Vector
from fusionkit.operators.forward import Forward, PixelwiseForward
from fusionkit.terms import Array

_MOST_STEPS = 100  # of the prox of a loss given as scalars


class Loss(ABC):
    r"""An elementwise loss :math:`\varphi(m; b)` of a prediction m against a datum b, convex in m.

    Methods take arrays of one shape, prediction and data, do not modify them, and return a fresh array of their dtype.

    Attributes
    ----------
    noise : the distribution whose negative log-likelihood it is up to a factor, ``normal`` or ``poisson``, for
        ``weight: auto``; empty for none.
    """

    noise: ClassVar[str] = ""

    @abstractmethod
    def values(self, m: Array, b: Array) -> Array:
        r""":math:`\varphi(m; b)`; ``inf`` outside its domain."""

    @abstractmethod
    def derivative(self, m: Array, b: Array) -> Array:
        r""":math:`\varphi'(m; b)`, the derivative with respect to m."""

    @abstractmethod
    def curvature(self, m: Array, b: Array) -> Array:
        r""":math:`\varphi''(m; b) \ge 0`, the second derivative with respect to m."""

    @abstractmethod
    def prox(self, v: Array, b: Array, step: float) -> Array:
        r"""The exact minimiser of :math:`\varphi(m; b) + (m - v)^2 / (2\,\mathrm{step})` in its domain."""

    @abstractmethod
    def smooth_on(self, nonnegative: bool) -> bool:
        """Whether the derivative is finite and continuous for every m >= 0 (``nonnegative``), or for every real m."""

    @property
    def scalars(self) -> LossScalars | None:
        """The loss for one value (`fusionkit.engines.losses`), which kernels compile; None where it is not given."""
        return None

    def mean(self, m: Array) -> Array:
        """The mean of the data for the prediction m."""
        return m

    def slopes(self, m: Array, b: Array) -> tuple[Array, Array]:
        """First and second derivative; overridden by a loss in which they share work."""
        return self.derivative(m, b), self.curvature(m, b)

    def information(self, m: Array) -> Array:
        """The expected (Fisher) information: the second derivative for data at their mean."""
        return self.curvature(m, self.mean(m))

    def kernel(self, weight: float, forward: Forward, data: Array) -> Kernel | None:
        """The compiled kernel of this loss of ``forward`` against ``data``; None without one."""
        scalars = self.scalars
        if scalars is None or not isinstance(forward, PixelwiseForward):
            return None
        if forward.unchanged:
            return LossOfMaps(scalars, weight, data)
        chain = forward.chain
        return None if chain is None else LossOfSum(scalars, weight, data, *chain)

    def check(self, b: Array, where: str, labels: tuple[str, ...] = ()) -> None:
        """Raise a `UserError` for data outside the range of the loss; here, for values that are not finite.

        Parameters
        ----------
        b : the data.
        where : config key of the term.
        labels : elements of the unknown, for the message about data with a map of each.
        """
        bad = ~np.isfinite(b)
        if bad.any():
            raise UserError(where, f"the data hold {spell(bad, labels)} that are not finite", "replace or crop them")


class LossFunctional(ProxFunction):
    r"""The functional :math:`g(z) = w \sum_k \varphi(z_k + a_k; b_k)` of a flat vector z.

    Parameters
    ----------
    loss : phi.
    weight : w >= 0.
    data : b, any shape; used flat.
    offset : a, of the size of b; None for zero.
    smooth : whether phi has a gradient at every feasible z.
    """

    def __init__(
        self, loss: Loss, weight: float, data: Array, offset: Array | None = None, smooth: bool = False
    ) -> None:
        self.hasgrad = smooth
        self.loss, self.weight, self.data = loss, weight, data.ravel()
        self.offset = None if offset is None else offset.ravel().astype(data.dtype, copy=False)
        self._missing = missing_in(self.data)

    def __call__(self, x: Vector) -> float:
        """g(x), accumulated in float64."""
        return weighted_sum(self.weight, without(self.loss.values(self._shifted(x), self.data), self._missing))

    def prox(self, x: Vector, tau: float) -> Array:
        r"""The minimiser of :math:`g(z) + \|z - x\|^2 / (2\tau)`."""
        result = prox_of(self.loss, self._shifted(x), self.data, self._missing, tau * self.weight)
        return result if self.offset is None else result - self.offset

    def grad(self, x: Vector) -> Array:
        """Gradient of g if it is smooth, otherwise of its Moreau envelope, as in pyproximal."""
        if not self.hasgrad:
            return super().grad(x)
        return self.weight * without(self.loss.derivative(self._shifted(x), self.data), self._missing)

    def _shifted(self, x: Vector) -> Array:
        return x if self.offset is None else x + self.offset


def missing_in(data: Array) -> npt.NDArray[np.bool_] | None:
    """Where the data are NaN, which marks what was not measured; None if they are nowhere."""
    missing = np.isnan(data)
    return missing if missing.any() else None


def without(values: Array, missing: npt.NDArray[np.bool_] | None, other: float | Array = 0.0) -> Array:
    """The fresh array ``values`` with ``other`` where data are missing."""
    if missing is not None:
        np.copyto(values, other, where=missing)
    return values


def prox_of(loss: Loss, v: Array, data: Array, missing: npt.NDArray[np.bool_] | None, step: float) -> Array:
    """The prox of a loss at ``v``: v itself where data are missing."""
    if missing is None:
        return loss.prox(v, data, step)
    return without(loss.prox(v, np.where(missing, data.dtype.type(0), data), step), missing, v)


def weighted_sum(weight: float, values: Array) -> float:
    """``weight`` times the sum of ``values`` in float64; 0 for a weight of 0 even if values are infinite."""
    return weight * float(np.sum(values, dtype=np.float64)) if weight else 0.0


class ScalarLoss(Loss):
    """A loss that is written once, as scalars, for arrays and for the kernels.

    Override `prox` for speed, or if the loss is infinite somewhere, and `smooth_on` if its slope is not continuous.

    Parameters
    ----------
    scalars : the loss for one value (`fusionkit.engines.losses`); outside the kernels its methods get arrays.
    """

    def __init__(self, scalars: LossScalars) -> None:
        self._scalars = scalars

    @property
    def scalars(self) -> LossScalars:
        """The loss for one value."""
        return self._scalars

    def prox(self, v: Array, b: Array, step: float) -> Array:
        """The root of h(m) = m - v + step phi'(m; b), by Newton's method in a shrinking bracket."""
        m = v
        low, high = np.full_like(v, -np.inf), np.full_like(v, np.inf)
        for attempt in range(_MOST_STEPS):
            error = m - v + step * self.scalars.slope(m, b)
            low, high = np.where(error <= 0, m, low), np.where(error >= 0, m, high)
            if attempt == 0:  # h' >= 1: the root is no farther from v than h(v)
                low, high = np.minimum(m, m - error), np.maximum(m, m - error)
            new = m - error / (1 + step * self.scalars.curvature(m, b))
            is_outside = (new < low) | (new > high) | (attempt % 4 == 3)
            new = np.where(is_outside, 0.5 * (low + high), new).astype(v.dtype, copy=False)
            if np.all(np.abs(new - m) <= np.finfo(v.dtype).eps * np.abs(new)):
                return new
            m = new
        return m

    def smooth_on(self, nonnegative: bool) -> bool:
        """True: the slope of scalars is finite."""
        return True

    def values(self, m: Array, b: Array) -> Array:
        """phi(m; b)."""
        return self.scalars.value(m, b)

    def derivative(self, m: Array, b: Array) -> Array:
        """phi'(m; b)."""
        return self.scalars.slope(m, b)

    def curvature(self, m: Array, b: Array) -> Array:
        """phi''(m; b)."""
        return self.scalars.curvature(m, b)


def spell(bad: npt.NDArray[np.bool_], labels: tuple[str, ...] = ()) -> str:
    """The number of marked values and the place of the first: ``3 values (the first at [2, 5] of Co)``.

    Without a label for each map of ``bad`` (n, ny, nx) the place is the full index.
    """
    count = int(np.count_nonzero(bad))
    first = [int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape)]
    named = bad.ndim == 3 and len(bad) == len(labels)
    place = f"{first[1:]} of {labels[first[0]]}" if named else f"{first}"
    return f"{count} value{'s' if count > 1 else ''} (the first at {place})"
