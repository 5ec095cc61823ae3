"""What `fusionkit.fuse` chooses where it is told nothing: units, terms and solver, and what it says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusionkit.data.checks import Origin
from fusionkit.data.dataset import Dataset
from fusionkit.data.names import are_counts
from fusionkit.data.normalise import Normalisation, Scale, scale_of
from fusionkit.errors import UserError
from fusionkit.microscope.propose.weights import GAMMA, balance
from fusionkit.options import Spec, parse
from fusionkit.terms import Term

Terms = Sequence[Term | Spec | Mapping[str, Any] | str]
SOLVER: dict[str, Any] = {"type": "chambolle_pock", "max_iterations": 1000, "tolerance": 1.0e-4}  # packaged configs'
_TV = {False: 0.3, True: 0.1}  # packaged configs': for counts, and for normalised maps


@dataclass(frozen=True)
class Model:
    """The knobs of the default terms; None for what is chosen from the data.

    Parameters
    ----------
    z : ``relative``, ``absolute`` or a value for each element.
    gamma : exponent of the image.
    tv : weight of the total variation.
    """

    z: str | Mapping[str, float] | None = None
    gamma: float | None = None
    tv: float | None = None


@dataclass(frozen=True)
class Plan:
    """What is solved.

    Parameters
    ----------
    dataset : the data in the units of the model.
    terms : of the objective.
    scales : what put each map into these units.
    notes : what was chosen, a sentence each.
    """

    dataset: Dataset
    terms: Terms
    scales: tuple[Scale, ...]
    notes: tuple[str, ...]


def plan(
    dataset: Dataset, terms: Terms | None, model: Model, normalize: Normalisation | None, weighted: bool = True
) -> Plan:
    """Units and terms.

    Parameters
    ----------
    dataset : as it came.
    terms : of the objective; None for image, Poisson, total variation and nonnegativity.
    model : knobs of those four.
    weighted : whether the weights are final, so that a note says them.
    normalize : None for ``none`` where the maps are counts or ``terms`` are given, else ``minmax``.

    Raises
    ------
    UserError : a knob is given beside ``terms``, or the data cannot be normalised.
    """
    counts = are_counts(dataset.arrays["maps"])
    method = normalize or ("none" if counts or terms is not None else "minmax")
    check_choice("normalize", method, ("none", "minmax", "max"))
    scaled, scales = _normalised(dataset, method)
    guessed = f"The maps are no counts: image and maps are normalised ({method}) for the solver."
    notes = (guessed,) if normalize is None and method != "none" else ()
    if terms is not None:
        if isinstance(terms, str | Mapping) or not isinstance(terms, Sequence) or not terms:
            raise UserError("terms", "is no list of terms", "write terms=[{'type': 'haadf'}, 'poisson', 'nonnegative']")
        for index, term in enumerate(terms):
            if not isinstance(term, Term | Spec | Mapping | str):
                raise UserError(f"terms[{index}]", f"is {term!r}", "write {'type': 'tv', 'weight': 0.1}")
        for knob in ("z", "gamma", "tv"):
            if getattr(model, knob) is not None:
                raise UserError(knob, "is given beside terms", "put it into the term: {'type': 'haadf', 'gamma': 1.7}")
        return Plan(scaled, terms, scales, notes)
    return _chosen(scaled, scales, model, method != "none", notes, weighted)


def _chosen(
    dataset: Dataset,
    scales: tuple[Scale, ...],
    model: Model,
    normalised: bool,
    notes: tuple[str, ...],
    weighted: bool,
) -> Plan:
    # the options are checked here, before anything is fitted with them
    z = dict(model.z) if isinstance(model.z, Mapping) else model.z
    options: dict[str, Any] = {"z": z} if z is not None else {}
    options |= {"gamma": model.gamma} if model.gamma is not None else {}
    _check_knobs(dataset, options, model.tv)
    found = balance(dataset, normalised, options.get("gamma", GAMMA), options.get("z"))
    image = (dataset.arrays["haadf"] - found.offset) * found.scale
    terms = [term for term, _ in found.terms]
    tv = model.tv if model.tv is not None else _TV[normalised]
    terms = [{**term, "weight": tv} if term["type"] == "tv" else term for term in terms]
    if (found.offset, found.scale) != (0.0, 1.0):
        units = f"The image is put into the units of the model: (haadf {-found.offset:+g}) * {found.scale:g}"
        notes += (f"{units}, fitted to the smoothed maps.",)
    weights = ", ".join(f"{term['type']} {term['weight']:g}" for term in terms if "weight" in term)
    fit = terms[0]
    used = fit["z"] if isinstance(fit["z"], str) else ", ".join(f"{name} {value:g}" for name, value in fit["z"].items())
    fitted = ", fitted" if z is None and not isinstance(fit["z"], str) else ""
    epsilon = next(term["epsilon"] for term in terms if term["type"] == "poisson")
    said = f"Weights: {weights}. " if weighted else ""
    notes += (f"{said}epsilon: {epsilon:g}. gamma: {fit['gamma']:g}. z: {used}{fitted}.",)
    return Plan(replace(dataset, arrays={**dataset.arrays, "haadf": image}), terms, scales, notes)


def _check_knobs(dataset: Dataset, options: Mapping[str, Any], tv: float | None) -> None:
    from fusionkit.composition import compose

    shown = replace(dataset, arrays={name: array[..., :2, :2] for name, array in dataset.arrays.items()})
    terms = {"": {"type": "haadf", **options}, "tv": {"type": "tv", **({} if tv is None else {"weight": tv})}}
    for knob, term in terms.items():
        try:
            compose(shown, [term])
        except UserError as error:
            raise UserError(knob or error.where.rpartition("].")[2], error.problem, error.remedy) from None


def _normalised(dataset: Dataset, method: Normalisation) -> tuple[Dataset, tuple[Scale, ...]]:
    maps, image = (np.asarray(dataset.arrays[name], np.float64) for name in ("maps", "haadf"))
    origins = [Origin(f"maps.{element}", element, dataset.source) for element in dataset.elements]
    scales = tuple(scale_of(one, method, origin) for one, origin in zip(maps, origins, strict=True))
    if method == "none":
        return dataset, scales
    own = Origin("haadf", "haadf", dataset.source)
    arrays = {
        "haadf": scale_of(image, method, own).apply(image, own),
        "maps": np.stack([s.apply(one, o) for one, s, o in zip(maps, scales, origins, strict=True)]),
    }
    return replace(dataset, arrays=arrays), scales


def check_choice(where: str, value: object, known: Sequence[str | None]) -> None:
    """`UserError` where an option is none of the words that it may be."""
    if value not in known:
        raise UserError(where, f"is {value!r}", f"write {' or '.join(repr(one) for one in known if one)}")


def solver_spec(solver: str | Mapping[str, Any] | None) -> Spec:
    """The solver by name, or by name and options; the packaged configs' where it is None."""
    if isinstance(solver, Mapping):
        return parse(Spec, solver, "solver")
    return parse(Spec, SOLVER if solver is None else {**SOLVER, "type": solver}, "solver")
