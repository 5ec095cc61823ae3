"""Pixels that were not measured (bad ones, or those that a sparse scan left out): NaN in the arrays of a dataset.

The terms leave them out (`fusionkit.operators.fidelity`); the penalties and the terms of other data still see them.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.names import read_named
from fusionkit.data.open_files import OpenFiles
from fusionkit.data.options import EMPTY, NAN, Mask
from fusionkit.data.readers import describe
from fusionkit.errors import UserError

Pixels = npt.NDArray[np.bool_]
_WIDTH = 2.0  # pixels, of the usual smoothing of a background
_FEW, _LEAST, _LEAST_SHARE = 3, 0.01, 0.1  # counts; pixels without any, of all; pixels of few counts, of these
_BRIGHT = 0.5  # of the mean brightness of pixels with counts
_AS = "give True or 1 for each pixel to leave out, and False or 0 for the others"


def with_masks(dataset: Dataset, masks: Mapping[str, Mask], files: OpenFiles, where: str) -> Dataset:
    """The dataset with NaN where its arrays were not measured, and a note on each.

    `UserError` if a mask names no array, has other pixels than it, or leaves none of its pixels.

    Parameters
    ----------
    dataset : as read or simulated, before preparation.
    masks : by the name of the array; ``all`` for image and maps.
    files : where masks are read from.
    where : config key of ``masks``.
    """
    arrays, stacks = dict(dataset.arrays), [name for name in ("maps", *dataset.stacks) if name in dataset.arrays]
    masked: dict[str, None] = dict.fromkeys(dataset.masked)
    for key, mask in masks.items():
        place = where if key == "all" else f"{where}.{key}"
        known: list[str] = [*(["haadf"] if "haadf" in arrays else []), *dict.fromkeys(stacks)]
        if key not in ("all", *known):
            raise UserError(
                place, f"there is no data called '{key}'", f"write {' or '.join(known)}, or one mask for all"
            )
        if mask.signal == EMPTY:
            known = stacks
        shape = None
        for name in known if key == "all" else [key]:
            pixels = arrays[name].shape[-2:]
            if shape not in (None, pixels):
                remedy = "write one for each: {haadf: ..., maps: ...}"
                raise UserError(place, f"is one mask, and the pixels of '{name}' are not those of the others", remedy)
            shape = None if mask.signal == NAN else pixels
            out = _left_out(mask, arrays[name], name, files, place)
            if out.all():
                raise UserError(place, f"leaves out every pixel of '{name}'", "True marks the pixels to leave out")
            if out.any():
                _correct_background(arrays, name, out)
                arrays[name] = np.where(out, np.nan, arrays[name])
                masked[name] = None
    notes = [_note(name, arrays[name]) for name in masked]
    return replace(dataset, arrays=arrays, masked=tuple(masked), notes=(*dataset.notes, *notes))


def _left_out(mask: Mask, array: Array, name: str, files: OpenFiles, where: str) -> Pixels:
    """Where the array is left out; broadcasts against it."""
    shape, out = array.shape[-2:], np.zeros(array.shape[-2:], np.bool_)
    if mask.signal == NAN:
        return np.isnan(array)
    if mask.signal == EMPTY:
        return np.asarray(~np.any(np.nan_to_num(array) != 0, axis=tuple(range(array.ndim - 2))))
    for row, column in mask.pixels or ():
        if row >= shape[0] or column >= shape[1]:
            raise UserError(where, f"has [{row}, {column}], but '{name}' has {shape} pixels", "count from 0")
        out[row, column] = True
    for ends, size in zip((mask.rows, mask.columns), shape, strict=True):
        if ends is not None and not ends[0] < ends[1] <= size:
            raise UserError(where, f"has {ends} of {size} pixels", "write [first, last], the last not included")
    if mask.rows is not None or mask.columns is not None:
        out[slice(*mask.rows or (None,)), slice(*mask.columns or (None,))] = True
    if mask.signal is None and mask.path is None:
        return out
    recording = files.open(mask.path, mask.reader, where)
    names = [mask.signal] if mask.signal is not None else [*recording.names()]
    if len(names) != 1 or recording.shape(names[0]) is None:
        raise UserError(where, f"its file has no array of this name ({describe(recording)})", "name one with 'signal'")
    values = read_named(recording, names[0]).values
    if values.shape != shape:
        raise UserError(where, f"'{names[0]}' has the shape {values.shape}, and '{name}' {shape} pixels", _AS)
    if not np.isin(values, (0, 1)).all():
        raise UserError(where, f"'{names[0]}' has other values than 0 and 1", _AS)
    return out | (values != 0)


def _correct_background(arrays: dict[str, Array], name: str, out: Pixels) -> None:
    """Undo that the smoothing of a background took pixels that were not visited for empty ones; its total stays."""
    background = arrays.get(f"{name}_background")
    empty = out & ~np.any(np.nan_to_num(arrays[name]) != 0, axis=0)
    if background is None or background.shape != arrays[name].shape or not empty.any():
        return
    from scipy.ndimage import gaussian_filter

    visited = np.broadcast_to(~empty, background.shape)
    level = background / np.maximum([gaussian_filter(one.astype(float), _WIDTH) for one in visited], _LEAST_SHARE)
    scale = [
        b.sum() / max(s[v].sum(), np.finfo(float).tiny) for b, s, v in zip(background, level, visited, strict=True)
    ]
    arrays[f"{name}_background"] = level * np.reshape(scale, (-1, 1, 1))


def unvisited(maps: Array, image: Array) -> int:
    """How many pixels a sparse or ended scan seems to have left out: without counts where the image is not dark.

    Parameters
    ----------
    maps : counts, (n, ny, nx).
    image : of the same field, (ny, nx); without the same pixels it tells nothing.
    """
    total = maps.sum(axis=0)
    empty, few = total == 0, (total > 0) & (total <= _FEW)
    count = int(empty.sum())
    if count < max(_LEAST * total.size, 10) or count == total.size or few.sum() > _LEAST_SHARE * count:
        return 0
    if image.shape == total.shape:  # vacuum is dark
        dark, bright = float(image.min()), float(image[~empty].mean())
        count = count if float(image[empty].mean()) - dark > _BRIGHT * (bright - dark) else 0
    return count


def _note(name: str, array: Array) -> str:
    missing = np.isnan(array)
    everywhere = missing.reshape(-1, *array.shape[-2:]).all(axis=0)
    size = everywhere.size
    if np.array_equal(missing, np.broadcast_to(everywhere, missing.shape)):
        count, what = int(everywhere.sum()), "pixels"
    else:
        count, size, what = int(missing.sum()), missing.size, "values"
    return (
        f"mask: {count} of {size} {what} of {name} ({100.0 * count / size:.3g} %) were not measured and are left out."
    )
