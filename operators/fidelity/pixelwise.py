"""Data-fidelity terms of pixelwise forward models: they take part in the joint prox."""

import numpy as np

from fusionkit.arrays import into
from fusionkit.engines.kernel_terms import Kernel, LossOfMaps, LossOfMixture
from fusionkit.operators.fidelity.loss import prox_of, weighted_sum
from fusionkit.operators.fidelity.term import ComposedFidelity, Fidelity
from fusionkit.operators.forward import Jet, LinearForward, PixelwiseChain, PixelwiseForward
from fusionkit.operators.forward.elements import SelectedMaps, Selection
from fusionkit.operators.forward.spectral import MixedMaps, Mixing
from fusionkit.terms import Array, Expansion, Pixelwise, Proximable, Smooth

_RIDGE = 1e-9  # of a Fisher matrix, relative to its trace
_WELL_POSED = 1e3  # condition of the shares, below which their inverse is used


class LinearPixelwiseFidelity(ComposedFidelity, Pixelwise):
    """A loss of sums of the maps of each pixel: pixelwise, without coupling, and composed as well."""

    def pixel_values(self, x: Array, rows: slice) -> Array:
        """Weighted value at each pixel, shape (rows, nx)."""
        values = self.measured(self.loss.values(self._predict(x, rows), self.data[:, rows]), rows).sum(axis=0)
        values *= self.weight
        return values

    def _predict(self, x: Array, rows: slice) -> Array:
        assert isinstance(self.forward, LinearForward)
        prediction, offset = self.forward.linear_map.apply(x), self.forward.offset
        return prediction if offset is None else prediction + offset[:, rows]


class SelectedFidelity(LinearPixelwiseFidelity):
    """A loss of some of the maps with factors and background."""

    def expand(self, x: Array, rows: slice) -> Expansion:
        r"""g = w s phi'(m; b) and c = w s^2 phi''(m; b) of the chosen maps, 0 for the others; without coupling."""
        first, second = self._slopes(self._predict(x, rows), rows)
        return Expansion(self._spread(first, x, 1), self._spread(second, x, 2))

    def information(self, x: Array, rows: slice) -> Array:
        """w s^2 times the expected second derivative of the loss at each value, (n, rows, nx)."""
        return self._spread(self.measured(self.loss.information(self._predict(x, rows)), rows), x, 2)

    @property
    def kernel(self) -> Kernel | None:
        """The compiled kernel of the term; None without one."""
        scalars = self.loss.scalars
        return None if scalars is None else LossOfMaps(scalars, self.weight, self.data, **self._maps.kernel_options)

    @property
    def selection(self) -> Selection:
        """The chosen maps and their factors."""
        return self._maps.linear_map

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


class MixedFidelity(LinearPixelwiseFidelity):
    r"""A loss of sums of all maps with their shares.

    Its second derivative :math:`M^\top \mathrm{diag}(w \varphi'') M` is replaced by a diagonal that is no smaller,
    :math:`c_i = w \sum_k \varphi''_k M_{ki} \sum_j M_{kj}`.
    """

    def expand(self, x: Array, rows: slice) -> Expansion:
        r""":math:`g = w M^\top \varphi'(m; b)` and the majorant c, without coupling."""
        first, second = self._slopes(self._predict(x, rows), rows)
        first *= self.weight
        second *= self.weight * self._mixing.matrix.sum(axis=1, dtype=x.dtype).reshape(-1, 1, 1)
        return Expansion(self._mixing.adjoint(first), self._mixing.adjoint(second))

    def information(self, x: Array, rows: slice) -> Array:
        """What the data tell of each element while the others are unknown: 1 / diag(F^-1), F the Fisher matrix."""
        expected = self.measured(self.loss.information(self._predict(x, rows)), rows)
        expected = self.weight * np.asarray(expected, np.float64)
        matrix = np.asarray(self._mixing.matrix, np.float64)
        if matrix.shape[0] == matrix.shape[1] and np.linalg.cond(matrix) < _WELL_POSED:  # F^-1 = M^-1 diag(1/e) M^-T
            least = _RIDGE * expected.max(axis=0) + np.finfo(np.float64).tiny
            variance = np.tensordot(np.linalg.inv(matrix) ** 2, 1.0 / np.maximum(expected, least), axes=1)
            return np.asarray(1.0 / variance, x.dtype)
        fisher = np.tensordot(expected, matrix[:, :, None] * matrix[:, None, :], axes=(0, 0))
        traces = np.einsum("yxii->yx", fisher)[..., None, None]  # spectra may coincide
        fisher += np.eye(matrix.shape[1]) * (_RIDGE * traces + np.finfo(np.float64).tiny)
        return np.asarray(1.0 / np.einsum("yxii->iyx", np.linalg.inv(fisher)), x.dtype)

    @property
    def kernel(self) -> Kernel | None:
        """The compiled kernel of the term; None without one."""
        scalars, model = self.loss.scalars, self.forward
        if scalars is None or not isinstance(model, MixedMaps):
            return None
        return LossOfMixture(scalars, self.weight, self.data, model.linear_map.matrix, model.offset)

    @property
    def _mixing(self) -> Mixing:
        assert isinstance(self.forward, MixedMaps)
        return self.forward.linear_map


class SmoothMixedFidelity(MixedFidelity, Smooth):
    """A loss of sums of maps whose gradient is finite on x >= 0."""

    smooth = True


class PixelwiseFidelity(Fidelity, Pixelwise):
    """A fidelity of a pixelwise prediction; its gradient may be unbounded at x = 0."""

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w phi'(m) times the slope of m."""
        jet = self._model.jet(x, second=False)
        slope = self.measured(self.loss.derivative(jet.prediction, self.data))
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
        jet, first, second = self._by_prediction(x, rows)
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

    def concavity(self, x: Array) -> Array | None:
        """-w phi' d, see `expand`; None for a chain, which is concave along one direction at each pixel."""
        if isinstance(self._model, PixelwiseChain):
            return None
        jet, first, _ = self._by_prediction(x, slice(None))
        return None if jet.bend is None else -self.weight * first * jet.bend

    def pixel_values(self, x: Array, rows: slice) -> Array:
        """Weighted value at each pixel, shape (rows, nx)."""
        values = self.measured(self.loss.values(self._model.at_rows(rows).apply(x), self.data[..., rows, :]), rows)
        values *= self.weight
        return values if values.ndim < x.ndim else values.sum(axis=0)

    def _by_prediction(self, x: Array, rows: slice) -> tuple[Jet, Array, Array]:
        """The jet of m(x) with phi' and phi'' by m; for a chain f(s(x)) the jet of s(x), with derivatives by s."""
        model = self._model.at_rows(rows)
        if not isinstance(model, PixelwiseChain):
            jet = model.jet(x)
            return jet, *self._slopes(jet.prediction, rows)
        jet, f = model.inner.jet(x), model.function
        first, second = self._slopes(f.value(jet.prediction), rows)
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
        return weighted_sum(self.weight, self.measured(self.loss.values(x, self.data)))

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """w phi'(x; b)."""
        return np.multiply(self.measured(self.loss.derivative(x, self.data)), self.weight, out=out)

    def expand(self, x: Array, rows: slice) -> Expansion:
        """g = w phi'(x; b), c = w phi''(x; b), without coupling."""
        first, second = self._slopes(x, rows)
        first *= self.weight
        second *= self.weight
        return Expansion(first, second)

    def information(self, x: Array, rows: slice) -> Array:
        """w times the expected second derivative of the loss at each value, (n, rows, nx)."""
        information = self.measured(self.loss.information(x), rows)
        information *= self.weight
        return information

    def prox(self, v: Array, step: float, out: Array | None = None) -> Array:
        """The exact prox of the loss at ``v`` with the step ``step`` times the weight."""
        return into(out, prox_of(self.loss, v, self.data, self.missing, step * self.weight))


class SmoothIdentityFidelity(IdentityFidelity, Smooth):
    """A loss of the maps themselves whose gradient is finite on x >= 0."""
