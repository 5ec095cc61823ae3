"""Does the verdict find the recordings that are broken? ``python -m benchmarks.verdicts [--seeds 0 100]``.

Each seed makes a sound recording and a broken one of the same specimen. A broken one costs accuracy if an element has
more than 1.5 times its error in the sound one. The verdict must find 95 % of those and condemn 5 % of the sound ones.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, map_coordinates

import fusionkit as fk
from fusionkit.arrays import Array
from fusionkit.data.elements import atomic_number

SIZE = 48
COST = 1.5  # least error of an element over that in the sound recording
_GAMMA = 1.7
_Y, _X = np.mgrid[:SIZE, :SIZE].astype(np.float64)
_ELEMENTS = ("O", "Al", "Si", "S", "Ti", "Mn", "Fe", "Co", "Ni", "Cu", "Sr", "Zr", "Pd", "Ce", "Hf", "W", "Pt")
_UNMAPPED = 79.0  # atomic number of an element without a map


@dataclass(frozen=True)
class Recording:
    """A simulated recording.

    Parameters
    ----------
    elements : of the maps.
    truth, maps : mean counts and counts, (n, ny, nx).
    clean, sigma : the image without noise, and its noise.
    linear : whether the image is linear in thickness.
    random : generator of the noise.
    """

    elements: tuple[str, ...]
    truth: Array
    maps: Array
    clean: Array
    sigma: float
    linear: bool
    random: np.random.Generator

    @property
    def image(self) -> Array:
        """The image with noise."""
        return self.clean + self.sigma * self.random.standard_normal(self.clean.shape)


def sound(seed: int) -> Recording:
    """A recording that the model describes."""
    random = np.random.default_rng([17, seed])
    elements = tuple(random.choice(_ELEMENTS, random.integers(2, 5), replace=False).tolist())
    density = _specimen(random, len(elements))
    dose = float(np.exp(random.uniform(np.log(3.0), np.log(300.0))))
    truth = density * dose / density.mean(axis=0)[density.sum(axis=0) > 0].mean()
    linear = bool(random.random() < 0.5)
    clean = _image(truth, elements, linear)
    scale, noise = random.uniform(1e3, 1e4), float(np.exp(random.uniform(np.log(0.005), np.log(0.03))))
    clean = random.uniform(0.0, 2e3) + scale * clean / clean.max()
    maps = random.poisson(truth).astype(np.float64)
    return Recording(elements, truth, maps, clean, noise * scale, linear, random)


def _image(truth: Array, elements: tuple[str, ...], linear: bool, gamma: float = _GAMMA) -> Array:
    z = np.array([atomic_number(element) for element in elements], np.float64)[:, None, None] / 20.0
    return (z**gamma * truth).sum(axis=0) if linear else ((z * truth) ** gamma).sum(axis=0)


def _specimen(random: np.random.Generator, count: int) -> Array:
    """Densities of elements, (n, ny, nx): particles, layers, columns, a core and shell, or grains."""
    kind = random.integers(5)
    if kind == 0:
        density = np.zeros((count, SIZE, SIZE))
        for index in range(3 * count):
            density[index % count] += _ball(random, random.uniform(4.0, 10.0))
        return density
    if kind == 1:
        edges = np.sort(random.uniform(4, SIZE - 4, count + 1))
        ripple = gaussian_filter1d(random.standard_normal(SIZE), 6.0, mode="wrap") * 4.0
        at = [1.0 / (1.0 + np.exp(-(_X - edge - ripple[:, None]) / 0.7)) for edge in edges]
        return np.stack([first - last for first, last in itertools.pairwise(at)])
    if kind == 2:
        period, wide = random.uniform(7.0, 11.0), random.uniform(1.3, 2.0)
        return np.stack(
            [
                np.exp(
                    (np.cos(2 * np.pi * (_Y / period + a)) + np.cos(2 * np.pi * (_X / period + b)) - 2) / wide**2 * 2
                )
                + 0.1
                for a, b in random.uniform(0, 1, (count, 2))
            ]
        )
    if kind == 3:
        radius = np.hypot(_Y - SIZE / 2, _X - SIZE / 2)
        thick, share = np.sqrt(np.maximum(18.0**2 - radius**2, 0.0)) / 18.0, random.uniform(0.2, 1.0, (count, 3))
        zones = [radius < 8, (radius >= 8) & (radius < 14), radius >= 14]
        return np.stack([thick * sum(s * zone for s, zone in zip(row, zones, strict=True)) for row in share])
    points = random.uniform(0, SIZE, (7, 2))
    grain = np.argmin(np.hypot(_Y[..., None] - points[:, 0], _X[..., None] - points[:, 1]), axis=-1)
    share = random.uniform(0.05, 1.0, (count, 7))
    return np.stack([gaussian_filter(row[grain] * (_Y > 8), 0.6) for row in share])


def _ball(random: np.random.Generator, radius: float) -> Array:
    y, x = random.uniform(8, SIZE - 8, 2)
    return np.sqrt(np.maximum(radius**2 - (_Y - y) ** 2 - (_X - x) ** 2, 0.0)) / radius


def _unmapped(one: Recording) -> Recording:
    """Particles of an element without a map."""
    added = sum((_ball(one.random, one.random.uniform(3.0, 7.0)) for _ in range(3)), np.zeros((SIZE, SIZE)))
    return replace(one, clean=one.clean + one.random.uniform(0.3, 1.0) * np.ptp(one.clean) * added)


def _shift(one: Recording) -> Recording:
    shift = one.random.choice([-3, -2, 2, 3], 2)
    return replace(one, clean=np.roll(one.clean, shift, (0, 1)))


def _drift(one: Recording) -> Recording:
    """The scan drifts and its rows jitter."""
    far, jitter = one.random.uniform(2.0, 5.0), gaussian_filter1d(one.random.standard_normal(SIZE), 0.7) * 0.5
    x = _X + far * (_Y / SIZE) ** 2 + jitter[:, None]
    return replace(one, clean=map_coordinates(one.clean, [_Y + 0.4 * far * _Y / SIZE, x], order=1, mode="nearest"))


def _gamma(one: Recording) -> Recording:
    """The exponent is far from 1.7."""
    low, power = one.clean.min(), one.random.choice([0.4, 0.5, 1.6, 1.8])
    return replace(one, clean=low + np.ptp(one.clean) * ((one.clean - low) / np.ptp(one.clean)) ** power)


def _saturated(one: Recording) -> Recording:
    limit = np.quantile(one.clean, one.random.uniform(0.5, 0.8))
    return replace(one, clean=np.minimum(one.clean, limit))


def _background(one: Recording) -> Recording:
    """The level of the image changes across the field."""
    ramp = gaussian_filter(one.random.standard_normal((SIZE, SIZE)), 10.0) + 0.01 * (_X - SIZE / 2) / SIZE
    return replace(one, clean=one.clean + one.random.uniform(0.3, 0.8) * np.ptp(one.clean) * ramp / np.ptp(ramp))


def _swapped_files(one: Recording) -> Recording:
    """The image of another recording."""
    other = sound(int(one.random.integers(10_000, 20_000)))
    return replace(one, clean=other.clean, sigma=other.sigma)


def _swapped_labels(one: Recording) -> Recording:
    """The lightest and the heaviest element have each other's label."""
    order = np.argsort([atomic_number(element) for element in one.elements])
    names = list(one.elements)
    names[order[0]], names[order[-1]] = names[order[-1]], names[order[0]]
    return replace(one, elements=tuple(names))


def _contrast(one: Recording) -> Recording:
    """An inverted image, or bands of diffraction contrast."""
    if one.random.random() < 0.4:
        return replace(one, clean=one.clean.max() + one.clean.min() - one.clean)
    bands = 1.0 + 0.5 * np.sin((_X + one.random.uniform(-1, 1) * _Y) / one.random.uniform(1.5, 4.0))
    return replace(one, clean=one.clean.min() + (one.clean - one.clean.min()) * bands)


BROKEN: Mapping[str, Callable[[Recording], Recording]] = {
    "unmapped element": _unmapped,
    "shift": _shift,
    "drift": _drift,
    "wrong gamma": _gamma,
    "saturated detector": _saturated,
    "background not flat": _background,
    "files swapped": _swapped_files,
    "labels swapped": _swapped_labels,
    "other contrast": _contrast,
}


def fused(one: Recording) -> fk.Fused:
    """The recording fused by default."""
    return fk.fuse(one.image, dict(zip(one.elements, one.maps, strict=True)))


def errors(one: Recording, result: fk.Fused) -> Array:
    """Relative error of each map, in the order of the truth."""
    maps = np.stack([result.arrays[element] for element in one.elements])
    return np.linalg.norm(maps - one.truth, axis=(1, 2)) / np.linalg.norm(one.truth, axis=(1, 2))


def main() -> None:
    """Score the verdicts of a range of seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs=2, type=int, default=(0, 100), metavar=("FIRST", "END"))
    first, end = parser.parse_args().seeds
    kinds, flagged, costly, found = list(BROKEN), 0, 0, 0
    for seed in range(first, end):
        kind = kinds[seed % len(kinds)]
        whole, flawed = sound(seed), BROKEN[kind](sound(seed))
        good, bad = fused(whole), fused(flawed)
        cost = float(np.max(errors(flawed, bad) / errors(whole, good)))
        flagged += good.verdict.level != "good"
        costly += cost > COST
        found += cost > COST and bad.verdict.level != "good"
        print(f"{seed} sound: {good.verdict.level}; {kind}: cost {cost:.2f}, {bad.verdict.level}", flush=True)
    print(f"sound recordings condemned: {flagged} of {end - first}; costly broken ones found: {found} of {costly}")


if __name__ == "__main__":
    main()
