"""Everything that a run gives reason to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np

from fusionkit.report.diagnostics.ending import ending
from fusionkit.report.diagnostics.sentences import warning
from fusionkit.results.record import Diagnostic, RunRecord


def diagnose(record: RunRecord) -> tuple[Diagnostic, ...]:
    """Everything that the run gives reason to say, warnings first.

    Parameters
    ----------
    record : the run; its own ``diagnostics`` are not looked at.
    """
    found = list(ending(record))
    if np.isfinite(record.result.x).all():
        found += chain.from_iterable(check(record) for check in _checks())
    else:
        found.append(warning("The solution holds values that are not finite; grey pixels show where."))
    return tuple(sorted(found, key=lambda each: each.level != "warning"))


def _checks() -> tuple[Callable[[RunRecord], Iterable[Diagnostic]], ...]:
    """Imported at the end of a run, so that its start does not wait for them."""
    from fusionkit.report.diagnostics.background import background
    from fusionkit.report.diagnostics.exponent import exponent
    from fusionkit.report.diagnostics.images import images
    from fusionkit.report.diagnostics.information import information
    from fusionkit.report.diagnostics.maps import dose, maps, truth
    from fusionkit.report.diagnostics.registration import registration

    return images, background, exponent, registration, maps, information, dose, truth
