"""The simulated recordings: phantoms for which the model holds or does not, and independent specimens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.accuracy import breakages
from benchmarks.accuracy.independent import SCENES
from benchmarks.accuracy.independent.record import VARIANTS, record
from benchmarks.accuracy.independent.scene import SIZE, Mask
from benchmarks.accuracy.metrics import regions
from fusionkit.arrays import Array
from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms import PhantomSpec, simulate_dataset

GAMMA = 1.7  # of every phantom


@dataclass(frozen=True)
class Recording:
    """Specimen, size, dose and noise of a recording.

    Parameters
    ----------
    specimen : a name of `SPECIMENS` or `INDEPENDENT`.
    size : pixels along both axes.
    dose : mean counts per pixel and element, over the pixels that hold matter.
    seed : of the noise, and of an independent specimen.
    """

    specimen: str
    size: int
    dose: float
    seed: int

    @property
    def name(self) -> str:
        """A name for files."""
        return f"{self.specimen}-{self.size}-{self.dose:g}-{self.seed}"


@dataclass(frozen=True)
class Case:
    """Data with their ground truth, and the exponent that the user assumes.

    Parameters
    ----------
    dataset : image, maps and truth.
    gamma : the exponent.
    regions : parts of uniform composition by name; empty if they are not scored.
    clean : the image without noise, in any unit; None if it is not scored.
    """

    dataset: Dataset
    gamma: float = GAMMA
    regions: Mapping[str, Mask] = field(default_factory=dict)
    clean: Array | None = None


Specimen = Callable[[Recording], Case]


def phantom(preset: str, recording: Recording) -> Dataset:
    """The phantom of that name."""
    options: dict[str, Any] = {
        "preset": preset,
        "size": recording.size,
        "dose": float(recording.dose),
        "seed": recording.seed,
        "gamma": GAMMA,
    }
    return simulate_dataset(PhantomSpec.model_validate(options), recording.name)


def _matched(dataset: Dataset) -> Case:
    assert dataset.truth is not None
    parts = dict(zip(dataset.elements, regions(dataset.truth), strict=True))
    return Case(dataset, regions=parts, clean=breakages.predicted(dataset.truth, dataset.elements))


def _unchanged(preset: str) -> Specimen:
    return lambda recording: _matched(phantom(preset, recording))


def _broken(by: Callable[[Dataset], Dataset], gamma: float = GAMMA) -> Specimen:
    return lambda recording: Case(by(phantom("cos_nanoparticle", recording)), gamma)


MATCHED: dict[str, Specimen] = {
    "nanoparticle": _unchanged("cos_nanoparticle"),
    "films": _unchanged("films"),
    "lattice": _unchanged("lattice"),
    "steps": lambda recording: _matched(breakages.stepped(phantom("cos_nanoparticle", recording), recording.seed)),
}
ASSUMED = GAMMA - 0.2
BROKEN: dict[str, Specimen] = {
    "image_steps": _broken(breakages.steps_in_the_image),
    "unmapped": _broken(breakages.unmapped_element),
    "shifted": _broken(breakages.shifted_image),
    "gamma_off": _broken(lambda dataset: breakages.calibrated(dataset, ASSUMED), ASSUMED),
}
SPECIMENS = {**MATCHED, **BROKEN}


def _independent(scene: str, variant: str) -> Specimen:
    """The middle of an independent recording; its specimen changes with the seed."""

    def make(recording: Recording) -> Case:
        if recording.size > SIZE:
            raise ValueError(f"{recording.specimen} has {SIZE} pixels along an axis, not {recording.size}")
        whole = record(scene, variant, recording.dose, recording.seed)
        start = (SIZE - recording.size) // 2
        middle = (..., *[slice(start, start + recording.size)] * 2)
        arrays = {"haadf": whole.haadf[middle], "maps": whole.maps[middle]}
        dataset = Dataset(arrays, whole.scene.elements, truth=whole.truth[middle], source=recording.name)
        regions = {name: region[middle] for name, region in whole.scene.regions.items()}
        return Case(dataset, regions=regions, clean=whole.clean[middle])

    return make


INDEPENDENT = {f"{scene}_{variant}": _independent(scene, variant) for variant in VARIANTS for scene in SCENES}


def case(recording: Recording) -> Case:
    """The data of a recording."""
    return {**SPECIMENS, **INDEPENDENT}[recording.specimen](recording)
