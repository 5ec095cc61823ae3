"""Terms of maps in the units in which they came, for an unknown in counts: models of other data are taken at f c."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from fusionkit.errors import UserError
from fusionkit.operators.fidelity import Fidelity
from fusionkit.operators.forward import Forward
from fusionkit.operators.forward.power_sum import PowerSum
from fusionkit.terms import Term

_REMEDY = "give the maps in counts, or remove the key"


def in_units(term: Term, units: Mapping[str, float], labels: tuple[str, ...]) -> Term:
    """The term for an unknown in counts: a power sum has Z_i f_i in place of Z_i; a fit to the maps stays.

    Parameters
    ----------
    term : as it was built.
    units : f_i, what one count of an element is in the units in which its map came.
    labels : elements of the unknown.

    Raises
    ------
    UserError : a forward model of other data is none that is known to scale.
    """
    if not isinstance(term, Fidelity) or term.target == "maps":
        return term
    lacking = [label for label in labels if label not in units]
    if lacking:
        said = f"turns maps into counts, but {lacking[0]} has none among data.maps"
        raise UserError("data.maps_are", said, _REMEDY)
    forward = _scaled(term.forward, np.array([units[label] for label in labels]))
    if forward is None:
        said = (
            f"turns the unknown into counts, and the model of {term.name} for '{term.target}' cannot be put into them"
        )
        raise UserError("data.maps_are", said, _REMEDY)
    return replace(term, forward=forward)


def _scaled(forward: Any, units: np.ndarray) -> Forward | None:
    """The model with each power sum in it scaled; None where it holds none."""
    if isinstance(forward, PowerSum):
        return replace(forward, z=np.asarray(forward.z, np.float64).ravel() * units)
    if not (isinstance(forward, Forward) and is_dataclass(forward)):
        return None
    inner = {one.name: _scaled(getattr(forward, one.name), units) for one in fields(forward) if one.init}
    found = {name: model for name, model in inner.items() if model is not None}
    scaled: Any = replace(forward, **found) if found else None
    return scaled
