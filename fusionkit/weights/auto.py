"""Terms with ``weight: auto``: detection, method, and the placeholder until a weight is chosen."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from fusionkit.options import Options, Spec, parse

AUTO = "auto"
PER_ELEMENT = "per_element"  # option of a penalty: a weight for each element
GUIDE_SHARE = "guide_share"  # option of a guided penalty: how far the image is trusted
LARGE_SHARE = "large_share"  # option of a penalty of patches: the share of large ones
MODEL = "model"  # option of an image term: its elastic model
# options that may be auto together with the weight, each with a placeholder
SEARCHED: Mapping[str, Any] = {PER_ELEMENT: None, GUIDE_SHARE: 1.0, LARGE_SHARE: 0.0, MODEL: "power_sum"}
PLACEHOLDER = 1.0  # a valid weight for checking options and building terms before the weight is chosen
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
    """The method that a term names, or None; `UserError` for an unknown method."""
    weight = spec.options.get("weight")
    return parse(AutoOptions, weight, f"{key}.weight").auto if isinstance(weight, Mapping) else None


def auto_terms(specs: Sequence[Spec]) -> tuple[int, ...]:
    """Indices of the terms with an automatic weight."""
    return tuple(index for index, spec in enumerate(specs) if wants_auto(spec))


def searched_options(spec: Spec) -> frozenset[str]:
    """The options in `SEARCHED` that are ``auto``: they are chosen together with the weight."""
    return frozenset(name for name in SEARCHED if spec.options.get(name) == AUTO)


def with_weight(spec: Spec, weight: float, options: Mapping[str, Any] | None = None) -> Spec:
    """The term with this weight and these options, and a placeholder for each option to be searched."""
    searched = {name: SEARCHED[name] for name in searched_options(spec)}
    return Spec.model_validate({"type": spec.type, **spec.options, **searched, "weight": weight, **(options or {})})


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
    summary : ``summary.json`` of the run; ``weights_auto`` lists the chosen weights and what the config had.
    """
    chosen = {entry["key"]: entry for entry in summary.get("weights_auto", {}).values()}

    def restored(term: dict[str, Any], key: str) -> dict[str, Any]:
        if key not in chosen:
            return term
        searched = {name: AUTO for name in SEARCHED if name in chosen[key]}
        return {**term, "weight": chosen[key].get("asked", AUTO), **searched}

    terms = [restored(term, f"terms[{index}].weight") for index, term in enumerate(resolved.get("terms", ()))]
    return {**resolved, "terms": terms}
