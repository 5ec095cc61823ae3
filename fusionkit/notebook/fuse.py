"""`fuse`: image and maps in, fused maps in kind and the whole result out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fusionkit.composition import compose, make_solver
from fusionkit.data.dataset import Dataset
from fusionkit.data.normalise import Normalisation
from fusionkit.engines.choose import SMALL
from fusionkit.errors import UserError
from fusionkit.loop import solve
from fusionkit.machine import require, solve_bytes
from fusionkit.notebook.defaults import Model, Plan, Terms, check_choice, plan, solver_spec
from fusionkit.notebook.given import given
from fusionkit.notebook.weights import automatic, chosen_weights, in_counts
from fusionkit.options import Spec
from fusionkit.problem import Engine, Problem
from fusionkit.reconstruct import starting_point
from fusionkit.report.diagnostics import diagnose
from fusionkit.result import Result
from fusionkit.results.record import RunRecord, predictions_of
from fusionkit.results.summary import versions
from fusionkit.solver import fit
from fusionkit.terms import Array, Term
from fusionkit.weights.chosen import ChosenWeight

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class Fused:
    """What `fuse` gives back.

    Parameters
    ----------
    maps : fused map by element, in kind: signals with the axes and metadata of those given where all maps were
        signals, else arrays (ny, nx).
    stack : all maps in one, (n, ny, nx): a signal where a stack was given, else an array.
    record : the run: result, data in the units of the model, terms, what the models predict, diagnostics.
    given : the data as they came; the maps are in their units.
    arrays : the maps as arrays by element.
    notes : what was chosen, and what the user should know, a sentence each.
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

    def figure(self) -> Figure:
        """Raw and fused maps beside the image, its model and the residual; a notebook shows it."""
        from fusionkit.report.figures.save import maps_figure

        return maps_figure(self.record)

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write maps and image in the format of the suffix: ``.hspy``, ``.zspy`` or ``.tif``.

        Raises
        ------
        UserError : the suffix is of no format, a library is missing, or the file exists.
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
    init: str = "auto",
    precision: Literal["single", "double"] = "single",
    engine: Engine | None = None,
) -> Fused:
    r"""Fuse a HAADF image with elemental maps.

    .. math:: \min_{x \ge 0} \frac{w}{2} \| b_H - \sum_i (Z_i x_i)^\gamma \|^2
        + \lambda_1 \sum_i (1^T x_i - b_i^T \log(x_i + \epsilon)) + \lambda_2 \sum_i \| x_i \|_{TV}

    What is not given is chosen from the data, and ``notes`` of what comes back say what was. Maps that are whole
    numbers are taken as counts, and the image is put into the units of the model; others are normalised.

    Parameters
    ----------
    haadf : the image (ny, nx): an array, a HyperSpy signal, or the path of a file.
    maps : a mapping from element to map (ny, nx); or a list of signals titled by element or of files that say theirs;
        or a stack (n, ny, nx), a signal whose metadata name the elements or an array; or the path of a file whose
        images are called by elements, or of a stack. Arrays may be dask's; a mapping or a list may hold all kinds.
    elements : of the maps, in their order, where these do not say. Maps that do are put into this order.
    terms : of the objective, as in a config, instead of the four above.
    z : ``relative`` (Z / mean Z), ``absolute`` or a value for each element; fitted to counts where None.
    gamma : exponent of the image; 1.7 where None.
    tv : weight of the total variation; 0.3 for counts and 0.1 for normalised maps where None.
    weight : ``auto`` chooses every weight from the data, but that of ``tv`` where it is given; maps are turned into
        counts for that, and back.
    solver : its name, or its name and options: ``{"type": "admm", "tolerance": 1e-3}``.
    normalize : ``none``, ``minmax`` or ``max``, as in a config.
    init : ``auto``, ``maps``, ``uniform`` or the path of a former ``result.h5``.
    precision : ``single`` or ``double``.
    engine : ``numpy``, ``numba``, ``cupy`` or ``auto``; where None, ``numpy`` for few values and ``auto`` for many.

    Raises
    ------
    UserError : something about the data or an option is wrong; one line says where, what, and what would do.
    RefusalError : the solver cannot take a term.
    """
    started = time.perf_counter()
    check_choice("precision", precision, ("single", "double"))
    check_choice("engine", engine, (None, "numpy", "numba", "cupy", "auto"))
    check_choice("weight", weight, (None, "auto"))
    came = given(haadf, maps, elements)
    spec = solver_spec(solver)
    chosen = _planned(came.dataset, terms, Model(z, gamma, tv), normalize, weight == "auto")
    size = came.dataset.arrays["maps"].size
    used: Engine = engine or ("numpy" if size < SMALL else "auto")
    chosen, weights = chosen_weights(chosen, spec, precision, used)
    problem = compose(chosen.dataset, chosen.terms, None, precision, used)
    algorithm = make_solver(spec.type, **spec.options)
    split = fit(algorithm, problem)
    require(solve_bytes(split, algorithm.memory(split)), "maps")
    start = starting_point(init, problem, chosen.dataset)
    setup = time.perf_counter() - started
    result = solve(problem, algorithm, start)
    record = _record(result, chosen, problem, spec, setup, weights)
    pairs = zip(chosen.scales, result.x, strict=True)
    arrays = dict(zip(result.labels, [_back(x, s.offset, s.factor) for s, x in pairs], strict=True))
    about = {
        "version": versions()["fusionkit"],
        "status": str(result.status),
        "objective": float(result.objective),
        "optimality": float(result.optimality),
    }
    warned = tuple(each.text for each in record.diagnostics if each.level == "warning")
    notes = (*came.dataset.notes, *chosen.notes, *result.notes, *warned)
    return Fused(came.kind.maps(arrays, about), came.kind.stack(arrays, about), record, came.dataset, arrays, notes)


def _back(x: Array, offset: float, factor: float) -> Array:
    """A map in the units in which it came, in memory of its own."""
    return x.copy() if (offset, factor) == (0.0, 1.0) else (x * factor + offset).astype(x.dtype)


def _planned(
    dataset: Dataset, terms: Terms | None, model: Model, normalize: Normalisation | None, automatically: bool
) -> Plan:
    """Units and terms; where weights are to be chosen, the maps are in counts."""
    if not automatically:
        return plan(dataset, terms, model, normalize)
    if terms is not None:
        raise UserError("weight", "is given beside terms", "put it into them: {'type': 'tv', 'weight': 'auto'}")
    if normalize not in (None, "none"):
        raise UserError("normalize", f"is {normalize}, and weight 'auto' needs counts", "leave one of them out")
    counts, scales = in_counts(dataset)
    keep = () if model.tv is None else ("tv",)
    found = automatic(plan(counts, None, model, "none", weighted=False), keep)
    return replace(found, scales=scales, notes=(*counts.notes[len(dataset.notes) :], *found.notes))


def _record(
    result: Result, chosen: Plan, problem: Problem, spec: Spec, setup: float, weights: tuple[ChosenWeight, ...]
) -> RunRecord:
    plain = [_plain(term) for term in chosen.terms]
    predictions = predictions_of(result.problem or problem, result.x)
    weighted = zip(problem.terms, plain, strict=True)
    record = RunRecord(
        result=result,
        dataset=chosen.dataset,
        resolved_config={"terms": plain, "solver": {"type": spec.type, **spec.options}},
        model_haadf=predictions.pop("haadf", None),
        predictions=predictions,
        seconds={"setup": setup, "solve": result.seconds},
        weights=weights,
        term_weights={term.name: spec["weight"] for term, spec in weighted if "weight" in spec},
    )
    return replace(record, diagnostics=diagnose(record))


def _plain(term: Term | Spec | Mapping[str, Any] | str) -> dict[str, Any]:
    """A term as a config has it; one that exists already by its name."""
    if isinstance(term, Mapping):
        return dict(term)
    if isinstance(term, Spec):
        return {"type": term.type, **term.options}
    return {"type": term if isinstance(term, str) else term.name}
