r"""Least squares of an image with gain, offset or exponent fitted together with the maps.

.. math:: T(x, \theta) = \frac{w}{2} \sum_k (h_k(x; \theta) - b_k)^2

theta changes at each check of the solve (`fusionkit.calibration`) and is fixed in between, so solvers and kernels see
an ordinary term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fusionkit.operators.fidelity import Fidelity, SmoothPixelwiseFidelity
from fusionkit.operators.forward.detector import GAIN, Calibration
from fusionkit.terms import Array, Linearisation


class CalibratedFidelity(SmoothPixelwiseFidelity):
    """A least-squares term with fitted parameters; made by `calibrated`."""

    @property
    def parameters(self) -> dict[str, float]:
        """The fitted parameters by name."""
        return self._calibration.values

    def linearise(self, x: Array, rows: slice) -> Linearisation:
        """Residual, slopes and directions of the parameters at the rows ``rows`` of the unknown, (n, rows, nx)."""
        jet = self._calibration.jet(x, second=False)
        residual = self.measured(np.asarray(jet.prediction, np.float64) - self.data[rows], rows)
        slope = np.asarray(jet.slope, np.float64)
        if self.missing is not None:
            slope = self.measured(np.array(np.broadcast_to(slope, x.shape)), rows)
        directions = self.measured(self._calibration.directions(x), rows)
        return Linearisation(self.weight, jet.prediction, residual, slope, directions)

    def errors(self, deviations: Mapping[str, float]) -> dict[str, float]:
        """Standard deviations of the parameters; a step of the gain is one of its logarithm."""
        gain = self._calibration.gain
        return {name: error * gain if name == GAIN else error for name, error in deviations.items()}

    def at_limit(self, steps: Mapping[str, float]) -> frozenset[str]:
        """The parameters that are at a limit and would step beyond it."""
        return self._calibration.at_limit(steps)

    def stepped(self, steps: Mapping[str, float]) -> CalibratedFidelity:
        """The term with its parameters moved."""
        return replace(self, forward=self._calibration.stepped(steps))

    def with_parameters(self, values: Mapping[str, float]) -> CalibratedFidelity:
        """The term with these parameters."""
        return replace(self, forward=self._calibration.with_values(values))

    def fitted_to(self, x: Array) -> CalibratedFidelity:
        """The term with the parameters that fit the fixed ``x`` best."""
        return replace(self, forward=self._calibration.fitted_to(x, self.data))

    @property
    def _calibration(self) -> Calibration:
        assert isinstance(self.forward, Calibration)
        return self.forward


def calibrated(term: Fidelity) -> Fidelity:
    """The least-squares term with fitted parameters if its forward model has any, otherwise the term itself."""
    if not (isinstance(term.forward, Calibration) and term.forward.fitted):
        return term
    return CalibratedFidelity(term.name, term.weight, term.loss, term.forward, term.data, term.target)
