"""Iterations and checks on a device: the state stays there, and a check returns a dozen numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusionkit.arrays import on_host
from fusionkit.engines.gpu import source as parameters
from fusionkit.engines.gpu.device import Device
from fusionkit.engines.gpu.source import KERNELS, macros, source
from fusionkit.engines.kernel_terms import PixelwiseSpec, PowerSumLeastSquares, TotalVariation
from fusionkit.engines.sums import SUMS, Evaluation, Sample, evaluation, norm_sums, row_stride
from fusionkit.terms import Array

_BLOCK = (32, 8)  # threads of a block in an iteration: a row of 32 pixels is 128 bytes of float32
_WIDTH = 256  # threads of a block in a check
_MOST_BLOCKS = 1024  # of a check, whose sums take 12 doubles in each thread


class DeviceEngine:
    """Chambolle and Pock's iterations for pixelwise terms and total variation (see `fusionkit.engines.cpu.tv`).

    An iteration reads one pair of arrays (x, p) and writes another, so that no thread reads what another one writes;
    the next iteration writes into the pair just read.

    Parameters
    ----------
    spec : the pixelwise terms with the bounds.
    tv : the total variation; None for no penalty, with an empty p.
    shape : of the unknown, (n, ny, nx).
    dtype : float32 or float64.
    newton_steps : Newton steps of the joint prox in each iteration.
    device : the device.
    former : engine for the same shape and data with other parameters, whose memory is reused.
    """

    def __init__(
        self,
        spec: PixelwiseSpec,
        tv: TotalVariation | None,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        newton_steps: int,
        device: Device,
        former: DeviceEngine | None = None,
    ) -> None:
        self.spec, self.tv, self.shape, self.dtype, self.device = spec, tv, shape, np.dtype(dtype), device
        self.weight = tv.weight if tv else 0.0
        self._kernels = device.compile(source(macros(spec, tv, shape[0], self.dtype, newton_steps)), KERNELS)
        self._fit = parameters.fit(spec, shape[0], self.dtype)
        self._ball = parameters.ball(tv, shape[0], self.dtype)
        self._shape = parameters.record(parameters.SHAPE, *shape[1:])
        self._host = (
            spec.coupled.image if isinstance(spec.coupled, PowerSumLeastSquares) else None,
            spec.poisson.maps if spec.poisson else None,
            spec.squares.maps if spec.squares else None,
            tv.xi if tv else None,
        )
        self._data = tuple(self._on_device(index, former) for index in range(len(self._host)))
        self._spare, self._table = self._memory() if former is None else (former._spare, former._table)
        self._latest: Any = None  # x of the last iteration
        self._tau = 1.0  # of that
        self._no_dual = device.xp.empty(0, self.dtype)  # the dual variable of no penalty

    @property
    def dual_shape(self) -> tuple[int, ...]:
        """Shape of p."""
        return (2, *self.shape) if self.tv else (0,)

    @property
    def _grid(self) -> tuple[int, int]:
        """Blocks of a kernel with a thread for each pixel."""
        return -(-self.shape[2] // _BLOCK[0]), -(-self.shape[1] // _BLOCK[1])

    def put(self, array: Array) -> Any:
        """A copy on the device."""
        return self.device.xp.array(np.ascontiguousarray(array, self.dtype))

    def _on_device(self, index: int, former: DeviceEngine | None) -> Any:
        """Data on the device, those of the former engine if it has them; absent data are one value that is not read."""
        array = self._host[index]
        if former is not None and former._host[index] is array:
            return former._data[index]
        return self.device.xp.empty(1, self.dtype) if array is None else self.put(array)

    def _memory(self) -> tuple[tuple[Any, Any], Any]:
        """The pair of arrays that the first iteration writes, and the sums of the threads of a check."""
        xp, (_, ny, nx) = self.device.xp, self.shape
        blocks = min(_MOST_BLOCKS, -(-ny * nx // _WIDTH))
        spare = xp.empty(self.shape, self.dtype), xp.empty(self.dual_shape, self.dtype)
        return spare, xp.empty((SUMS, blocks * _WIDTH), np.float64)

    def step(
        self,
        x: Any,
        auxiliary: Sequence[Any],
        duals: Sequence[Any],
        steps: Sequence[float],
        relaxation: float = 1.0,
        boost: Any = None,
    ) -> tuple[Any, tuple[Any, ...]]:
        """As `fusionkit.engines.engine.Engine`, on the device; the next call overwrites the x and p of this one."""
        new, p = self._spare, duals[0] if duals else self._no_dual
        self._tau = steps[0]
        numbers = parameters.steps(self.dtype, steps[0], steps[1] if duals else 0.0, relaxation)
        image, counts, targets, xi = self._data
        arguments = (x, p, *new, image, counts, targets, xi, self._fit, self._ball, numbers, self._shape)
        self._kernels["iterate"](self._grid, _BLOCK, arguments)
        self._spare, self._latest = (x, p), new[0]
        return new[0], new[1:] if duals else ()

    def boost(self, x: Any, scale: float, former: Any) -> Array | None:
        """As `fusionkit.engines.engine.Engine`: none."""
        return None

    def change(self) -> float:
        """||(x+ - x) / tau|| of the last iteration; call it before a check, which overwrites the old x."""
        self._reduce("apart", self._latest, self._spare[0], self._table, self._shape)
        return float(self._table[0].sum()) ** 0.5 / self._tau

    def _reduce(self, kernel: str, *arguments: Any) -> None:
        """Launch a kernel whose threads share all pixels."""
        self._kernels[kernel]((self._table.shape[1] // _WIDTH,), (_WIDTH,), arguments)

    def prox(self, v: Any, step: float, start: Any, out: Any) -> Any:
        """The joint prox of the pixelwise terms, see `fusionkit.pixelwise.PixelwiseProx`.

        Parameters
        ----------
        v : point on the device, shape (n, ny, nx), C-contiguous.
        step : t > 0.
        start : start of Newton's method, of the same kind and within the bounds.
        out : receives the result; may be ``start``.
        """
        data = (*self._data[:3], self._fit, self.dtype.type(1.0 / step), self._shape)
        self._kernels["prox"](self._grid, _BLOCK, (v, start, out, *data))
        return out

    def check(self, x: Any, auxiliary: Sequence[Any], duals: Sequence[Any], sample: Sample | None = None) -> Evaluation:
        """As `fusionkit.engines.engine.Engine`; only sums leave the device."""
        number, table = self.dtype.type, self._table
        sums, residual = self.collect(x, duals[0] if duals else self._no_dual, row_stride(sample))

        def squared_move(step: float) -> float:
            if sample is not None:
                return (sample.change * step) ** 2
            self._reduce("stationarity", x, residual, table, self._fit, number(step), self._shape)
            return float(table[0].sum())

        costs = (norm_sums(sums.tolist(), self.weight),)
        return evaluation(sums.tolist(), self.spec, costs, squared_move, x, row_stride(sample))

    def collect(self, x: Any, p: Any, stride: int = 1) -> tuple[Array, Any]:
        """The sums of `fusionkit.engines.sums`, and r = grad f(x) + K'p on the device, which the next call overwrites.

        Parameters
        ----------
        x, p : the state on the device, see `step`.
        stride : distance between the rows to evaluate; the sums are estimates if it exceeds 1.
        """
        table, residual, ny = self._table, self._spare[0], self.shape[1]
        rows = parameters.rows(ny, stride)
        self._reduce("collect", x, p, *self._data, residual, table, self._fit, self._ball, self._shape, rows)
        return on_host(table.sum(axis=1)) * (ny / len(range(stride // 2, ny, stride))), residual
