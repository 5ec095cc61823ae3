r"""Counts of elements in sets of channels, one set for each element, with the mixing that the model of the sum gives.

The counts b_k in the set A_k have the mean

.. math:: \sum_i M_{ki} x_i + B_k, \qquad M_{ki} = \sum_{c \in A_k} s_{ic}

with x_i the counts of element i in all of its lines, s_i the shape of its spectrum, and B the background and the
elements that nobody named, which `fusionkit.microscope.spectra.fit` estimates from smoothed spectra. The forward model
``spectral`` puts this into the Poisson term: the fused map of one element takes its share from the set of another, and
the counts stay whole and independent. The sets minimise the sum of the logarithms of the Cramer-Rao bounds of the x_i
for the mean of all spectra; the note says how many of the standard errors of the whole spectra these are.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusionkit.data.elements import atomic_number
from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps, unmixed
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.microscope.signals import Channels, Image, Signal, block_sums
from fusionkit.microscope.spectra.edges import bins_of_edges, edges_of_sum, energy_losses
from fusionkit.microscope.spectra.fit import (
    Origins,
    Reading,
    binned,
    clearest,
    edx_elements,
    facts_of_fit,
    on_pixels,
    smoothed_amounts,
    warn_of_deviance,
    warn_of_doubts,
)
from fusionkit.microscope.spectra.model import DETECTED, SpectralModel, edges_of
from fusionkit.microscope.spectra.windows import elements_of, smoothing_width

_LEAST = 0.02  # share of an element in a bin, below which the bin starts in no set
_NEGLIGIBLE = 1e-4  # share of an element's counts in a bin, below which its set does not need the bin
_SWEEPS = 3
_MOST_BLOCKS = 128  # along an axis, in which the background is estimated
_RIDGE = 1e-9  # of the information, relative to that of the counts alone: spectra may coincide


@dataclass(frozen=True)
class Parts:
    """What the sum of all spectra consists of."""

    bins: tuple[Channels, ...]  # adjacent ranges of channels
    edges: Image  # their ends in keV, (bins + 1,)
    shapes: Image  # of the elements, then of everything else, each with the sum 1, (n + k, bins)
    amounts: Image  # their counts in the sum, (n + k,)
    # listed, facts: for the note: each element with its counts, and sentences
    listed: str
    facts: str
    unnamed: Image | None = None  # atomic number at the strongest line of an element that nobody named, 0 elsewhere


def count_in_sets(reading: Reading, source: SpectrumSource, where: str, low_loss: Signal | None = None) -> ElementMaps:
    """The counts in the set of each element, the background in it, and the mixing.

    `UserError` if these are no spectra, an element has no lines or edges in them, or their values are not counts.

    Parameters
    ----------
    reading : of an EDX or EELS spectrum image.
    source : elements, and the width of the smoothing of the background.
    where : config key of ``source``.
    low_loss : EELS spectra of the zero loss and what follows; None without.
    """
    signal = reading.signal
    if signal.technique == "EELS" and len(signal.shape) == 3:
        elements = elements_of(signal, source, where)
        bins = bins_of_edges(signal, elements, where)
        images = binned(signal, bins)
        parts = _parts_of_edges(signal, elements, images, bins, low_loss, where)
    else:
        elements = edx_elements(signal, source, f"{where}.method", where)
        images, parts = reading.images, _parts_of_lines(reading, elements, where)
    n = len(elements)
    shapes, amounts = parts.shapes[:n], parts.amounts[:n]
    mean = np.maximum(parts.amounts @ parts.shapes, 0.5)
    noise = mean + np.maximum(mean - amounts @ shapes, 0.0)  # the background is estimated from about as many counts
    owners = sets_of(shapes, amounts, noise)
    members = np.stack([owners == index for index in range(n)])
    maps = np.stack([images[one].sum(axis=0, dtype=np.float64) for one in members])
    levels = _levels(parts, n, images, source.smooth)
    background = np.tensordot(members @ parts.shapes[n:].T, levels, axes=1)
    mixing = members @ shapes.T
    errors = _standard_errors(mixing, members @ noise) / _standard_errors(shapes.T, noise)
    note = f"Counts in the whole scan, by the sum of its spectra: {parts.listed}. In a set of channels for each element"
    notes = (f"{note} they have at most {errors.max():.3g} times the standard error of whole spectra. {parts.facts}",)
    total = images.sum(axis=(1, 2), dtype=np.float64)
    rows = [(parts.edges[1:] + parts.edges[:-1]) / 2, np.diff(parts.edges), total, parts.amounts[n:] @ parts.shapes[n:]]
    rows += [*(amounts[:, None] * shapes)]
    for index, region in enumerate(source.regions):
        part = _part(region, maps.shape[1:], f"{where}.regions[{index}]")
        net = unmixed(maps[part].sum(axis=(1, 2))[:, None], background[part].sum(axis=(1, 2))[:, None], mixing)
        others = np.maximum(levels[part].sum(axis=(1, 2)), 0.0) @ parts.shapes[n:]
        place = np.pad(np.array(region, np.float64), (0, images.shape[0]))[: images.shape[0]]
        rows += [place, images[part].sum(axis=(1, 2), dtype=np.float64), others, *(np.maximum(net, 0.0) * shapes)]
    if parts.unnamed is not None:
        rows.append(parts.unnamed)
    spectrum = np.stack(rows)
    return ElementMaps(tuple(elements), maps, background, signal.raw(maps, notes), mixing, spectrum)


def _parts_of_lines(reading: Reading, elements: list[str], where: str) -> Parts:
    model = reading.model(elements, where)
    families = {element: clearest(model, element) for element in elements}
    outside = [element for element, family in families.items() if family is None]
    if outside:
        raise UserError(where, f"the lines of {outside[0]} lie outside the spectra", "leave it out")
    seen = [family for family in families.values() if family is not None]
    warn_of_doubts(reading.signal, model, seen, tied=True)
    shapes, amounts = _spectra(model, elements)
    origins = Origins.of(model)
    others = [name not in elements for name in origins.names]
    listed = ", ".join(f"{one} {n:.6g}{_shares(model, one)}" for one, n in zip(elements, amounts, strict=True))
    unnamed = np.zeros(len(model.bins))
    for (name, _), shape, count in zip(model.families, model.family_shapes, model.amounts, strict=True):
        if name not in elements and count > 0.0:
            unnamed[shape.argmax()] = atomic_number(name)
    return Parts(
        model.bins,
        model.edges / 1000.0,
        np.concatenate([shapes, origins.shapes[others]]),
        np.append(amounts, origins.amounts[others]),
        listed,
        facts_of_fit(model),
        unnamed if unnamed.any() else None,
    )


def _parts_of_edges(
    signal: Signal,
    elements: list[str],
    images: npt.NDArray[Any],
    bins: tuple[Channels, ...],
    low_loss: Signal | None,
    where: str,
) -> Parts:
    total = images.sum(axis=(1, 2), dtype=np.float64)
    if not total.min(initial=np.inf) >= 0.0:
        problem = f"'{signal.name}' holds values that are not counts"
        raise UserError(where, problem, "use method: windows and background: power_law")
    edges = edges_of(signal, bins)
    spread = None if low_loss is None else energy_losses(low_loss, float(np.diff(edges)[0]))
    shapes, amounts, shift = edges_of_sum(signal, elements, total, bins, spread, where)
    mean = np.maximum(amounts @ shapes, 0.5)
    deviance = float(np.sum((total - mean) ** 2 / mean)) / max(len(total) - len(shapes), 1)
    limits = DETECTED * _standard_errors(shapes.T, mean) * max(deviance, 1.0) ** 0.5
    for element, count, limit in zip(elements, amounts, limits, strict=False):
        if count < limit:
            problem = f"the sum of all spectra of '{signal.name}' holds {count:.3g} counts of its edges"
            message = f"{element} is not detected: {problem}, and the limit is {limit:.3g}"
            warnings.warn(message, FusionkitWarning, stacklevel=2)
    warn_of_deviance(signal, deviance)
    facts = (
        f"The sum of all spectra deviates {deviance:.2g} times as much as counts do. The edges are {shift:+.0f} eV off."
    )
    listed = ", ".join(f"{one} {n:.6g}" for one, n in zip(elements, amounts[: len(elements)], strict=True))
    return Parts(bins, edges / 1000.0, shapes, amounts, listed, facts)


def _shares(model: SpectralModel, element: str) -> str:
    """The shares of an element's families, which k- and zeta-factors of one family need; empty for one family."""
    own = {name: n for (one, name), n in zip(model.families, model.amounts, strict=True) if one == element and n > 0.0}
    total = sum(own.values())
    return f" ({', '.join(f'{name} {n / total:.1%}' for name, n in own.items())})" if len(own) > 1 else ""


def _spectra(model: SpectralModel, elements: list[str]) -> tuple[Image, Image]:
    """The shape of each element, its families in the proportions of the sum, and its counts in the sum."""
    shapes, amounts = [], []
    for element in elements:
        own = [index for index, (name, _) in enumerate(model.families) if name == element]
        counts = model.amounts[own]
        parts = counts if counts.sum() > 0.0 else np.eye(len(own))[-1]  # without counts: the softest family
        shapes.append(parts @ model.family_shapes[own] / parts.sum())
        amounts.append(counts.sum())
    return np.stack(shapes), np.array(amounts)


def sets_of(shapes: Image, amounts: Image, noise: Image) -> np.ndarray:
    """The index of the element to whose set each bin belongs, -1 for none.

    Parameters
    ----------
    shapes : of the elements, (n, bins).
    amounts : their counts, (n,).
    noise : variance of the counts, (bins,).
    """
    counts = amounts[:, None] * shapes
    share = counts / noise
    owners = np.where(share.max(axis=0) >= _LEAST, share.argmax(axis=0), -1)
    for index in sorted(set(range(len(shapes))) - set(owners.tolist())):  # every element has a set
        owners[(shapes[index] / np.sqrt(noise)).argmax()] = index

    def cost(candidate: np.ndarray) -> float:
        members = np.stack([candidate == index for index in range(len(shapes))])
        return float(np.sum(np.log(_standard_errors(members @ shapes.T, members @ noise))))

    best = cost(owners)
    for _ in range(_SWEEPS):
        former = best
        for channel in np.argsort(-counts.sum(axis=0)):
            for owner in (*range(len(shapes)), -1):
                if owner == owners[channel] or (owner >= 0 and shapes[owner, channel] < _NEGLIGIBLE):
                    continue
                trial = owners.copy()
                trial[channel] = owner
                if (value := cost(trial)) < best - 1e-9:
                    owners, best = trial, value
        if former - best < 1e-4:
            break
    return owners


def _standard_errors(mixing: Image, noise: Image) -> Image:
    """Cramer-Rao bounds of the standard errors, (n,), from a mixing (k, n) with the variances ``noise`` (k,)."""
    scaled = mixing / np.sqrt(np.maximum(noise, 0.5))[:, None]
    information = scaled.T @ scaled
    information[np.diag_indices_from(information)] += _RIDGE * max(float(information.max()), 1e-12)
    return np.sqrt(np.diagonal(np.linalg.inv(information)))


def _part(region: Sequence[int], shape: tuple[int, ...], where: str) -> tuple[slice, slice, slice]:
    """The index of a region in a stack; `UserError` unless it lies in the scan and holds a pixel."""
    first, last, left, right = region
    if not (first < last <= shape[0] and left < right <= shape[1]):
        problem = f"{region} is no part of {shape[0]} rows and {shape[1]} columns"
        raise UserError(where, problem, "give first and last row, first and last column")
    return slice(None), slice(first, last), slice(left, right)


def _levels(parts: Parts, n: int, images: np.ndarray, smooth: float | None) -> Image:
    """The expected counts of everything but the ``n`` elements at each pixel, (k, ny, nx)."""
    shape = images.shape[1:]
    counts = float(images.sum(dtype=np.float64)) / (shape[0] * shape[1])
    width = smoothing_width(smooth, counts)
    block = max(1, round(width), -(-max(shape) // _MOST_BLOCKS))
    blocks = np.stack([block_sums(one.astype(np.float64), block) for one in images], axis=-1)
    held = parts.amounts > 0.0
    amounts = smoothed_amounts(blocks, parts.shapes[held], parts.amounts[held], width / block)
    totals = amounts.sum(axis=(0, 1))
    scales = np.divide(parts.amounts[held], totals, out=np.zeros_like(totals), where=totals > 0.0)
    result = np.zeros((len(held), *shape))
    for place, image, scale in zip(np.flatnonzero(held), np.moveaxis(amounts, -1, 0), scales, strict=True):
        result[place] = scale * on_pixels(image, block, shape)
    return result[n:]
