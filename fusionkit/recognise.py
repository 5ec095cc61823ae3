"""What the arrays of a recording are, by their names and values: the image, the map of an element, counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from fusionkit.elements import is_element
from fusionkit.errors import UserError
from fusionkit.terms import Array

# what the fusion needs first: HAADF, other dark fields, what may be one, anything else, and bright fields last
_KINDS = tuple(re.compile(kind, re.IGNORECASE) for kind in ("haadf", "dark|adf|(?<![a-z])df", "stem|image"))
_BRIGHT = re.compile(r"bright|(?<![a-z])a?bf(?![a-z])", re.IGNORECASE)
_REMEDY = "write the config by hand, with data.maps"


def image_rank(name: str) -> int:
    """How likely the image of this name is the HAADF image: 0 for one that says so, more for less likely ones."""
    if _BRIGHT.search(name):
        return len(_KINDS) + 1
    return next((rank for rank, kind in enumerate(_KINDS) if kind.search(name)), len(_KINDS))


def element_named(name: str) -> str | None:
    """The element that an array is called by, the last part of its name; None where that is no element."""
    last = name.rsplit("/", 1)[-1]
    return last if is_element(last) else None


def map_names(names: Sequence[str], source: str) -> dict[str, str]:
    """The name of the map of each element in their order; of several, the one in the fewest groups, not ``truth/Co``.

    Parameters
    ----------
    names : of images.
    source : the file, for the message.

    Raises
    ------
    UserError : two arrays could be the map of an element.
    """
    found: dict[str, str] = {}
    for name in sorted(names, key=_depth):
        element = element_named(name)
        if element is None:
            continue
        former = found.setdefault(element, name)
        if former != name and _depth(former) == _depth(name):
            raise UserError(source, f"'{former}' and '{name}' could both be the map of {element}", _REMEDY)
    return dict(sorted(found.items(), key=lambda pair: names.index(pair[1])))


def are_counts(values: Array) -> bool:
    """Whether there are values > 0 and all are whole numbers >= 0, as counts and multiples of counts are."""
    return bool(np.all(values >= 0) and np.all(values == np.round(values)) and values.max(initial=0) > 0)


def _depth(name: str) -> int:
    return name.count("/")
