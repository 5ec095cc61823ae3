r"""What a run says about itself in plain words: which results to distrust, and what to look at.

A `Diagnostic` is a warning where something is probably wrong, else a note. The thresholds were set between what
complete models reach on the packaged configs, phantoms and DyScO3, and what the same data give with one flaw: an
element left out, a wrong exponent or weight, a background, a shift. The numbers stand beside them.
"""

from fusionkit.report.diagnostics.compared import Compared, compared, epsilons
from fusionkit.report.diagnostics.diagnose import diagnose
from fusionkit.report.diagnostics.expected import counts_per_unit

__all__ = ["Compared", "compared", "counts_per_unit", "diagnose", "epsilons"]
