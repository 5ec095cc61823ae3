"""A sorted problem on a device: kernels for pixelwise terms and TV, the array module for other penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from fusionkit.arrays import takes_any_array
from fusionkit.engines.engine import Backend, Engine, JointProx
from fusionkit.engines.gpu import device as devices
from fusionkit.engines.gpu.engine import DeviceEngine
from fusionkit.engines.kernel_terms import (
    Kernel,
    LossOfSum,
    PixelwiseSpec,
    TotalVariation,
    Unsupported,
    describe,
    kernel_of,
)
from fusionkit.engines.sums import COUPLED, POISSON, SQUARES
from fusionkit.errors import RefusalError
from fusionkit.problem import Coupling, Split
from fusionkit.terms import Array, Arrays, Bounds, Composed, Pixelwise, Smooth

INSTEAD = "'engine: auto' runs it on the processor"


@dataclass(frozen=True)
class DeviceSplit(Split):
    """A problem whose terms take arrays of the device; the pixelwise ones are in ``smooth``."""

    spec: PixelwiseSpec = field(kw_only=True)  # the pixelwise terms with the bounds
    tv: TotalVariation | None = field(kw_only=True)  # the total variation if it is the only penalty, else None
    fused: bool = field(kw_only=True)  # whether the kernels take the penalties and run whole iterations
    host: Split = field(kw_only=True)  # the same problem on the processor

    @cached_property
    def prox(self) -> DeviceProx:
        """The joint prox of the pixelwise terms."""
        return DeviceProx(self)


class DeviceProx:
    """The joint prox in a kernel; see `fusionkit.pixelwise.PixelwiseProx`.

    Parameters
    ----------
    split : the problem.
    """

    def __init__(self, split: DeviceSplit) -> None:
        self.split = split
        self._engines: dict[int, DeviceEngine] = {}  # by the number of Newton steps, which is compiled in

    def __call__(self, v: Any, step: float, start: Any, newton_steps: int = 1, out: Any = None) -> Any:
        """The prox at ``v`` on the device."""
        if newton_steps not in self._engines:
            problem, device = self.split.problem, devices.find_device()
            engine = DeviceEngine(self.split.spec, None, problem.shape, problem.dtype, newton_steps, device)
            self._engines[newton_steps] = engine
        return self._engines[newton_steps].prox(v, step, start, np.empty_like(v) if out is None else out)


class DeviceTerm(Smooth):
    """A pixelwise term whose value and gradient come from a kernel.

    Parameters
    ----------
    term : the term.
    kernel : its description for the kernels.
    split : its problem.
    """

    def __init__(self, term: Pixelwise, kernel: Kernel, split: Split) -> None:
        self.term, self.kernel, self.name, self.convex = term, kernel, term.name, term.convex
        self._shape, self._dtype = split.problem.shape, split.problem.dtype

    @cached_property
    def _engine(self) -> DeviceEngine:
        spec = describe((self.term,), Unbounded(), self._shape)
        return DeviceEngine(spec, None, self._shape, self._dtype, 1, devices.find_device())

    def value(self, x: Array) -> float:
        """Weighted value at ``x``."""
        sums = self._engine.collect(x, x)[0]
        weighted = zip(self._engine.spec.weights, (COUPLED, POISSON, SQUARES), strict=True)
        return sum(weight * float(sums[column]) for weight, column in weighted if weight)

    def gradient(self, x: Array, out: Array | None = None) -> Array:
        """Gradient at ``x``."""
        gradient = self._engine.collect(x, x)[1]
        if out is None:
            return gradient.copy()
        out[...] = gradient
        return out


class Unbounded(Bounds):
    """No bounds."""

    name, lower, upper = "bounds", -np.inf, np.inf


class DeviceCoupling(Coupling):
    """As `Coupling`; the arrays that it makes are on the device."""

    def zeros(self, dtype: np.dtype) -> Arrays:
        """Dual variables at zero."""
        return _put(super().zeros(dtype))

    def auxiliary_zeros(self, dtype: np.dtype) -> Arrays:
        """Auxiliary unknowns at zero."""
        return _put(super().auxiliary_zeros(dtype))


def _put(arrays: Sequence[Array]) -> Arrays:
    xp = devices.find_device().xp
    return tuple(xp.array(array) for array in arrays)


def on_device(split: Split) -> DeviceSplit:
    """The problem on the device. `RefusalError` if a term cannot run there."""
    for term in (*split.smooth, *(() if split.proximable is None else (split.proximable,))):
        raise _refusal(f"the term '{term.name}'")
    terms = []
    for term in split.pixelwise:
        if (kernel := kernel_of(term)) is None:
            raise _refusal(f"the term '{term.name}'")
        terms.append(DeviceTerm(term, kernel, split))
    try:
        spec = describe(split.pixelwise, split.bounds, split.problem.shape)
    except Unsupported:
        spec = None
    if spec is None or spec.others or spec.mixture or spec.images or isinstance(spec.coupled, LossOfSum):
        names = ", ".join(term.name for term in (*split.pixelwise, split.bounds))
        raise _refusal(f"the combination of {names}")
    kernels = [kernel_of(term) for term in split.coupling.terms]
    lone = kernels[0] if len(kernels) == 1 else None
    tv = lone if isinstance(lone, TotalVariation) and lone.isotropic else None
    fused = not kernels or tv is not None
    if not fused:
        for term in split.coupling.terms:
            if not any_array(term):
                raise _refusal(f"the term '{term.name}'")
    moved = replace(split, smooth=tuple(terms), pixelwise=(), coupling=DeviceCoupling(split.coupling.terms))
    slots = {each.name: getattr(moved, each.name) for each in fields(Split)}
    return DeviceSplit(**slots, spec=spec, tv=tv, fused=fused, host=split)


class DeviceBackend(Backend):
    """Kernels on a GPU, and the array module for penalties without a kernel."""

    def require(self) -> None:
        devices.find_device()

    def place(self, split: Split, solver: str, runs_on_device: bool) -> DeviceSplit:
        if not runs_on_device:
            raise RefusalError("engine", f"cupy runs the solver chambolle_pock, not {solver}", INSTEAD)
        return on_device(split)

    def original(self, split: Split) -> Split:
        return _placed(split).host

    def put(self, arrays: Sequence[Array]) -> Arrays:
        return _put(arrays)

    def joint_prox(self, split: Split) -> JointProx:
        return _placed(split).prox

    def fuses(self, split: Split) -> bool:
        """As `Backend`; without fused kernels the arrays are on the device, too."""
        return True

    def engine(self, split: Split, newton_steps: int, former: Engine | None = None) -> DeviceEngine | None:
        placed, problem = _placed(split), split.problem
        if not placed.fused:
            return None
        kept = former if isinstance(former, DeviceEngine) else None
        device = devices.find_device()
        return DeviceEngine(placed.spec, placed.tv, problem.shape, problem.dtype, newton_steps, device, kept)

    def used(self, split: Split) -> str:
        return "cupy"

    def device(self) -> str:
        return devices.find_device().name

    def notes(self, split: Split) -> tuple[str, ...]:
        if not isinstance(split, DeviceSplit) or split.fused:
            return ()
        names = ", ".join(term.name for term in split.coupling.terms)
        return (f"on the device {names} ran by array functions: there is no kernel for it",)


def _placed(split: Split) -> DeviceSplit:
    assert isinstance(split, DeviceSplit)
    return split


def any_array(term: Composed) -> bool:
    """Whether operator and functional declare that they take arrays of any array module."""
    parts = [term.operator, term.functional, *(() if term.auxiliary is None else (term.auxiliary,))]
    return all(takes_any_array(part) for part in parts)


def _refusal(what: str) -> RefusalError:
    return RefusalError("engine", f"there is no GPU kernel for {what}", INSTEAD)
