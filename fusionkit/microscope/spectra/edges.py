r"""A model of the sum of all EELS spectra: ionisation edges on a sum of power laws.

.. math:: \mu_c = \sum_i \bigl(a_i \sigma_i(E_c) + \sum_j f_{ij} H_{ij}(E_c)\bigr) + \sum_r p_r E_c^{-r}

No amount a, f, p is negative. sigma_i are the hydrogenic cross sections of the element's K and L shells, convolved with
the low-loss spectrum where the recording has one. H_ij are hat functions near the onset: white lines and fine structure
are free. One shift of all onsets maximises the likelihood, since files are off by some eV. A sum of power laws has an
exponent that falls with the energy, as backgrounds do; two tilted copies of it let the exponent differ from pixel to
pixel.

Source: R. F. Egerton, Electron Energy-Loss Spectroscopy in the Electron Microscope, SIGMAK3 and SIGMAL3, by eXSpy.
"""

import warnings
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from fusionkit.errors import IO, UserError
from fusionkit.microscope.signals import Channels, Image, Signal
from fusionkit.microscope.spectra.lines import binding_energies
from fusionkit.microscope.spectra.model import edges_of, weighted_amounts

_SHELLS = ("K", "L3")  # of which the hydrogenic cross section is known; L3 stands for L
_BEFORE, _BEHIND = 0.8, 300.0  # start of the model, relative to the first onset, and eV behind the last
_WIDTH = 1.0  # eV of a bin, at least
_WHITE, _BEYOND = (1.5, 3.0), 1.5  # eV: standard deviations of white lines, and their distance from the onset
_FINE = 30.0  # eV behind the last onset that the spectra must hold
_EXPONENTS = (2.0, 3.0, 4.0)
_SHIFTS = np.arange(-8.0, 8.5, 1.0)  # eV
_PRIOR = 4.0  # eV, standard deviation of the shift
_TILT = 1.0  # change of the exponent of a tilted background
_SPREAD = 100.0  # eV of low losses that are convolved
_KNOWN = {"beam_energy_keV": 200.0, "eels_collection_angle_mrad": 20.0}  # where a file does not say


def bins_of_edges(signal: Signal, elements: Sequence[str], where: str) -> tuple[Channels, ...]:
    """Adjacent ranges of channels from before the first edge to behind the last one.

    `UserError` if an element has no K or L edge within the spectra.
    """
    onsets = [onset for element in elements for onset in onsets_of(signal, element, where).values()]
    low, high, width = signal.span()
    step = max(1, round(_WIDTH / width))
    first = max(0, int((_BEFORE * min(onsets) - low) / width))
    last = min(int((max(onsets) + _BEHIND - low) / width), round((high - low) / width) + 1)
    return tuple((start, start + step) for start in range(first, last - step + 1, step))


def onsets_of(signal: Signal, element: str, where: str) -> dict[str, float]:
    """Onsets of the element's K and L edges within the spectra, in eV."""
    low, high, _ = signal.span()
    known = binding_energies(element)
    result = {shell: known[shell] for shell in _SHELLS if low + 2.0 * _WIDTH < known.get(shell, 0.0) < high - _FINE}
    if not result:
        remedy = "leave it out, or write method: windows"
        raise UserError(where, f"{element} has no K or L edge within the spectra of '{signal.name}'", remedy)
    return result


def edges_of_sum(
    signal: Signal,
    elements: Sequence[str],
    total: Image,
    bins: tuple[Channels, ...],
    low_loss: Image | None,
    where: str,
) -> tuple[Image, Image, float]:
    """Shapes of the elements and of two backgrounds, their counts in the sum, and the shift of the onsets in eV.

    Parameters
    ----------
    signal : an EELS spectrum image.
    elements : each with an edge.
    total : counts of the sum of all spectra in each bin.
    bins : see `bins_of_edges`.
    low_loss : share of the electrons that lose 0, 1, 2, ... bins of energy besides; None if unknown.
    where : config key, for messages.
    """
    ends = edges_of(signal, bins)
    energies, widths = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends)
    facts = signal.facts.metadata
    beam, angle = (float(facts.get(key, value)) for key, value in _KNOWN.items())
    laws = np.stack([(energies / energies[0]) ** -r * widths for r in _EXPONENTS])
    edges = {element: onsets_of(signal, element, where) for element in elements}

    def shapes(shift: float) -> list[Image]:
        """The continuum of each element, then its hats."""
        true = energies - shift
        result = []
        for element, own in edges.items():
            sections = [_section(element, shell, onset, beam, angle, true) for shell, onset in own.items()]
            smooth = np.sum(sections, axis=0) * widths
            middles = [energy + _BEYOND for energy in white_lines(element, own)]
            lines = [np.exp(-0.5 * ((true - one) / sigma) ** 2) * widths for one in middles for sigma in _WHITE]
            rows = [smooth / smooth.sum(), *lines]  # the low losses follow white lines too
            result.append(
                np.stack(rows if low_loss is None else [np.convolve(one, low_loss)[: len(one)] for one in rows])
            )
        return result

    def misfit(shift: float) -> float:
        both = np.concatenate([*shapes(shift), laws])
        return float(np.sum((weighted_amounts(total, both) @ both - total) ** 2 / (total + 1.0)))

    misfits = {float(shift): misfit(shift) for shift in _SHIFTS}
    scale = max(min(misfits.values()) / len(total), 1.0)  # 1 if the model holds
    shift = min(misfits, key=lambda one: misfits[one] / scale + (one / _PRIOR) ** 2)
    own = shapes(shift)
    amounts = weighted_amounts(total, np.concatenate([*own, laws]))
    spectra, first = [], 0
    for one in own:
        part = amounts[first : first + len(one)] @ one
        spectra.append(part / part.sum() if part.sum() > 0.0 else one[0])
        first += len(one)
    smooth = np.maximum(amounts[first:] @ laws, 1e-12 * total.max(initial=1.0))
    middle = np.sqrt(energies[0] * energies[-1])
    tilted = [smooth * (energies / middle) ** power for power in (_TILT, -_TILT)]
    both = np.stack([*spectra, *(one / one.sum() for one in tilted)])
    return both, weighted_amounts(total, both), shift


@cache
def _hydrogenic(element: str, shell: str, onset: float, beam: float, angle: float) -> tuple[Image, Image]:
    """Energies beyond the onset in eV and the cross section there, on any scale."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # eXSpy warns about HyperSpy
            from exspy.components import EELSCLEdge

            component: Any = EELSCLEdge(f"{element}_{shell}", GOS="hydrogenic")
            section = component.GOS.integrateq(onset, angle / 1000.0, beam)
    except ImportError:
        remedy = f"{IO}, or give the windows in the config"
        raise UserError("installation", "cross sections need eXSpy, which is not installed", remedy) from None
    beyond = np.arange(0.0, 1000.0, _WIDTH)
    return beyond, np.maximum(section(onset + beyond), 0.0)


def _section(element: str, shell: str, onset: float, beam: float, angle: float, energies: Image) -> Image:
    beyond, section = _hydrogenic(element, shell, onset, beam, angle)
    return np.interp(energies - onset, beyond, section, left=0.0)


def white_lines(element: str, shells: Iterable[str]) -> list[float]:
    """Onsets where white lines may be, in eV: L2 has its own."""
    known = binding_energies(element)
    return [known[one] for shell in shells for one in (("L3", "L2") if shell == "L3" else (shell,)) if one in known]


def energy_losses(low_loss: Signal, width: float) -> Image:
    """The share of the electrons that lose 0, 1, 2, ... times ``width`` eV, from the sum of low-loss spectra."""
    low, _, channel = low_loss.span()
    axis = low_loss.energy_axis
    assert axis is not None
    values = np.asarray(low_loss.data.read(), np.float64)
    total = values.sum(axis=tuple(index for index in range(values.ndim) if index != axis))
    energies = low + channel * np.arange(total.size)
    energies = energies - energies[total.argmax()]
    index = np.floor(energies / width + 0.5).astype(int)
    inside = (energies > -_SPREAD / 4.0) & (energies < _SPREAD)
    losses = np.bincount(np.maximum(index[inside], 0), np.maximum(total[inside], 0.0))
    return losses / losses.sum()
