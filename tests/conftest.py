"""Settings of all tests: hypothesis without deadlines, since a busy machine is no defect."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fusionkit", deadline=None, max_examples=25)
settings.load_profile("fusionkit")
