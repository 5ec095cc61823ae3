"""Which terms of a configuration ask for a weight, how, and what stands there instead while nothing is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from fusionkit.options import Options, Spec, parse

AUTO = "auto"
PER_ELEMENT = "per_element"  # the option of a penalty that has a weight for each element
PLACEHOLDER = 1.0  # a valid weight: options are checked, and terms built, before their weights are chosen
Method = Literal["count_splitting", "masked_pixels", "discrepancy", "l_curve", "sure"]
METHODS: tuple[str, ...] = get_args(Method)


class AutoOptions(Options):
    """``weight: {auto: METHOD}``; ``weight: auto`` leaves the method to the data.

    Parameters
    ----------
    auto : how the weight of a penalty is chosen; see `fusionkit.weights.choose`.
    """

    auto: Method


def asks(spec: Spec) -> bool:
    """Whether the term says ``weight: auto`` or ``weight: {auto: METHOD}``."""
    weight = spec.options.get("weight")
    return weight == AUTO or (isinstance(weight, Mapping) and AUTO in weight)


def method_of(spec: Spec, key: str) -> Method | None:
    """The method that a term asks for by name; `UserError` for one that does not exist.

    Parameters
    ----------
    spec : of a term that `asks`.
    key : config key of the term.
    """
    weight = spec.options.get("weight")
    return parse(AutoOptions, weight, f"{key}.weight").auto if isinstance(weight, Mapping) else None


def asked(specs: Sequence[Spec]) -> tuple[int, ...]:
    """The places of the terms that ask for a weight."""
    return tuple(index for index, spec in enumerate(specs) if asks(spec))


def asks_each(spec: Spec) -> bool:
    """Whether the term says ``per_element: auto``."""
    return spec.options.get(PER_ELEMENT) == AUTO


def weighted(spec: Spec, weight: float, options: Mapping[str, Any] | None = None) -> Spec:
    """The same thing with this weight, and with these options in place of those that it asks for."""
    given = {name: value for name, value in spec.options.items() if not (name == PER_ELEMENT and value == AUTO)}
    return Spec.model_validate({"type": spec.type, **given, "weight": weight, **(options or {})})


def checkable(spec: Spec, key: str = "") -> Spec:
    """The term with the placeholder where it asks, its method checked; any other as it is."""
    if not asks(spec):
        return spec
    method_of(spec, key)
    return weighted(spec, PLACEHOLDER)


def as_asked(resolved: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved configuration of a run as it was before the weights were chosen.

    Parameters
    ----------
    resolved : ``config.resolved.yaml`` of the run.
    summary : ``summary.json`` of the run, whose ``weights_auto`` says which weights were chosen, and what asked.
    """
    chosen = {entry["key"]: entry for entry in summary.get("weights_auto", {}).values()}

    def before(term: dict[str, Any], key: str) -> dict[str, Any]:
        if key not in chosen:
            return term
        each = {PER_ELEMENT: AUTO} if PER_ELEMENT in chosen[key] else {}
        return {**term, "weight": chosen[key].get("asked", AUTO), **each}

    terms = [before(term, f"terms[{index}].weight") for index, term in enumerate(resolved.get("terms", ()))]
    return {**resolved, "terms": terms}
