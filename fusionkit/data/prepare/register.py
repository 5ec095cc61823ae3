r"""Registration of image and maps.

The square root of the image is compared with that of the image that the smoothed maps predict,
:math:`\sqrt{\sum_i (Z_i x_i)^\gamma}`: the root makes the noise of counts about uniform, and two images of
the same contrast have no apparent shift. The image is moved by default. It has many times the signal of the maps, and
splines between its pixels change little, while interpolated counts are not counts. Maps move by whole pixels by
default, and so does the image if the fraction may be chance.
"""

from math import ceil, floor
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.elements import atomic_number
from fusionkit.data.missing import filled
from fusionkit.data.prepare.crop import cut, ends
from fusionkit.data.prepare.scan_arrays import changed, counted, scanned, truth_on
from fusionkit.data.prepare.shift import Shift, measure, shifted
from fusionkit.errors import UserError
from fusionkit.options import Options, Positive

_KNOWN_TO = 0.1  # pixels, at 20 counts per pixel: an image is not interpolated for less
_SMOOTH = 1.0  # pixels, of the Gaussian that smooths both before the power is taken


class RegisterOptions(Options):
    """Options of ``register``.

    Parameters
    ----------
    reference : the fixed one: ``maps`` moves the image, ``haadf`` the maps.
    subpixel : whether to move by fractions of a pixel; None does so for the image, where they exceed the accuracy of a
        shift (0.1 pixels), and not for counts.
    largest : greatest shift in pixels along an axis; None for a quarter of each.
    gamma : exponent of the HAADF model.
    """

    reference: Literal["maps", "haadf"] = "maps"
    subpixel: bool | None = None
    largest: Positive | None = None
    gamma: Positive = 1.7


def register(options: RegisterOptions, dataset: Dataset, where: str) -> Dataset:
    """Move the HAADF image onto the maps, or the maps onto the image, and crop both to the pixels that they share.

    `UserError` if image or maps lack or have frames or other pixels, or their shift is not credible.
    """
    for name, dimensions in (("haadf", 2), ("maps", 3)):
        if name not in dataset.arrays:
            raise UserError(where, f"there is no data called '{name}'", "remove the step")
        if dataset.arrays[name].ndim != dimensions:
            raise UserError(where, f"{name} has frames", "register_frames and sum_frames come first")
    scanned(dataset, "all", where, "bring both to the same pixels first, with the steps bin or crop")
    measured = _lag(options, dataset, where)
    by = _moves(measured, options)
    move = _image_moved if options.reference == "maps" else _maps_moved
    return _shared(move(dataset, by, _note(measured, by, options.reference)), by, where)


def _moves(shift: Shift, options: RegisterOptions) -> Array:
    """The shift to apply: with fractions of a pixel if requested or significant, else whole pixels."""
    by = np.array([shift.rows, shift.columns])
    if options.subpixel is True:
        return by
    whole = np.rint(by) + 0.0  # no -0 in notes
    if options.subpixel is False or options.reference == "haadf":
        return whole
    return np.where(np.abs(by - whole) <= _KNOWN_TO, whole, by)


def _lag(options: RegisterOptions, dataset: Dataset, where: str) -> Shift:
    """The shift, measured twice: the second time with the image in the units of the model.

    A detector has an offset, which changes the contrast of the root.
    """
    maps, image = predicted_root(dataset, options.gamma), filled(dataset.arrays["haadf"])
    sign = 1.0 if options.reference == "maps" else -1.0

    def lag(compared: Array) -> Shift:
        if options.reference == "maps":
            return measure(compared, maps, options.largest, where, "the HAADF image")
        return measure(maps, compared, options.largest, where, "the maps")

    first = lag(root(image))
    smooth = ndimage.gaussian_filter(image, _SMOOTH, mode="nearest")
    moved = shifted(smooth, sign * np.array([first.rows, first.columns]), order=1)
    scale, zero = np.polyfit(moved.ravel(), (maps**2).ravel(), 1)
    return first if scale <= 0 else lag(np.sqrt(np.maximum(scale * smooth + zero, 0.0)))


def root(image: Array) -> Array:
    """The square root of a smoothed image above its least value."""
    smooth = ndimage.gaussian_filter(filled(image), _SMOOTH, mode="nearest")
    return np.sqrt(smooth - smooth.min())


def predicted_root(dataset: Dataset, gamma: float) -> Array:
    """The square root of the image that the maps predict; frames of maps give frames."""
    maps = filled(dataset.arrays["maps"])
    elements = dataset.stacks.get("maps", dataset.elements)
    numbers = np.array([float(atomic_number(one)) for one in elements]) if elements else np.ones(len(maps))
    widths = (*[0.0] * (maps.ndim - 2), _SMOOTH, _SMOOTH)
    smooth = np.maximum(ndimage.gaussian_filter(maps, widths, mode="nearest"), 0.0)
    return np.sqrt(np.tensordot((numbers / numbers.mean()) ** gamma, smooth**gamma, axes=1))


def _image_moved(dataset: Dataset, by: Array, note: str) -> Dataset:
    facts: dict[str, Any] = {}
    order = 3 if np.any(by != np.rint(by)) else 0  # whole pixels are copied
    if dataset.haadf_sigma is not None:  # white noise after interpolation, on the average pixel
        impulse = np.zeros((33, 33))
        impulse[16, 16] = 1.0
        facts["haadf_sigma"] = dataset.haadf_sigma * float(np.sqrt((shifted(impulse, by % 1.0, order) ** 2).sum()))
    return changed(dataset, {"haadf": shifted(dataset.arrays["haadf"], by, order)}, note, **facts)


def _maps_moved(dataset: Dataset, by: Array, note: str) -> Dataset:
    fraction = bool(np.any(by != np.rint(by)))

    def move(stack: Array) -> Array:
        # linear between counts, so that nothing becomes negative; whole pixels are copied
        flat = stack.reshape(-1, *stack.shape[-2:])
        return np.stack([shifted(one, by, order=1 if fraction else 0) for one in flat]).reshape(stack.shape)

    facts: dict[str, Any] = {"counts_per_unit": None} if fraction else {}
    warning = " Interpolated counts are not counts: their noise is below that of a Poisson distribution." * fraction
    moved = {name: move(stack) for name, stack in counted(dataset).items()}
    return changed(dataset, moved, note + warning, truth=truth_on(dataset, move), **facts)


def _note(shift: Shift, by: Array, reference: str) -> str:
    names = {"maps": ("the HAADF image", "the maps"), "haadf": ("the maps", "the HAADF image")}
    moving, still = names[reference]
    measured = np.array([shift.rows, shift.columns])
    if np.array_equal(by, measured):
        return f"register: {moving} moved by {shift} in rows and columns onto {still}."
    if np.abs(measured).max() <= _KNOWN_TO and not by.any():
        reason = f"is within the accuracy of {_KNOWN_TO} pixels"
        return f"register: nothing moved; the shift of {moving} onto {still}, {shift}, {reason}."
    kind = "whole pixels, " if np.array_equal(by, np.rint(by)) else ""
    applied = f"{kind}({by[0]:.4g}, {by[1]:.4g})"
    return f"register: {moving} moved by {applied} in rows and columns, onto {still}; measured {shift}."


def _shared(dataset: Dataset, by: Array, where: str) -> Dataset:
    """Both cropped to the pixels that they share after one of them moved."""
    size = dataset.arrays["haadf"].shape
    rows, columns = (
        ends([ceil(max(0.0, one)), n + floor(min(0.0, one))], n, where) for one, n in zip(by, size, strict=True)
    )
    if (rows, columns) == ((0, size[0]), (0, size[1])):
        return dataset
    note = f"register: cut to rows {rows[0]} to {rows[1]} and columns {columns[0]} to {columns[1]}, which both cover."
    return cut(dataset, "all", rows, columns, note, where)
