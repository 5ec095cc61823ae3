"""Which terms of a configuration say ``weight: auto``, and what stands there instead while nothing is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fusionkit.options import Spec

AUTO = "auto"
PLACEHOLDER = 1.0  # a valid weight: options are checked, and terms built, before their weights are chosen


def asks(spec: Spec) -> bool:
    """Whether the term says ``weight: auto``."""
    return spec.options.get("weight") == AUTO


def asked(specs: Sequence[Spec]) -> tuple[int, ...]:
    """The places of the terms that say ``weight: auto``."""
    return tuple(index for index, spec in enumerate(specs) if asks(spec))


def weighted(spec: Spec, weight: float) -> Spec:
    """The same thing with this weight."""
    return Spec.model_validate({"type": spec.type, **spec.options, "weight": weight})


def checkable(spec: Spec) -> Spec:
    """The term with the placeholder for ``auto``; any other as it is."""
    return weighted(spec, PLACEHOLDER) if asks(spec) else spec


def as_asked(resolved: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved configuration of a run as it was before the weights were chosen.

    Parameters
    ----------
    resolved : ``config.resolved.yaml`` of the run.
    summary : ``summary.json`` of the run, whose ``weights_auto`` says which weights were chosen.
    """
    chosen = {entry["key"] for entry in summary.get("weights_auto", {}).values()}
    terms = [
        {**term, "weight": AUTO} if f"terms[{index}].weight" in chosen else term
        for index, term in enumerate(resolved.get("terms", ()))
    ]
    return {**resolved, "terms": terms}
