"""Iterations and checks with several penalties, or with those of the Laplacian, compiled.

All but the lead move their dual variables p and add K'(2 p~ - p) to one array, which the lead's iteration takes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import Any

import numpy as np

from fusionkit.engines.cpu.tv import boost_of
from fusionkit.engines.kernel_terms import ENGINES, Kernel, PixelwiseSpec, TotalVariation, leading
from fusionkit.engines.local_steps import PixelSteps
from fusionkit.engines.sums import Evaluation, Sample
from fusionkit.terms import Array, Arrays


class SeveralEngine:
    """Parameters as those of `fusionkit.engines.cpu.tv.TVEngine`, with the penalties in their order."""

    def __init__(
        self,
        spec: PixelwiseSpec,
        penalties: Sequence[Kernel],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int = 1,
        former: SeveralEngine | None = None,
    ) -> None:
        lead = leading(penalties)
        # penalties of the Laplacian have no iteration of their own: total variation of weight 0 leads them
        self._dual = np.zeros((2, *shape), dtype) if lead == len(penalties) else None
        kernels = [*penalties, *([] if self._dual is None else [TotalVariation(0.0)])]
        specs = [spec if index == lead else PixelwiseSpec() for index in range(len(kernels))]
        self._parts: list[Any] = [
            resolve_name(ENGINES[type(one)])(its, one, shape, dtype, newton_steps)
            for its, one in zip(specs, kernels, strict=True)
        ]
        self.spec, self._lead, self._pulls = spec, self._parts[lead], np.empty(shape, dtype)

    def _each(self, auxiliary: Sequence[Array], duals: Sequence[Array]) -> list[tuple[Any, Arrays, Arrays]]:
        """Each part with its w and p."""
        w, p = [*auxiliary, np.empty(0)], [*duals, *([] if self._dual is None else [self._dual])]
        return [(part, (its_w,), (its_p,)) for part, its_w, its_p in zip(self._parts, w, p, strict=False)]

    def step(
        self,
        x: Array,
        auxiliary: Sequence[Array],
        duals: Sequence[Array],
        steps: Sequence[float],
        relaxation: float = 1.0,
        boost: Array | None = None,
    ) -> tuple[Array, Arrays]:
        """As `fusionkit.engines.engine.Engine`, in place."""
        self._pulls.fill(0)
        each = zip(self._each(auxiliary, duals), (*steps[1:], 1.0), strict=False)
        for (part, w, p), sigma in sorted(each, key=lambda one: one[0][0] is self._lead):  # the lead is last
            local = boost if isinstance(part.penalty, TotalVariation) else None
            part.step(x, w, p, (steps[0], sigma), relaxation, local, self._pulls, part is self._lead)
        return x, tuple(duals)

    def boost(self, x: Array, scale: float, former: PixelSteps | None) -> PixelSteps | None:
        """As `fusionkit.engines.engine.Engine`."""
        return boost_of(self._lead, any(part.penalty.joint for part in self._parts), x, scale, former)

    def change(self) -> float:
        """As `fusionkit.engines.engine.Engine`."""
        return self._lead.change()

    def check(
        self, x: Array, auxiliary: Sequence[Array], duals: Sequence[Array], sample: Sample | None = None
    ) -> Evaluation:
        """As `fusionkit.engines.engine.Engine`."""
        found = [(part, *part.collect(x, w, p, sample)) for part, w, p in self._each(auxiliary, duals)]
        sums = next(sums for part, sums, _ in found if part is self._lead)
        residual = self._lead.memory[1]
        for part, _, _ in found:
            if part is not self._lead and sample is None:  # an estimate needs no residual
                np.add(residual, part.memory[1], out=residual)
        return getattr(self._lead, "plain", self._lead).evaluate(x, sums, [costs for _, _, costs in found], sample)
