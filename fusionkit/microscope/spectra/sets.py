r"""Counts of elements in sets of channels, one set for each element, with the mixing that the model of the sum gives.

The counts b_k in the set A_k have the mean

.. math:: \sum_i M_{ki} x_i + B_k, \qquad M_{ki} = \sum_{c \in A_k} s_{ic}

with x_i the counts of element i in all of its lines, s_i the shape of its spectrum, and B the background and the
elements that nobody named, which `fusionkit.microscope.spectra.fit` estimates from smoothed spectra. The forward model
``spectral`` puts this into the Poisson term: the fused map of one element takes its share from the set of another, and
the counts stay whole and independent. The sets minimise the sum of the logarithms of the Cramer-Rao bounds of the x_i
for the mean of all spectra; the note says how many of the standard errors of the whole spectra these are.
"""

from __future__ import annotations

import numpy as np

from fusionkit.data.options import SpectrumSource
from fusionkit.data.spectra import ElementMaps
from fusionkit.errors import UserError
from fusionkit.microscope.signals import Image, Signal, block_sums
from fusionkit.microscope.spectra.fit import (
    Origins,
    binned,
    clearest,
    edx_elements,
    facts_of_fit,
    model_of_sum,
    on_pixels,
    smoothed_amounts,
    smoothing_width,
    warn_of_doubts,
)
from fusionkit.microscope.spectra.model import SpectralModel, bins_of

_LEAST = 0.02  # share of an element in a bin, below which the bin starts in no set
_NEGLIGIBLE = 1e-4  # share of an element's counts in a bin, below which its set does not need the bin
_SWEEPS = 3
_MOST_BLOCKS = 128  # along an axis, in which the background is estimated
_RIDGE = 1e-9  # of the information, relative to that of the counts alone: spectra may coincide


def count_in_sets(signal: Signal, source: SpectrumSource, where: str) -> ElementMaps:
    """The counts in the set of each element, the background in it, and the mixing.

    Parameters
    ----------
    signal : an EDX spectrum image.
    source : elements, and the width of the smoothing of the background.
    where : config key of ``source``.

    Raises
    ------
    UserError : these are not EDX spectra, an element has no lines in them, or their values are not counts.
    """
    elements = edx_elements(signal, source, f"{where}.method", where)
    bins = bins_of(signal)
    images = binned(signal, bins)
    model = model_of_sum(signal, elements, images.sum(axis=(1, 2), dtype=np.float64), bins, where)
    families = {element: clearest(model, element) for element in elements}
    outside = [element for element, family in families.items() if family is None]
    if outside:
        raise UserError(where, f"the lines of {outside[0]} lie outside the spectra", "leave it out")
    warn_of_doubts(signal, model, [family for family in families.values() if family is not None], tied=True)
    shapes, amounts = _spectra(model, elements)
    mean = np.maximum(model.all_amounts @ model.shapes, 0.5)
    noise = mean + np.maximum(mean - amounts @ shapes, 0.0)  # the background is estimated from about as many counts
    owners = sets_of(shapes, amounts, noise)
    members = np.stack([owners == index for index in range(len(elements))])
    maps = np.stack([images[one].sum(axis=0, dtype=np.float64) for one in members])
    background = _background(model, elements, members, images, source.smooth)
    mixing = members @ shapes.T
    errors = _standard_errors(members @ shapes.T, members @ noise) / _standard_errors(shapes.T, noise)
    listed = ", ".join(f"{one} {n:.6g}{_shares(model, one)}" for one, n in zip(elements, amounts, strict=True))
    note = f"Counts by the sum of all spectra: {listed}. In a set of channels for each element they have at most"
    notes = (f"{note} {errors.max():.3g} times the standard error of whole spectra. {facts_of_fit(model)}",)
    return ElementMaps(
        tuple(elements), maps, background, signal.raw(maps, notes), mixing, _spectrum(model, shapes, amounts)
    )


def _shares(model: SpectralModel, element: str) -> str:
    """The shares of an element's families, which k- and zeta-factors of one family need; empty for one family."""
    own = {name: n for (one, name), n in zip(model.families, model.amounts, strict=True) if one == element and n > 0.0}
    total = sum(own.values())
    return f" ({', '.join(f'{name} {n / total:.1%}' for name, n in own.items())})" if len(own) > 1 else ""


def _spectrum(model: SpectralModel, shapes: Image, amounts: Image) -> Image:
    """The rows of `fusionkit.data.spectra.ElementMaps.spectrum`."""
    parts = amounts[:, None] * shapes
    others = model.all_amounts @ model.shapes - parts.sum(axis=0)
    edges = model.edges / 1000.0
    return np.stack([(edges[1:] + edges[:-1]) / 2, np.diff(edges), model.total, others, *parts])


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


def _background(
    model: SpectralModel, elements: list[str], members: np.ndarray, images: np.ndarray, smooth: float | None
) -> Image:
    """The expected counts of everything but the elements in each set, (n, ny, nx)."""
    shape = images.shape[1:]
    width = smoothing_width(smooth, float(model.total.sum()) / (shape[0] * shape[1]))
    block = max(1, round(width), -(-max(shape) // _MOST_BLOCKS))
    blocks = np.stack([block_sums(one.astype(np.float64), block) for one in images], axis=-1)
    origins = Origins.of(model)
    amounts = smoothed_amounts(blocks, origins.shapes, origins.amounts, width / block)
    totals = amounts.sum(axis=(0, 1))
    scales = np.divide(origins.amounts, totals, out=np.zeros_like(totals), where=totals > 0.0)
    others = np.array([name not in elements for name in origins.names])
    parts = members @ (origins.shapes * (scales * others)[:, None]).T
    return np.stack([on_pixels(amounts @ part, block, shape) for part in parts])
