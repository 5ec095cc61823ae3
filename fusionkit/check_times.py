"""When a solve is checked: objective and certificate cost about an iteration, and may take a twentieth of a solve.

Every tenth iteration is looked at. Where the solver measures how far it moved x, a look takes a sample of the rows and
gives the certificate about: the steps adapt to it, and the whole is checked where that is within the budget, or where
the tolerance may be met. Elsewhere every look is a check. What a check costs is counted in iterations, not timed, so
that a run can be repeated bit for bit.
"""

from __future__ import annotations

import numpy as np

from fusionkit.certificate import Certificate

LOOK = 10  # iterations between two looks
_BUDGET = 0.05  # of the iterations: what looks and checks may cost
_RESERVE = 0.01  # of the iterations: the part of the budget that is left for where the tolerance may be met
_CREDIT = 2  # checks beyond the budget, there: looks that mislead soon use them up
_CHECK = 1.1  # iterations that a check of TV or TGV takes in chambolle_pock: 1.0 to 1.2
_LOOK = 0.2  # iterations that a look takes at 256 x 256 pixels; less where they are more
_NEAR = 1.15  # of the tolerance: where it may be met; a look and a check differ by so much and more


class Schedule:
    """Decides at each look whether the whole is checked; lives as long as the solve.

    Parameters
    ----------
    tolerance : of the solve.
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self._spent = 0.0
        self._last: Certificate | None = None

    def due(self, iteration: int, seen: Certificate) -> bool:
        """Whether to check the whole at this look.

        Parameters
        ----------
        iteration : of the look.
        seen : the certificate, about.
        """
        self._spent += _LOOK
        still, self._last = seen == self._last, seen
        left = _BUDGET * iteration - self._spent
        if still or not np.isfinite(seen.optimality) or seen.optimality <= _NEAR * self.tolerance:
            return left >= -_CREDIT * _CHECK
        return left >= _CHECK + _RESERVE * iteration

    def checked(self) -> None:
        """Take notice of a check."""
        self._spent += _CHECK
