"""Terms with ``weight: auto``: which they are, which method they name, and what stands in until a weight is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from fusionkit.options import Options, Spec, parse

AUTO = "auto"
PER_ELEMENT = "per_element"  # option of a penalty that has a weight for each element
GUIDE_SHARE = "guide_share"  # option of a penalty that an image guides: how far it is trusted
MODEL = "model"  # option of a fit to an image: its elastic model
# options that may be auto where the weight is, with a valid value for each until it is chosen
SEARCHED: Mapping[str, Any] = {PER_ELEMENT: None, GUIDE_SHARE: 1.0, MODEL: "power_sum"}
PLACEHOLDER = 1.0  # a valid weight, with which options are checked and terms built until the weight is chosen
Method = Literal["count_splitting", "masked_pixels", "discrepancy", "l_curve", "sure"]
METHODS: tuple[str, ...] = get_args(Method)


class AutoOptions(Options):
    """``weight: {auto: METHOD}``; ``weight: auto`` leaves the method to the data.

    Parameters
    ----------
    auto : the method for the weight of a penalty; see `fusionkit.weights.choose`.
    """

    auto: Method


def wants_auto(spec: Spec) -> bool:
    """Whether the term has ``weight: auto`` or ``weight: {auto: METHOD}``."""
    weight = spec.options.get("weight")
    return weight == AUTO or (isinstance(weight, Mapping) and AUTO in weight)


def method_of(spec: Spec, key: str) -> Method | None:
    """The method that a term names; None where it names none, `UserError` where there is no such method.

    Parameters
    ----------
    spec : of a term with an automatic weight.
    key : config key of the term.
    """
    weight = spec.options.get("weight")
    return parse(AutoOptions, weight, f"{key}.weight").auto if isinstance(weight, Mapping) else None


def auto_terms(specs: Sequence[Spec]) -> tuple[int, ...]:
    """Indices of the terms with an automatic weight."""
    return tuple(index for index, spec in enumerate(specs) if wants_auto(spec))


def searched_options(spec: Spec) -> frozenset[str]:
    """The options that are chosen together with the weight: those of `SEARCHED` that are ``auto``."""
    return frozenset(name for name in SEARCHED if spec.options.get(name) == AUTO)


def with_weight(spec: Spec, weight: float, options: Mapping[str, Any] | None = None) -> Spec:
    """The term with this weight and these options, and a valid value for each option that is to be searched."""
    searched = {name: SEARCHED[name] for name in searched_options(spec)}
    given = {**spec.options, **searched}
    return Spec.model_validate({"type": spec.type, **given, "weight": weight, **(options or {})})


def with_placeholder(spec: Spec, key: str = "") -> Spec:
    """The term with `PLACEHOLDER` for an automatic weight, after a check of its method; any other term unchanged."""
    if not wants_auto(spec):
        return spec
    method_of(spec, key)
    return with_weight(spec, PLACEHOLDER)


def restore_auto(resolved: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved configuration of a run with ``auto`` in place of every chosen weight.

    Parameters
    ----------
    resolved : ``config.resolved.yaml`` of the run.
    summary : ``summary.json`` of the run; ``weights_auto`` lists the chosen weights and what the config had there.
    """
    chosen = {entry["key"]: entry for entry in summary.get("weights_auto", {}).values()}

    def restored(term: dict[str, Any], key: str) -> dict[str, Any]:
        if key not in chosen:
            return term
        searched = {name: AUTO for name in SEARCHED if name in chosen[key]}
        return {**term, "weight": chosen[key].get("asked", AUTO), **searched}

    terms = [restored(term, f"terms[{index}].weight") for index, term in enumerate(resolved.get("terms", ()))]
    return {**resolved, "terms": terms}
