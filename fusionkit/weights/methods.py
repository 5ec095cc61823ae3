"""The ways of choosing a penalty's weight by name, and the one for data that nobody named one for.

===================  ========================================================================  =====================
name                 the weight                                                                for
===================  ========================================================================  =====================
``count_splitting``  with which maps of half of the counts predict the other half best         counts, scaled or not
``masked_pixels``    with which maps predict pixels that they have not seen best               any maps
``sure``             of the least unbiased estimate of the squared error                       known noise
``discrepancy``      at which the data are missed by as much as the noise                      known noise
``l_curve``          at the corner of misfit against penalty                                   anything
===================  ========================================================================  =====================
"""

from __future__ import annotations

from collections.abc import Callable

from fusionkit.weights.auto import Method
from fusionkit.weights.chosen import ChosenWeight
from fusionkit.weights.count_splitting import can_split, count_splitting
from fusionkit.weights.discrepancy import discrepancy
from fusionkit.weights.l_curve import l_curve
from fusionkit.weights.masked_pixels import masked_pixels
from fusionkit.weights.search import Task
from fusionkit.weights.sure import sure

BY_NAME: dict[Method, Callable[[Task], ChosenWeight]] = {
    "count_splitting": count_splitting,
    "masked_pixels": masked_pixels,
    "discrepancy": discrepancy,
    "l_curve": l_curve,
    "sure": sure,
}


def default_method(task: Task) -> Method:
    """``count_splitting`` for counts, else ``masked_pixels``; `UserError` where no data can judge."""
    arrays = dict(task.dataset.arrays)
    return "count_splitting" if can_split(task.judges(task.problem(1.0)), arrays) else "masked_pixels"
