r"""An elastic model with gain and offset of the detector, and a fitted exponent: :math:`h(x) = o + g\,m_\gamma(x)`.

A HAADF image is in units of its detector, with arbitrary black level and amplification. With the maps in counts, the
gain g is the brightness of one count, and the offset o that of a pixel without matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.engines.kernel_terms import PowerSumLeastSquares
from fusionkit.operators.forward import Jet, PixelwiseForward
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.terms import Array

GAIN, OFFSET, GAMMA = "gain", "offset", "gamma"
_LARGEST_GAIN_STEP = 1.0  # of log(gain)
_LARGEST_GAMMA_STEP = 0.1


@dataclass(frozen=True, eq=False)
class Calibration(PixelwiseForward):
    r""":math:`h(x) = o + g \sum_i \max(Z_i x_i, 0)^\gamma` at each pixel."""

    model: PowerSum  # m
    gain: float = 1.0  # g > 0, in the unit of the image per unit of m
    offset: float = 0.0  # o, in the unit of the image
    fitted: tuple[str, ...] = ()  # which of ``gain``, ``offset`` and ``gamma`` are fitted together with the maps
    interval: tuple[float, float] = (1.0, 4.0)  # least and greatest value of a fitted gamma

    def __post_init__(self) -> None:
        for name in ("range", "linear", "smooth"):
            object.__setattr__(self, name, getattr(self.model, name))
        object.__setattr__(self, "nonnegative", self.offset >= 0.0)

    def apply(self, x: Array) -> Array:
        """The prediction, shape (rows, nx)."""
        prediction = self.model.apply(x)
        prediction *= x.dtype.type(self.gain)
        prediction += x.dtype.type(self.offset)
        return prediction

    def jet(self, x: Array, second: bool = True) -> Jet:
        """Prediction, slope and bend."""
        jet, gain, offset = self.model.jet(x, second), x.dtype.type(self.gain), x.dtype.type(self.offset)
        bend = None if jet.bend is None else jet.bend * gain
        return Jet(jet.prediction * gain + offset, jet.slope * gain, bend)

    def rescaled(self, factors: Array) -> Calibration:
        """The model with Z_i f_i in place of Z_i."""
        return replace(self, model=self.model.rescaled(factors))

    @property
    def _z(self) -> Array:
        return np.asarray(self.model.z, np.float64).reshape(-1, 1, 1)

    @property
    def values(self) -> dict[str, float]:
        """The fitted parameters by name."""
        values = {GAIN: self.gain, OFFSET: self.offset, GAMMA: self.model.gamma}
        return {name: values[name] for name in self.fitted}

    def with_values(self, values: Mapping[str, float]) -> Calibration:
        """The model with these fitted parameters."""
        model = replace(self.model, gamma=values.get(GAMMA, self.model.gamma))
        return replace(self, model=model, gain=values.get(GAIN, self.gain), offset=values.get(OFFSET, self.offset))

    def directions(self, x: Array) -> Array:
        r"""Derivative of the prediction at x (n, rows, nx) by each fitted parameter, for the gain by its logarithm.

        .. math:: \partial h / \partial \log g = g m, \qquad \partial h / \partial o = 1, \qquad
                  \partial h / \partial \gamma = g \sum_i (Z_i x_i)^\gamma \log(Z_i x_i)

        Returns
        -------
        Shape (fitted, rows, nx), float64.
        """
        derivatives = np.empty((len(self.fitted), *x.shape[1:]))
        scaled = np.maximum(np.asarray(x, np.float64) * self._z, 0.0)
        for index, name in enumerate(self.fitted):
            if name == OFFSET:
                derivatives[index] = 1.0
                continue
            powers = scaled**self.model.gamma
            if name == GAMMA:
                powers *= np.log(np.maximum(scaled, np.finfo(np.float64).tiny))
            derivatives[index] = self.gain * powers.sum(axis=0)
        return derivatives

    def stepped(self, steps: Mapping[str, float]) -> Calibration:
        """The model after bounded steps of its fitted parameters, with gamma in its interval.

        Parameters
        ----------
        steps : of each fitted parameter by name; for the gain, of its logarithm.
        """
        gain, model = self.gain, self.model
        if GAIN in steps:
            gain *= float(np.exp(np.clip(steps[GAIN], -_LARGEST_GAIN_STEP, _LARGEST_GAIN_STEP)))
        if GAMMA in steps:
            gamma = model.gamma + float(np.clip(steps[GAMMA], -_LARGEST_GAMMA_STEP, _LARGEST_GAMMA_STEP))
            model = replace(model, gamma=float(np.clip(gamma, *self.interval)))
        return replace(self, model=model, gain=gain, offset=self.offset + steps.get(OFFSET, 0.0))

    def at_limit(self, steps: Mapping[str, float]) -> frozenset[str]:
        """The fitted parameters that are at a limit and would step beyond it."""
        least, greatest = self.interval
        step, gamma = steps.get(GAMMA, 0.0), self.model.gamma
        return frozenset({GAMMA} if (gamma <= least and step < 0.0) or (gamma >= greatest and step > 0.0) else ())

    def fitted_to(self, x: Array, image: Array) -> Calibration:
        r"""The model whose fitted parameters minimise :math:`\|o + g\,m_\gamma(x) - b\|` for the fixed x.

        Parameters
        ----------
        x : shape (n, ny, nx).
        image : b, shape (ny, nx); NaN where it was not measured.
        """
        if GAMMA not in self.fitted:
            return self._line(x, image)[1]
        from scipy.optimize import minimize_scalar  # its import takes half as long as a small solve

        best: Any = minimize_scalar(
            lambda gamma: self._with(gamma)._line(x, image)[0],
            bounds=self.interval,
            method="bounded",
            options={"xatol": 1e-2},
        )
        return self._with(float(best.x))._line(x, image)[1]

    def _with(self, gamma: float) -> Calibration:
        return replace(self, model=replace(self.model, gamma=gamma))

    def _line(self, x: Array, image: Array) -> tuple[float, Calibration]:
        """Residual sum of squares and model of the regression line of the image on m(x)."""
        measured = ~np.isnan(image)
        m, b = np.asarray(self.model.apply(x), np.float64)[measured], np.asarray(image, np.float64)[measured]
        gain, offset = self.gain, self.offset
        both = GAIN in self.fitted and OFFSET in self.fitted
        if GAIN in self.fitted:
            m0, b0 = (m - m.mean(), b - b.mean()) if both else (m, b - offset)
            gain = float(m0 @ b0) / (float(m0 @ m0) or 1.0)
            if not gain > 0.0:  # x and the image are not correlated: use a gain of the right magnitude
                gain, both = abs(float(b.mean())) / (float(m.mean()) or 1.0) or 1.0, False
        if OFFSET in self.fitted and (both or GAIN not in self.fitted):
            offset = float(b.mean() - gain * m.mean())
        residual = b - gain * m - offset
        return float(residual @ residual), replace(self, gain=gain, offset=offset)

    def kernel(self, weight: float, data: Array) -> PowerSumLeastSquares:
        """The kernel of its least squares: Z includes the gain, the image the offset."""
        root = self.gain ** (1.0 / self.model.gamma)
        image = data - data.dtype.type(self.offset)
        return PowerSumLeastSquares(self._z.ravel() * root, self.model.gamma, self.model.floor * root, weight, image)
