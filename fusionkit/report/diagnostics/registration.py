"""Whether the image and the maps are aligned."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from fusionkit.data.elements import is_element
from fusionkit.data.missing import filled
from fusionkit.data.prepare.register import predicted_root, root
from fusionkit.data.prepare.shift import coarse
from fusionkit.report.diagnostics.map_expectations import completed
from fusionkit.report.image_limits import block_mean
from fusionkit.results.record import Diagnostic, RunRecord, warning

_FAR = 0.7  # pixels: aligned phantoms give up to 0.45 at 1 count, 0.2 from 5 counts; shifted by one pixel 0.9 to 1.2
_SMALLEST, _LARGEST = 32, 512  # pixels along an axis
_GAMMA = 1.7


def registration(record: RunRecord) -> Iterator[Diagnostic]:
    """A warning if the image is significantly shifted against the maps."""
    shift = image_shift(record)
    if shift is not None and np.hypot(*shift) > _FAR:
        yield warning(
            f"The HAADF image lies ({-shift[0]:.1f}, {-shift[1]:.1f}) pixels in rows and columns off the maps: "
            "align it with the step register of data.prepare."
        )


def image_shift(record: RunRecord) -> tuple[float, float] | None:
    """The shift in rows and columns, in pixels, that aligns the image with the maps; None if none is credible."""
    labels = record.result.labels
    image, maps = completed(record, "haadf"), record.dataset.arrays.get("maps")
    if image is None or maps is None or maps.ndim != 3 or maps.shape[1:] != image.shape or len(labels) != len(maps):
        return None
    if min(image.shape) < _SMALLEST or not all(is_element(label) for label in labels):
        return None
    maps = filled(maps)  # the model would show the place of the fused maps
    factor = -(-max(image.shape) // _LARGEST)  # large images have large features: fewer pixels suffice
    reduced = {"haadf": block_mean(image, _LARGEST), "maps": np.stack([block_mean(one, _LARGEST) for one in maps])}
    part = replace(record.dataset, arrays=reduced, truth=None)
    shift = coarse(root(part.arrays["haadf"]), predicted_root(part, _GAMMA))
    return None if shift is None else (factor * shift.rows, factor * shift.columns)
