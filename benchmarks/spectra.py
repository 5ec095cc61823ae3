"""Overlapping lines: ``python -m benchmarks.spectra [--pairs S/Mo Ti/Ba] [--doses 5 20] [--seed 0]``.

Simulated EDX cubes (64 x 64 x 2048, lines of eXSpy's table, a background of 30 % of the counts) of two elements whose
lines overlap, side by side and one within the other, with an image of Z^1.7. Mn/Fe are EELS cubes (64 x 64 x 500, L
edges with white lines, a background of three times the counts with an exponent that varies). Each is fused with the
default terms, from `method: fit` (EELS: windows), from windows, and from `method: spectral`. A row gives, for each
element, the root mean square error over the greatest value, each map at its own best scale, and the share of its counts
where it is absent.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hyperspy.api as hs
import numpy as np

from fusionkit.arrays import Array
from fusionkit.data.elements import atomic_number
from fusionkit.reconstruct import prepare

SIZE, WIDTH = 64, 0.01  # pixels, keV
ENERGIES = WIDTH * np.arange(2048)
LOSSES = 500.0 + np.arange(500)  # eV
PAIRS = ("S/Mo", "Ti/Ba", "Pt/Ga", "Si/W", "Mn/Fe")
EDGES = {"Mn": (640.0, 651.0), "Fe": (708.0, 721.0)}  # L3 and L2, eV
ARRANGEMENTS = ("side by side", "within")
METHODS = {
    "fit": ("method: fit", "identity", "auto", "guide_share: 1.0", ""),
    "windows": ("background: windows", "", "{auto: count_splitting}", "guide_share: auto, large_share: auto", "auto"),
    "spectral": (
        "method: spectral",
        "spectral",
        "{auto: count_splitting}",
        "guide_share: auto, large_share: auto",
        "auto",
    ),
}
CONFIG = """
version: 1
data:
  haadf: {{path: image.hspy, signal: HAADF}}
  spectra: {{maps: {{path: cube.hspy, elements: [{elements}], {method}}}}}
terms:
  - {{type: haadf, weight: {weight}, gamma: 1.7, z: relative, gain: auto, offset: auto{model}}}
  - {{type: poisson, weight: auto, epsilon: auto, forward: {forward}}}
  - {{type: joint_nonlocal, weight: auto, {shares}}}
  - {{type: tgv, weight: auto, ratio: 1.2, coupling: joint}}
  - nonnegative
solver: {{type: chambolle_pock, max_iterations: 2000, tolerance: 0.001}}
engine: numpy
"""


def disc(y: float, x: float, radius: float) -> Array:
    """A disc with edges one pixel wide."""
    rows, columns = np.indices((SIZE, SIZE))
    return np.clip(radius - np.hypot(rows - y, columns - x) + 0.5, 0.0, 1.0)


def arranged(how: str) -> tuple[Array, Array]:
    """Where the two elements are."""
    if how == "side by side":
        return disc(32, 18, 13), disc(32, 46, 13)
    inner = disc(32, 20, 9) + disc(20, 46, 6)
    return np.clip(disc(32, 32, 28) - inner, 0.0, 1.0), inner


def spectrum(element: str) -> Array:
    """The spectrum of one count in a detector of 130 eV at Mn Ka."""
    from exspy.material import elements

    known = elements[element].Atomic_properties.Xray_lines.as_dictionary().values()
    lines = [(one["energy (keV)"], one["weight"]) for one in known if 0.25 < one["energy (keV)"] < ENERGIES[-1]]
    total = np.zeros_like(ENERGIES)
    for energy, weight in lines:
        sigma = np.sqrt(2.5e-3 * (energy - 5.8987) + 0.13**2) / 2.355
        total += weight / sigma * np.exp(-0.5 * ((ENERGIES - energy) / sigma) ** 2)
    return total / total.sum()


def edge(element: str) -> Array:
    """The L edge of one count: white lines on the hydrogenic cross section for 12 mrad, which no file tells."""
    from exspy.components import EELSCLEdge

    one, two = EDGES[element]
    component: Any = EELSCLEdge(f"{element}_L3", GOS="hydrogenic")
    section = component.GOS.integrateq(one, 0.012, 200.0)
    smooth = np.where(one <= LOSSES, np.maximum(section(np.maximum(LOSSES, one)), 0.0), 0.0)
    white = np.exp(-0.5 * ((LOSSES - one - 1.0) / 1.5) ** 2) + 0.5 * np.exp(-0.5 * ((LOSSES - two - 1.0) / 2.0) ** 2)
    return 0.75 * smooth / smooth.sum() + 0.25 * white / white.sum()


def edge_background(places: tuple[Array, Array]) -> Array:
    """Spectra of one count at each pixel, E^-r with r from 2.7 to 3.5."""
    exponents = 2.7 + 0.5 * np.indices((SIZE, SIZE))[1] / SIZE + 0.3 * places[1]
    laws = (LOSSES / LOSSES[0]) ** -exponents[..., None]
    return laws / laws.sum(axis=-1, keepdims=True)


def simulate(folder: Path, pair: tuple[str, str], how: str, dose: float, seed: int) -> dict[str, Array]:
    """Write ``cube.hspy`` and ``image.hspy``; the net counts of each element."""
    random, places = np.random.default_rng(seed), arranged(how)
    truth = {element: dose * place for element, place in zip(pair, places, strict=True)}
    eels = pair[0] in EDGES
    if eels:
        mean = 3.0 * dose * (0.1 + np.add(*places))[..., None] * edge_background(places)
    else:
        background = np.exp(-ENERGIES / 3.0) * (ENERGIES > 0.1)
        mean = np.multiply.outer(0.3 * dose * (0.1 + sum(places)), background / background.sum())
    image = random.normal(0.1, 0.02, (SIZE, SIZE))
    for element, counts in truth.items():
        mean += counts[..., None] * (edge if eels else spectrum)(element)
        image += counts * atomic_number(element) ** 1.7 / (dose * max(atomic_number(one) ** 1.7 for one in pair))
    cube = hs.signals.Signal1D(random.poisson(mean).astype(np.uint16))
    axis = cube.axes_manager[-1]
    cube.set_signal_type("EELS" if eels else "EDS_TEM")
    axis.scale, axis.offset, axis.units = (1.0, float(LOSSES[0]), "eV") if eels else (WIDTH, 0.0, "keV")
    cube.metadata.set_item("Acquisition_instrument.TEM.beam_energy", 200.0)
    if not eels:
        cube.metadata.set_item("Acquisition_instrument.TEM.Detector.EDS.energy_resolution_MnKa", 130.0)
    cube.metadata.set_item("Sample.elements", list(pair))
    cube.save(folder / "cube.hspy", overwrite=True)
    picture = hs.signals.Signal2D(image)
    picture.metadata.General.title = "HAADF"
    picture.save(folder / "image.hspy", overwrite=True)
    return truth


def fused(folder: Path, elements: list[str], method: str) -> Mapping[str, Array]:
    """The fused maps by one method."""
    if elements[0] in EDGES and method == "fit":
        method = "windows"
    how, forward, weight, shares, model = METHODS[method]
    how = how.replace("background: windows", "background: power_law") if elements[0] in EDGES else how
    listed = ", ".join(elements)
    forward = forward or f"{{type: elements, elements: [{listed}], background: maps_background}}"
    model = f", model: {model}" if model else ""
    text = CONFIG.format(elements=listed, method=how, forward=forward, weight=weight, shares=shares, model=model)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    job = prepare(folder / "config.yaml")
    result = job.solve()
    return dict(zip(result.labels, np.asarray(result.x, np.float64), strict=True))


def scores(fused_map: Array, truth: Array) -> tuple[float, float]:
    """Error over the greatest value at the best scale, and the share of the counts where the element is absent."""
    scale = float(np.sum(fused_map * truth) / np.sum(truth**2))
    error = float(np.sqrt(np.mean((fused_map - scale * truth) ** 2)))
    return error / (scale * float(truth.max())), float(fused_map[truth == 0.0].sum() / fused_map.sum())


def main() -> None:
    """Print a row for each cube and method."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.spectra", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--pairs", nargs="+", default=PAIRS)
    parser.add_argument("--doses", nargs="+", type=float, default=(5.0, 20.0))
    parser.add_argument("--methods", nargs="+", default=["fit", "spectral"], choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for pair in options.pairs:
        one, other = pair.split("/")
        for how in ARRANGEMENTS:
            for dose in options.doses:
                with TemporaryDirectory() as name:
                    truth = simulate(Path(name), (one, other), how, dose, options.seed)
                    for method in options.methods:
                        maps = fused(Path(name), [one, other], method)
                        cells = [f"{e} {s[0]:.3f} ({s[1]:.1%})" for e in truth for s in [scores(maps[e], truth[e])]]
                        print(f"{pair:6} {how:12} {dose:3g} counts  {method:8}  {'  '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
