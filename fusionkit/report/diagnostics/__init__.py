"""Diagnostics: the warnings and notes of a run, each worded in the module that makes it.

A `Diagnostic` is a warning if something is probably wrong, else a note. Each threshold lies between the values of
complete models of the packaged configs, phantoms and DyScO3, and those of the same data with one flaw: a missing
element, a wrong exponent or weight, a background, a shift. Comments beside the thresholds give these values.
"""

from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np

from fusionkit.errors import describe_fault
from fusionkit.report.diagnostics.outcome import outcome
from fusionkit.results.record import Diagnostic, RunRecord, warning


def diagnose(record: RunRecord) -> tuple[Diagnostic, ...]:
    """All diagnostics of a run, warnings first; those that it has already are ignored."""
    diagnostics = list(outcome(record))
    if np.isfinite(record.result.x).all():
        diagnostics += chain.from_iterable(_attempt(check, record) for check in _checks())
    else:
        diagnostics.append(warning("The solution contains values that are not finite; they are shown grey."))
    return tuple(sorted(diagnostics, key=lambda each: each.level != "warning"))


def _attempt(check: Callable[[RunRecord], Iterable[Diagnostic]], record: RunRecord) -> list[Diagnostic]:
    """The diagnostics of a check; one that fails costs neither the run nor the other checks."""
    try:
        return list(check(record))
    except Exception as fault:  # noqa: BLE001 - whatever fails is reported
        return [warning(f"The check of {check.__name__} failed: {describe_fault(fault)}.")]


def _checks() -> tuple[Callable[[RunRecord], Iterable[Diagnostic]], ...]:
    """All other diagnostics, imported only at the end of a run to keep its start fast."""
    from fusionkit.report.diagnostics.background import background
    from fusionkit.report.diagnostics.exponent import exponent
    from fusionkit.report.diagnostics.images import images, single_pixels
    from fusionkit.report.diagnostics.information import information
    from fusionkit.report.diagnostics.maps import dose, maps, truth
    from fusionkit.report.diagnostics.registration import registration

    return images, single_pixels, background, exponent, registration, maps, information, dose, truth
