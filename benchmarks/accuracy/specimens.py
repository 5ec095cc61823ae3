"""The simulated recordings: phantoms for which the model holds, and phantoms for which it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.accuracy import breakages
from fusionkit.data.dataset import Dataset
from fusionkit.data.phantoms import PhantomSpec, simulate_dataset

GAMMA = 1.7  # of every phantom


@dataclass(frozen=True)
class Recording:
    """Specimen, size, dose and noise of a recording.

    Parameters
    ----------
    specimen : a name of `SPECIMENS`.
    size : pixels along both axes.
    dose : mean counts per pixel and element, over the pixels that hold matter.
    seed : of the noise.
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
    """Data with their ground truth, and the exponent that the user assumes."""

    dataset: Dataset
    gamma: float = GAMMA


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


def _unchanged(preset: str) -> Specimen:
    return lambda recording: Case(phantom(preset, recording))


def _broken(by: Callable[[Dataset], Dataset], gamma: float = GAMMA) -> Specimen:
    return lambda recording: Case(by(phantom("cos_nanoparticle", recording)), gamma)


MATCHED: dict[str, Specimen] = {
    "nanoparticle": _unchanged("cos_nanoparticle"),
    "films": _unchanged("films"),
    "lattice": _unchanged("lattice"),
    "steps": lambda recording: Case(breakages.stepped(phantom("cos_nanoparticle", recording), recording.seed)),
}
ASSUMED = GAMMA - 0.2
BROKEN: dict[str, Specimen] = {
    "image_steps": _broken(breakages.steps_in_the_image),
    "unmapped": _broken(breakages.unmapped_element),
    "shifted": _broken(breakages.shifted_image),
    "gamma_off": _broken(lambda dataset: breakages.calibrated(dataset, ASSUMED), ASSUMED),
}
SPECIMENS = {**MATCHED, **BROKEN}


def case(recording: Recording) -> Case:
    """The data of a recording."""
    return SPECIMENS[recording.specimen](recording)
