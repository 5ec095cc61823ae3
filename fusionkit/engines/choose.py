"""Which engine solves a problem: NumPy, which is the definition, compiled kernels, or kernels for a GPU.

A term with a ``kernel`` (`fusionkit.engines.kernel_terms`) may run compiled. A term without one, or a combination that
the kernels do not take, runs in NumPy, and the notes of the result say why.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pkgutil import resolve_name
from typing import get_args

from fusionkit.engines.engine import Backend, Engine, JointProx
from fusionkit.engines.kernel_terms import (
    ENGINES,
    FUSED,
    SEVERAL,
    Kernel,
    PixelwiseSpec,
    Unsupported,
    describe,
    kernel_of,
)
from fusionkit.errors import UserError
from fusionkit.problem import Engine as EngineName
from fusionkit.problem import Split
from fusionkit.terms import Array

SMALL = 30_000  # values; below, compiling kernels takes longer than a search without them


@dataclass(frozen=True)
class CompiledProx:
    """The joint prox, compiled."""

    spec: PixelwiseSpec

    def __call__(self, v: Array, step: float, start: Array, newton_steps: int = 1, out: Array | None = None) -> Array:
        """As `fusionkit.pixelwise.PixelwiseProx`."""
        from fusionkit.engines.cpu.joint_prox import prox

        return prox(self.spec, v, step, start, newton_steps, out)


class Compiled(Backend):
    """Kernels compiled by Numba for the terms that they take, NumPy for the rest."""

    def require(self) -> None:
        if problem := _numba_problem():
            raise UserError("engine", problem, "use 'auto' or 'numpy', or mend that")

    def joint_prox(self, split: Split) -> JointProx:
        spec = self._spec(split)
        return super().joint_prox(split) if isinstance(spec, str) else CompiledProx(spec)

    def fuses(self, split: Split) -> bool:
        return not isinstance(self._spec(split), str) and isinstance(lone_penalty(split), FUSED)

    def engine(self, split: Split, newton_steps: int, former: Engine | None = None) -> Engine | None:
        spec, penalties, problem = self._spec(split), penalties_of(split), split.problem
        if isinstance(spec, str) or not penalties:
            return None
        lone = isinstance(lone_penalty(split), FUSED)
        engine = resolve_name(ENGINES[type(penalties[0])] if lone else SEVERAL)
        kept = former if isinstance(former, engine) else None
        taken = penalties[0] if lone else penalties
        return engine(spec, taken, problem.shape, problem.dtype, newton_steps, kept)

    def used(self, split: Split) -> str:
        return "numpy" if isinstance(self._spec(split), str) else "numba"

    def notes(self, split: Split) -> tuple[str, ...]:
        reason = self._spec(split)
        if isinstance(reason, str) and reason:
            return (f"the pixelwise terms run in NumPy: {reason}; iterations take about 10 times as long",)
        return ()

    def announce(self, split: Split) -> None:
        spec = self._spec(split)
        if not isinstance(spec, str):
            from fusionkit.engines.cpu.joint_prox import announce

            announce(spec, split.problem.dtype)

    def _spec(self, split: Split) -> PixelwiseSpec | str:
        """The pixelwise terms for the kernels, or the reason why they run in NumPy; empty without pixelwise terms."""
        if not split.pixelwise:
            return ""
        if problem := _numba_problem():
            return problem
        try:
            return describe(split.pixelwise, split.bounds, split.problem.shape)
        except Unsupported as reason:
            return str(reason)


def _numba_problem() -> str:
    """Why Numba cannot compile; empty if it can."""
    if find_spec("numba") is None:
        return "Numba is not installed"
    return "NUMBA_DISABLE_JIT is set" if os.environ.get("NUMBA_DISABLE_JIT", "0").strip("0") else ""


def lone_penalty(split: Split) -> Kernel | None:
    """The kernel of the composed term if it is the only term beside pixelwise ones."""
    penalties = penalties_of(split)
    return penalties[0] if len(penalties) == 1 else None


def penalties_of(split: Split) -> tuple[Kernel, ...]:
    """The kernels of the composed terms; none if one has none, or beside terms that are neither these nor pixelwise."""
    kernels = [kernel_of(term) for term in split.coupling.terms]
    taken = tuple(kernel for kernel in kernels if kernel is not None and type(kernel) in ENGINES)
    return taken if len(taken) == len(kernels) and not split.smooth and not split.proximable else ()


_BACKENDS = {"numpy": Backend(), "numba": Compiled(), "auto": Compiled()}


def backend_of(split: Split) -> Backend:
    """The backend of the engine that the problem names."""
    return _backend(split.problem.engine)


def _backend(engine: str) -> Backend:
    if engine == "cupy":
        from fusionkit.engines.gpu.split import DeviceBackend

        return DeviceBackend()
    return _BACKENDS[engine]


def require_engine(engine: str) -> None:
    """Raise a `UserError` if the engine is unknown, is not installed or has no device."""
    if engine not in get_args(EngineName):
        raise UserError("engine", f"is {engine!r}", f"write {', '.join(get_args(EngineName))}")
    if engine != "auto":
        _backend(engine).require()


def joint_prox(split: Split) -> JointProx:
    """The joint prox of the pixelwise terms within the bounds, compiled if the kernels take the terms."""
    return backend_of(split).joint_prox(split)


def direct_prox(split: Split, v: Array, step: float, start: Array, newton_steps: int) -> Array:
    """The prox of all that has no dual variable: the one proximable term, or the joint prox from ``start``."""
    if split.proximable is not None:
        return split.proximable.prox(v, step)
    return joint_prox(split)(v, step, start, newton_steps)
