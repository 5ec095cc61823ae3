"""Compiled kernels behind the same terms and solvers: which parts of a problem they know, and NumPy for the rest.

NumPy is the definition. A term that declares a ``kernel`` (`fusionkit.engines.kernel`) may be taken by a compiled
one; a term of a user's own, or a combination that the kernels do not know, runs in NumPy, and the notes of the result
say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, get_args, runtime_checkable

from fusionkit.engines.kernel import (
    HasKernel,
    Kernel,
    PixelwiseSpec,
    TotalGeneralisedVariation,
    TotalVariation,
    supported,
)
from fusionkit.errors import UserError
from fusionkit.pixelwise import PixelwiseProx
from fusionkit.problem import Engine as Engines
from fusionkit.problem import Split
from fusionkit.terms import Array, Arrays

SMALL = 300_000  # values; below, compiling kernels takes longer than solving without

if TYPE_CHECKING:
    from fusionkit.engines.cpu.tgv import TGVEngine
    from fusionkit.engines.cpu.tv import Engine


def require_engine(engine: str) -> None:
    """Raise a `UserError` where the engine is not installed, or lacks its device."""
    if engine not in get_args(Engines):
        raise UserError("engine", f"is {engine!r}", f"write {', '.join(get_args(Engines))}")
    if engine == "numba" and find_spec("numba") is None:
        raise UserError("engine", "numba is not installed", "pip install numba, or use 'auto' or 'numpy'")
    if engine == "cupy":
        from fusionkit.engines.gpu.current import find_device

        find_device()


def pixelwise_spec(split: Split) -> PixelwiseSpec | None:
    """The pixelwise terms and bounds as the compiled kernels take them; None where NumPy has to."""
    problem = split.problem
    if problem.engine in ("numpy", "cupy") or find_spec("numba") is None or not split.pixelwise:
        return None
    return supported(split.pixelwise, split.bounds, problem.shape)


class JointProx(Protocol):
    """The joint prox of the pixelwise terms within the bounds; see `fusionkit.pixelwise.PixelwiseProx`."""

    def __call__(
        self, v: Array, step: float, start: Array, newton_steps: int = 1, out: Array | None = None
    ) -> Array: ...


@dataclass(frozen=True)
class CompiledProx:
    """The joint prox by the compiled kernel."""

    spec: PixelwiseSpec

    def __call__(self, v: Array, step: float, start: Array, newton_steps: int = 1, out: Array | None = None) -> Array:
        """As `fusionkit.pixelwise.PixelwiseProx`."""
        from fusionkit.engines.cpu.joint_prox import prox

        return prox(self.spec, v, step, start, newton_steps, out)


def joint_prox(split: Split) -> JointProx:
    """The joint prox of the pixelwise terms within the bounds: compiled where the kernels know the terms."""
    if split.problem.engine == "cupy":
        from fusionkit.engines.gpu.split import prox_of

        return prox_of(split)
    spec = pixelwise_spec(split)
    return PixelwiseProx(split.pixelwise, split.bounds) if spec is None else CompiledProx(spec)


def total_variation(split: Split) -> TotalVariation | None:
    """The composed terms as the kernels know them: total variation alone; None for anything else."""
    kernel = _lone_penalty(split)
    return kernel if isinstance(kernel, TotalVariation) else None


def _lone_penalty(split: Split) -> Kernel | None:
    """The composed term as the kernels know it, where it is the only one beside pixelwise terms."""
    if len(split.coupling.terms) != 1 or split.smooth or split.proximable is not None:
        return None
    term = split.coupling.terms[0]
    return term.kernel if isinstance(term, HasKernel) else None


def compiled_engine(split: Split, newton_steps: int) -> Engine | None:
    """One-pass primal-dual iterations, where the kernels know every term of the problem; else None."""
    spec, tv = pixelwise_spec(split), total_variation(split)
    if spec is None or tv is None:
        return None
    from fusionkit.engines.cpu.tv import Engine

    return Engine(spec, tv, split.problem.shape, split.problem.dtype, newton_steps)


class OnePass(Protocol):
    """Primal-dual iterations by kernels that know every term of the problem."""

    def __call__(
        self, x: Array, auxiliary: Arrays, duals: Arrays, steps: tuple[float, ...], relaxation: float
    ) -> tuple[Array, Arrays]:
        """One iteration with the steps tau and sigma: x and duals, in place on the processor, like the auxiliary."""
        ...


@runtime_checkable
class MeasuresChange(Protocol):
    """Iterations that know how far they moved x."""

    def change(self) -> float:
        """||x+ - x|| of the last iteration, which had rho = 1."""
        ...


def compiled_iterations(split: Split, newton_steps: int, former: OnePass | None = None) -> OnePass | None:
    """Iterations with the penalties that kernels know, isotropic TV and TGV; None where NumPy has to do them.

    Parameters
    ----------
    split : the problem, sorted.
    newton_steps : of the joint prox in each iteration.
    former : of the same problem with other parameters, whose memory on a device is used on.
    """
    if split.problem.engine == "cupy":
        from fusionkit.engines.gpu.iterations import device_iterations

        return device_iterations(split, newton_steps, former)
    engine = compiled_engine(split, newton_steps)
    second = compiled_tgv(split, newton_steps) if engine is None else None
    return None if engine is None and second is None else CompiledIterations(engine, second)


@dataclass(frozen=True)
class CompiledIterations:
    """Iterations on the processor, in place, of one engine or the other."""

    engine: Engine | None
    second: TGVEngine | None

    def __call__(
        self, x: Array, auxiliary: Arrays, duals: Arrays, steps: tuple[float, ...], relaxation: float
    ) -> tuple[Array, Arrays]:
        """As `OnePass`."""
        if self.engine is not None:
            self.engine.step(x, duals[0], steps[0], steps[1], relaxation)
        elif self.second is not None:
            self.second.step(x, auxiliary[0], duals[0], (steps[0], steps[1]), relaxation)
        return x, duals

    def change(self) -> float:
        """As `MeasuresChange`."""
        engine = self.engine or self.second
        assert engine is not None
        return engine.change()


def on_processor(split: Split) -> Split:
    """The same problem for arrays of NumPy."""
    if split.problem.engine != "cupy":
        return split
    from fusionkit.engines.gpu.split import host_of

    return host_of(split)


def placed(split: Split, arrays: Sequence[Array]) -> Arrays:
    """Arrays where the engine of the problem wants them: copies on the device, or as they are."""
    if split.problem.engine != "cupy":
        return tuple(arrays)
    from fusionkit.engines.gpu.current import find_device

    return tuple(find_device().xp.array(array) for array in arrays)


def compiled_tgv(split: Split, newton_steps: int) -> TGVEngine | None:
    """Iterations with total generalised variation, where the kernels know every term of the problem; else None."""
    spec, tgv = pixelwise_spec(split), _lone_penalty(split)
    if spec is None or not isinstance(tgv, TotalGeneralisedVariation):
        return None
    from fusionkit.engines.cpu.tgv import TGVEngine

    return TGVEngine(spec, tgv, split.problem.shape, split.problem.dtype, newton_steps)


def announce_engine(split: Split) -> None:
    """Log that kernels are about to be compiled, where this solve is the first to need them."""
    if engine_used(split) == "numba":
        from fusionkit.engines.cpu.joint_prox import announce

        announce(split.problem.dtype)


def engine_used(split: Split) -> str:
    """``cupy`` on a GPU, ``numba`` where a compiled kernel takes part, else ``numpy``."""
    if split.problem.engine == "cupy":
        return "cupy"
    return "numpy" if pixelwise_spec(split) is None else "numba"


def device_used(split: Split) -> str:
    """The name of the GPU that a solve runs on; empty where none takes part."""
    if split.problem.engine != "cupy":
        return ""
    from fusionkit.engines.gpu.current import find_device

    return find_device().name


def engine_notes(split: Split) -> tuple[str, ...]:
    """Says which pixelwise terms keep the compiled kernels from being used, where they were wanted."""
    if split.problem.engine == "cupy":
        from fusionkit.engines.gpu.split import notes_of

        return notes_of(split)
    if split.problem.engine == "numpy" or not split.pixelwise or engine_used(split) != "numpy":
        return ()
    if find_spec("numba") is None:
        return ("Numba is not installed: all terms run in NumPy",)
    unknown = [t.name for t in split.pixelwise if not isinstance(t, HasKernel) or t.kernel is None]
    which = ", ".join(unknown) or "their combination"
    return (f"the pixelwise terms run in NumPy: no kernel is compiled for {which}",)
