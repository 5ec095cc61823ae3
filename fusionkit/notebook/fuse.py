"""`fuse`: fused maps from image and maps in a notebook, by the same steps as a run of a config."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fusionkit.checkpoint.folder import Checkpoint
from fusionkit.config import LoadedConfig, Source, check_source
from fusionkit.data.dataset import Dataset
from fusionkit.data.normalise import Normalisation
from fusionkit.engines.choose import SMALL
from fusionkit.errors import UserError
from fusionkit.notebook.defaults import Model, Terms, check_choice, plan, solver_spec
from fusionkit.notebook.inputs import argument_names, gather, in_python
from fusionkit.problem import Engine
from fusionkit.reconstruct import prepare
from fusionkit.report.overview import overview
from fusionkit.result import Result
from fusionkit.results.lock import locked
from fusionkit.results.record import RunRecord, Verdict
from fusionkit.results.resume import checkpoint_of
from fusionkit.results.summary import versions
from fusionkit.terminal import shown_log
from fusionkit.terms import Array
from fusionkit.weights.cache import checksum

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PATIENCE = 5.0  # seconds before a search shows its progress


@dataclass(frozen=True, repr=False)
class Fused:
    """The result of `fuse`.

    Parameters
    ----------
    maps : fused map by element: signals with the axes and metadata of the inputs where all of these were signals,
        else arrays (ny, nx).
    stack : all maps in one, (n, ny, nx): a signal where the input was a stack, else an array.
    record : the run: result, data in the units of the model, terms, predictions, diagnostics.
    given : the input data; ``maps`` have the same units.
    arrays : the maps as arrays by element.
    notes : choices and warnings, a sentence each.
    """

    maps: Mapping[str, Any]
    stack: Any
    record: RunRecord
    given: Dataset
    arrays: Mapping[str, Array]
    notes: tuple[str, ...]

    @property
    def result(self) -> Result:
        """The result with status, certificate and trace, in the units of the model."""
        return self.record.result

    @property
    def verdict(self) -> Verdict:
        """Whether to believe the maps: ``level``, ``reasons``, and the level of each of the ``elements``."""
        assert self.record.verdict is not None
        return self.record.verdict

    def figure(self) -> Figure:
        """Raw and fused maps beside the image, its model and the residual, for display in a notebook."""
        from fusionkit.report.figures.maps import maps_figure

        return maps_figure(self.record)

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write maps and image in the format of the suffix: ``.hspy``, ``.zspy`` or ``.tif``.

        `UserError` if the suffix is unknown, a library is missing, or the file exists.
        """
        from fusionkit.config.yaml import dump
        from fusionkit.export.content import content_of
        from fusionkit.export.writers import export, writer_for

        content = content_of(self.result, self.given, dump(self.record.resolved_config))
        export(replace(content, maps=self.arrays), Path(path), writer_for(Path(path)), overwrite)

    def __repr__(self) -> str:
        result, shape = self.result, " x ".join(map(str, self.result.x.shape[1:]))
        lines = [
            f"Fused maps of {', '.join(self.maps)} ({shape}): {result.status}, optimality {result.optimality:.2g} "
            f"after {result.iterations} iterations, {result.seconds:.2g} s"
        ]
        lines += [f"  {name}: {text}" for name, text in overview(self.record)]
        return "\n".join(lines + [f"  {note}" for note in self.notes])


def fuse(
    haadf: Any,
    maps: Any,
    *,
    elements: Sequence[str] | None = None,
    terms: Terms | None = None,
    z: str | Mapping[str, float] | None = None,
    gamma: float | None = None,
    tv: float | None = None,
    weight: Literal["auto"] | None = None,
    solver: str | Mapping[str, Any] | None = None,
    normalize: Normalisation | None = None,
    mask: Any = None,
    init: str = "auto",
    precision: Literal["single", "double"] = "single",
    engine: Engine | None = None,
    progress: bool = True,
    checkpoint: str | PathLike[str] | None = None,
) -> Fused:
    r"""Fuse a HAADF image with elemental maps.

    .. math:: \min_{x \ge 0} \frac{w}{2} \| b_H - o - g \sum_i (Z_i x_i)^\gamma \|^2
        + \sum_i (1^T x_i - b_i^T \log(x_i + \epsilon)) + R(x)

    Defaults come from the data and are reported in ``notes`` of the result. For maps of counts, held-out counts select
    R (`joint_nonlocal` or joint TGV), the model of the image (a power sum or linear in thickness) and its weight, from
    0, which leaves it out, to that of its noise; gain and offset are fitted. Maps that are not counts, which may hold
    negative values, have Gaussian noise, estimated for each; copies with more noise take the place of held-out counts.
    `UserError` if the data or an option are wrong; its message says where, what is wrong and what to do. `RefusalError`
    if the solver cannot take a term.

    Parameters
    ----------
    haadf : the image (ny, nx): an array, a HyperSpy signal, or the path of a file.
    maps : a mapping from element to map (ny, nx); a list of signals titled by element, or of files that name their
        element; a stack (n, ny, nx), as an array or a signal whose metadata name the elements; or the path of a file
        with a stack or with images named by element. A mapping or a list may mix arrays (also dask), signals and files.
        A HyperSpy signal of EDX spectra gives counts in sets of channels, see `method: spectral`.
    elements : of the maps, in their order, if the maps do not name them. Maps that do are put into this order. Of
        spectra, those to map; by default those of the signal that its spectra show.
    terms : of the objective, as in a config, instead of those above.
    z : ``relative`` (Z / mean Z), ``absolute`` or a value for each element; ``relative`` where None.
    gamma : exponent of the image; 1.7 where None, while the term ``haadf`` of ``terms`` has 1.6 by default.
    tv : weight of a total variation in place of R.
    weight : ``auto`` converts maps without negative values to counts for the solve.
    solver : name, or name and options: ``{"type": "admm", "tolerance": 1e-3}``.
    normalize : ``none``, ``minmax`` or ``max``, as in a config.
    mask : pixels that were not measured: an array (ny, nx), True where to leave out, ``nan`` for those that are NaN,
        ``empty`` for those without a count in any map, or a list of [row, column]; of image and maps, or a mapping
        ``{"haadf": ..., "maps": ...}``. Masks of NumPy's masked arrays are taken without it.
    init : ``auto``, ``maps``, ``uniform`` or the path of a former ``result.h5``.
    precision : ``single`` or ``double``.
    engine : ``numpy``, ``numba``, ``cupy`` or ``auto``; where None, ``numpy`` for few values and ``auto`` for many.
    progress : whether a search of more than five seconds shows its trials and how long they may take.
    checkpoint : a path. The state of the unfinished call is saved every minute in the hidden folder
        ``.NAME.checkpoint`` beside it; the same call in a new process goes on from there, with the same bits.
    """
    started = time.perf_counter()
    check_choice("precision", precision, ("single", "double"))
    check_choice("engine", engine, (None, "numpy", "numba", "cupy", "auto"))
    check_choice("weight", weight, (None, "auto"))
    inputs = gather(haadf, maps, elements, mask)
    config: dict[str, Any] = {
        "version": 1,
        "data": inputs.options,
        "solver": solver_spec(solver),
        "init": init,
        "precision": precision,
        "engine": engine or ("numpy" if inputs.dataset.arrays["maps"].size < SMALL else "auto"),
    }
    problem = plan(inputs, terms, Model(z, gamma, tv), normalize, weight == "auto")
    loaded = check_source(Source({**config, "terms": problem.terms}, Path(), "fuse"))
    with _saving(checkpoint, loaded, problem.dataset) as saved:
        with argument_names(), shown_log(not progress, _PATIENCE):
            job = prepare(loaded, read=lambda *_: problem.dataset, checkpoint=saved)
        job = replace(job, setup_seconds=time.perf_counter() - started)
        with argument_names():
            result = job.solve()
            record = job.record(result)
    # a config cannot name data in memory
    resolved = {key: value for key, value in record.resolved_config.items() if key not in ("version", "data", "output")}
    told = tuple(replace(each, text=in_python(each.text)) for each in record.diagnostics)
    judged = record.verdict and replace(record.verdict, reasons=tuple(map(in_python, record.verdict.reasons)))
    record = replace(record, resolved_config=resolved, diagnostics=told, verdict=judged)
    pairs = zip(problem.scales, result.x, strict=True)
    arrays = dict(zip(result.labels, [_back(x, s.offset, s.factor) for s, x in pairs], strict=True))
    about = {
        "version": versions()["fusionkit"],
        "status": str(result.status),
        "objective": float(result.objective),
        "optimality": float(result.optimality),
    }
    warnings = (each.text for each in told if each.level == "warning")
    notes = tuple(map(in_python, (*job.dataset.notes, *result.notes, *warnings)))
    kind = inputs.kind
    return Fused(kind.maps(arrays, about), kind.stack(arrays, about), record, inputs.dataset, arrays, notes)


@contextmanager
def _saving(path: str | PathLike[str] | None, loaded: LoadedConfig, data: Dataset) -> Iterator[Checkpoint | None]:
    """The checkpoint beside a path, removed at the end of the context unless it fails; None without a path."""
    if path is None:
        yield None
        return
    key = checksum(data, loaded.config.objective)
    if key is None:
        problem = "knows terms and solvers by their options, and one is an object or of a plug-in"
        raise UserError("checkpoint", problem, "leave it out, or use 'fusionkit run' with a config")
    with locked(Path(path)):
        checkpoint = checkpoint_of(loaded, Path(path), data=key)
        yield checkpoint
        if checkpoint is not None:
            checkpoint.remove()


def _back(x: Array, offset: float, factor: float) -> Array:
    """A fused map in the units of the input, as a new array; in float64 where its precision cannot hold them."""
    if (offset, factor) == (0.0, 1.0):
        return x.copy()
    range_, size = np.finfo(x.dtype), float(np.max(np.abs(x)))
    fits = size == 0.0 or float(range_.tiny) <= abs(size * factor) + abs(offset) <= float(range_.max)
    return (x * factor + offset).astype(x.dtype) if fits else np.asarray(x, np.float64) * factor + offset
