"""HyperSpy's signals as the dictionaries that RosettaSciIO writes: one two-dimensional signal an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fusionkit.data.elements import is_element
from fusionkit.data.pixels import edges_of
from fusionkit.export.content import DEVIATION, Content
from fusionkit.microscope.facts import tree_of
from fusionkit.terms import Array

# what HyperSpy would write besides: a signal that is in memory, without decompositions or models
_REST: Mapping[str, Any] = {
    "attributes": {"_lazy": False},
    "learning_results": {},
    "tmp_parameters": {},
    "models": {},
    "original_metadata": {},
}


def signals_of(content: Content) -> list[dict[str, Any]]:
    """A signal of each element, titled by it, of its standard deviation and of the HAADF image, where there is one.

    The facts of the recording stand where HyperSpy's metadata have them; ``metadata.fusionkit`` says what made it.
    """
    return [_signal(name, image, content) for name, image in content.images.items()]


def _signal(name: str, image: Array, content: Content) -> dict[str, Any]:
    tree = tree_of(content.metadata)
    general = {**tree.get("General", {}), "title": name}
    if "title" in content.metadata:
        general["notes"] = f"Recording: {content.metadata['title']}"
    element = name.removesuffix(DEVIATION)
    sample = {**tree.get("Sample", {}), **({"elements": [element]} if is_element(element) else {})}
    metadata = {
        **tree,
        "General": general,
        "Sample": sample,
        "Signal": {"signal_type": ""},
        "fusionkit": {**content.about, "elements": list(content.maps)},
    }
    package = {"package": "fusionkit", "package_version": str(content.about.get("version", ""))}
    axes = [_axis(index, axis, image.shape[index], content) for index, axis in enumerate("yx")]
    data = np.ascontiguousarray(image)
    return {"data": data, "axes": axes, "metadata": metadata, "package_info": package, **_REST}


def _axis(index: int, name: str, size: int, content: Content) -> dict[str, Any]:
    """Without a pixel size the scale is 1 and the unit is left undefined, as HyperSpy has it."""
    oblong = edges_of(content.metadata) if content.pixel_size is None else None
    units = content.units if oblong is None else oblong[2]
    scale = content.pixel_size if oblong is None else oblong[index]
    known = {"units": units} if scale is not None and units else {}
    return {
        "_type": "UniformDataAxis",
        "name": name,
        "size": size,
        "index_in_array": index,
        "scale": scale or 1.0,
        "offset": content.origin[index] if content.origin is not None and content.pixel_size is not None else 0.0,
        "navigate": False,
        "is_binned": False,
        **known,
    }
