r"""Diagnostics: what a run says about itself in plain words, which results to distrust, and what to look at.

A `Diagnostic` is a warning where something is probably wrong, else a note. The thresholds lie between what complete
models reach on the packaged configs, phantoms and DyScO3, and what the same data give with one flaw: a missing element,
a wrong exponent or weight, a background, a shift. The numbers stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np

from fusionkit.report.diagnostics.outcome import outcome
from fusionkit.report.diagnostics.sentences import warning
from fusionkit.results.record import Diagnostic, RunRecord


def diagnose(record: RunRecord) -> tuple[Diagnostic, ...]:
    """All diagnostics of a run, warnings first.

    Parameters
    ----------
    record : the run; its own ``diagnostics`` are ignored.
    """
    found = list(outcome(record))
    if np.isfinite(record.result.x).all():
        found += chain.from_iterable(check(record) for check in _checks())
    else:
        found.append(warning("The solution holds values that are not finite; grey pixels show where."))
    return tuple(sorted(found, key=lambda each: each.level != "warning"))


def _checks() -> tuple[Callable[[RunRecord], Iterable[Diagnostic]], ...]:
    """Imported at the end of a run, to keep its start fast."""
    from fusionkit.report.diagnostics.background import background
    from fusionkit.report.diagnostics.exponent import exponent
    from fusionkit.report.diagnostics.images import images
    from fusionkit.report.diagnostics.information import information
    from fusionkit.report.diagnostics.maps import dose, maps, truth
    from fusionkit.report.diagnostics.registration import registration

    return images, background, exponent, registration, maps, information, dose, truth
