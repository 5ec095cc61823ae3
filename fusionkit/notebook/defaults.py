"""Defaults of `fusionkit.fuse`: units, terms and solver, with a note on each choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fusionkit.compose_problem import compose
from fusionkit.data.checks import Origin
from fusionkit.data.counts.convert import counted
from fusionkit.data.counts.kind import guess
from fusionkit.data.dataset import Dataset
from fusionkit.data.load import normalise
from fusionkit.data.normalise import Normalisation, Scale, scale_of
from fusionkit.errors import UserError
from fusionkit.microscope.propose.default_terms import GAMMA, PENALTIES, default_terms
from fusionkit.notebook.inputs import Inputs, argument_names
from fusionkit.options import Existing, Spec, parse
from fusionkit.terms import Term

_AS_COUNTS = "; weight='auto' takes it as that of counts"
Terms = Sequence[Term | Spec | Mapping[str, Any] | str]
# that of the packaged configs
SOLVER: dict[str, Any] = {"type": "auto", "max_iterations": 1000, "tolerance": 1.0e-4}


@dataclass(frozen=True)
class Model:
    """Parameters of the default terms; None derives them from the data."""

    z: str | Mapping[str, float] | None = None  # ``relative``, ``absolute`` or a value for each element
    gamma: float | None = None  # exponent of the image
    tv: float | None = None  # weight of a total variation in place of the penalties that held-out counts select


@dataclass(frozen=True)
class Plan:
    """The problem to solve."""

    dataset: Dataset  # the data in the units of the model, with a note on each choice
    terms: Sequence[Spec | dict[str, Any] | str]  # of the objective
    scales: tuple[Scale, ...]  # from the unit of each input map to that of the model


def plan(inputs: Inputs, terms: Terms | None, model: Model, normalize: Normalisation | None, automatic: bool) -> Plan:
    """Units and terms.

    `UserError` if arguments exclude each other, or the data cannot be normalised or converted to counts.

    Parameters
    ----------
    inputs : image and maps.
    terms : of the objective; None for image, Poisson, penalties and nonnegativity.
    model : parameters of the default terms.
    normalize : as in a config; None for ``none``.
    automatic : whether to convert maps without negative values to counts.
    """
    _check_alternatives(terms, model, normalize, automatic)
    kind = guess(inputs.dataset.arrays["maps"])
    if (automatic and kind is not None) or (terms is None and normalize is None and kind == "rates"):
        counts, scales = _in_counts(inputs.dataset)
        return _with_terms(counts, scales, model, normalised=False)
    dataset = inputs.dataset
    method = normalize or "none"
    check_choice("normalize", method, ("none", "minmax", "max"))
    with argument_names():
        scaled = normalise(dataset, inputs.options.model_copy(update={"normalize": method}), "data")
    maps = zip(dataset.elements, dataset.arrays["maps"], strict=True)
    scales = tuple(scale_of(one, method, Origin(f"maps.{element}", element, dataset.source)) for element, one in maps)
    if terms is None and normalize is None and kind != "counts" and inputs.dataset.arrays["maps"].any():
        message = "The maps are not counts: their noise is taken as Gaussian, estimated for each"
        scaled = _with_note(scaled, f"{message}{_AS_COUNTS if kind is not None else ''}.")
    if terms is not None:
        return Plan(scaled, [_as_spec(term) for term in terms], scales)
    return _with_terms(scaled, scales, model, normalised=method != "none")


def _check_alternatives(terms: Terms | None, model: Model, normalize: str | None, automatic: bool) -> None:
    if automatic and terms is not None:
        raise UserError("weight", "is given beside terms", "put it into them: {'type': 'tv', 'weight': 'auto'}")
    if automatic and normalize not in (None, "none"):
        raise UserError("normalize", f"is {normalize}, but weight 'auto' needs counts", "leave one of them out")
    if terms is None:
        return
    if isinstance(terms, str | Mapping) or not isinstance(terms, Sequence) or not terms:
        raise UserError("terms", "is no list of terms", "write terms=[{'type': 'haadf'}, 'poisson', 'nonnegative']")
    for index, term in enumerate(terms):
        if not isinstance(term, Term | Spec | Mapping | str):
            raise UserError(f"terms[{index}]", f"is {term!r}", "write {'type': 'tv', 'weight': 0.1}")
    for name in ("z", "gamma", "tv"):
        if getattr(model, name) is not None:
            raise UserError(name, "is given beside terms", "put it into the term: {'type': 'haadf', 'gamma': 1.7}")


def _as_spec(term: Term | Spec | Mapping[str, Any] | str) -> Spec | dict[str, Any] | str:
    """The term in the form of a config."""
    if isinstance(term, Mapping):
        return dict(term)
    return Existing(type=term.name, made=term) if isinstance(term, Term) else term


def _with_terms(dataset: Dataset, scales: tuple[Scale, ...], model: Model, normalised: bool) -> Plan:
    """The default terms, and the image in their unit."""
    # check the options before a fit uses them
    z = dict(model.z) if isinstance(model.z, Mapping) else model.z
    options: dict[str, Any] = {"z": z} if z is not None else {}
    options |= {"gamma": model.gamma} if model.gamma is not None else {}
    _check_parameters(dataset, options, model.tv)
    proposal = default_terms(dataset, normalised, options.get("gamma", GAMMA), options.get("z"))
    image = (dataset.arrays["haadf"] - proposal.offset) * proposal.scale
    terms = [term for term, _ in proposal.terms]
    if model.tv is not None:
        terms = [term for term in terms if term["type"] not in PENALTIES]
        terms.insert(-1, {"type": "tv", "weight": model.tv})
    if (proposal.offset, proposal.scale) != (0.0, 1.0):
        units = f"The image is converted to the units of the model: (haadf {-proposal.offset:+g}) * {proposal.scale:g}"
        why = "fitted to the smoothed maps" if proposal.scale != 1.0 else "since its range is small beside its offset"
        dataset = _with_note(dataset, f"{units}, {why}.")
    return Plan(replace(dataset, arrays={**dataset.arrays, "haadf": image}), terms, scales)


def _with_note(dataset: Dataset, note: str) -> Dataset:
    return replace(dataset, notes=(*dataset.notes, note))


def _check_parameters(dataset: Dataset, options: Mapping[str, Any], tv: float | None) -> None:
    """Build the terms for a few pixels; a `UserError` names the argument of `fusionkit.fuse`."""
    few = replace(dataset, arrays={name: array[..., :2, :2] for name, array in dataset.arrays.items()})
    terms = {"": {"type": "haadf", **options}, "tv": {"type": "tv", **({} if tv is None else {"weight": tv})}}
    for name, term in terms.items():
        try:
            compose(few, [term])
        except UserError as error:
            raise UserError(name or error.where.rpartition("].")[2], error.problem, error.remedy) from None


def _in_counts(dataset: Dataset) -> tuple[Dataset, tuple[Scale, ...]]:
    """The dataset with its maps in counts, and the value of one count of each map.

    `UserError` if the noise of the maps is not that of counts.
    """
    converted = counted(dataset, guess(dataset.arrays["maps"]), "weight")
    facts = converted.counting
    if facts is None:
        return converted, (Scale(),) * len(dataset.elements)
    scales = tuple(Scale(0.0, facts.units.get(element, 1.0)) for element in dataset.elements)
    return replace(converted, counting=replace(facts, units={})), scales


def check_choice(where: str, value: object, known: Sequence[str | None]) -> None:
    """`UserError` if an option has none of its known values."""
    if value not in known:
        raise UserError(where, f"is {value!r}", f"write {' or '.join(repr(one) for one in known if one)}")


def solver_spec(solver: str | Mapping[str, Any] | None) -> Spec:
    """The solver by name, or by name and options; None for that of the packaged configs."""
    if isinstance(solver, Mapping):
        return parse(Spec, solver, "solver")
    return parse(Spec, SOLVER if solver is None else {**SOLVER, "type": solver}, "solver")
