"""Settings of all tests: hypothesis without deadlines, since a busy machine is no defect; a path to the benchmarks."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

settings.register_profile("fusionkit", deadline=None, max_examples=25)
settings.load_profile("fusionkit")
# benchmarks are not installed; last, so that the tests see the installed fusionkit and not the checkout's
sys.path.append(str(Path(__file__).parents[1]))
