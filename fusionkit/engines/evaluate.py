"""What a solve's states are worth: values and certificate by kernels that know every term, or by the definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from fusionkit.arrays import on_host
from fusionkit.certificate import Certificate, certify
from fusionkit.engines.choose import compiled_engine, compiled_tgv, on_processor
from fusionkit.engines.kernel import HasKernel, LeastSquaresMaps, PoissonMaps, PowerSumLeastSquares
from fusionkit.engines.sums import FastCheck, Sample
from fusionkit.problem import Split
from fusionkit.solver import State
from fusionkit.terms import Array

_SAMPLING = 32  # a sample is every so many rows,
_LEAST_ROWS = 8  # or so many rows at the least
_KINDS: list[type] = [PowerSumLeastSquares, PoissonMaps, LeastSquaresMaps]  # of terms besides the penalties


@runtime_checkable
class ChecksOnDevice(Protocol):
    """Iterations that also judge their states, where these are."""

    def check_on_device(self, state: State, sample: Sample | None) -> FastCheck:
        """Values of the terms and the certificate, or about that from a sample of the rows."""
        ...


class Judge:
    """Finds the value of each term by its name, and the certificate, at the states of one solve.

    Parameters
    ----------
    split : the problem, sorted.
    former : of the same problem with other parameters, whose memory is used on.
    """

    def __init__(self, split: Split, former: Judge | None = None) -> None:
        self.split = split
        self._check = _compiled_check(split)
        # kept, since fresh memory costs more than what is written to it
        self._residual: Array | None = None if former is None else former._residual

    def __call__(self, state: State) -> tuple[dict[str, float], Certificate]:
        """Values and certificate of x, the auxiliary unknowns and the dual variables."""
        split, found = self.split, self._found(state, None)
        if found is None:
            return split.values(state.x, state.auxiliary), certify(split, state.x, state.auxiliary, state.duals)
        if found.certificate is not None:
            return self.named(found), found.certificate
        duals = tuple(on_host(p) for p in state.duals)
        return self.named(found), certify(on_processor(split), on_host(state.x), state.auxiliary, duals)

    @cached_property
    def _kinds(self) -> dict[str, int]:
        """Which of the values that kernels find is that of each term."""
        kinds = dict.fromkeys((term.name for term in self.split.coupling.terms), len(_KINDS))
        for term in (*self.split.smooth, *self.split.pixelwise):  # on a device all of them are in the former
            assert isinstance(term, HasKernel)
            kinds[term.name] = _KINDS.index(type(term.kernel))
        return kinds

    def _found(self, state: State, sample: Sample | None) -> FastCheck | None:
        """By kernels; None where they do not know the terms."""
        engine = getattr(state, "engine", None)
        if isinstance(engine, ChecksOnDevice):
            return engine.check_on_device(state, sample)
        if self._check is None:
            return None
        return self._check(state, self._memory(state), sample)

    def named(self, found: FastCheck) -> dict[str, float]:
        """The value of each term by its name, as kernels found it."""
        by_kind = (found.coupled, found.poisson, found.squares, found.tv)
        return self.split.ordered({name: by_kind[kind] for name, kind in self._kinds.items()})

    def sampled(self, state: State) -> tuple[Certificate, FastCheck] | None:
        """About the certificate and the values, from a sample of the rows and the change of x; None without them."""
        if state.change is None:  # the solver does not measure it
            return None
        every = min(_SAMPLING, self.split.problem.shape[1] // _LEAST_ROWS)
        found = self._found(state, Sample(every, state.change)) if every > 1 else None
        return None if found is None or found.certificate is None else (found.certificate, found)

    def _memory(self, state: State) -> Array:
        if self._residual is None:
            self._residual = np.empty_like(state.x)
        return self._residual


def _compiled_check(split: Split) -> Callable[[State, Array, Sample | None], FastCheck] | None:
    """What checks a state, or a sample, given memory for the residual, where the kernels know every term; else None."""
    engine = compiled_engine(split, 1)
    tgv = compiled_tgv(split, 1) if engine is None else None
    if engine is None and tgv is None:
        return None
    from fusionkit.engines.cpu.tv_check import Checker

    if engine is not None:
        checker = Checker(engine)
        return lambda state, residual, sample: checker.check(state.x, state.duals[0], residual, sample)
    from fusionkit.engines.cpu.tgv_check import TGVChecker
    from fusionkit.engines.cpu.tv import Engine

    field = split.coupling.terms[0].auxiliary
    assert tgv is not None
    assert field is not None
    second = TGVChecker(tgv, Checker(Engine(tgv.spec, 0.0, tgv.shape, tgv.dtype)), field.norm)
    return lambda state, residual, sample: second.check(state.x, state.auxiliary[0], state.duals[0], residual, sample)
