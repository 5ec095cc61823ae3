"""What an exported file holds, made from a run that just ended or from one that is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fusionkit.data.dataset import Dataset
from fusionkit.errors import UserError
from fusionkit.result import Result
from fusionkit.results.saved import SavedRun
from fusionkit.results.summary import versions
from fusionkit.terms import Array

HAADF = "HAADF"  # what exported files call the image, as simulated recordings do
DEVIATION = " standard deviation"  # behind the element, what they call its error bars


@dataclass(frozen=True)
class Content:
    """Fused maps and what belongs to them.

    Parameters
    ----------
    maps : fused map (ny, nx) by element, in the config's order.
    deviations : standard deviation of each map, likewise; empty without error bars.
    haadf : the image (ny, nx) as the solver saw it; None where there is none on the pixels of the maps.
    pixel_size : edge of a pixel in ``units``; None where unknown.
    units : unit of ``pixel_size``.
    origin : (y, x) of the centre of the first pixel in ``units``; None where unknown.
    metadata : facts of the recording by name, numbers and texts.
    about : what made the maps: version, source, status, objective, optimality, config, as far as known.
    """

    maps: Mapping[str, Array]
    deviations: Mapping[str, Array] = field(default_factory=dict)
    haadf: Array | None = None
    pixel_size: float | None = None
    units: str | None = None
    origin: tuple[float, float] | None = None
    metadata: Mapping[str, float | str] = field(default_factory=dict)
    about: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def layers(self) -> dict[str, Array]:
        """The maps by element, and behind them their standard deviations."""
        return {**self.maps} | {element + DEVIATION: image for element, image in self.deviations.items()}

    @property
    def images(self) -> dict[str, Array]:
        """The layers, and the image as ``HAADF`` behind them."""
        return self.layers | ({} if self.haadf is None else {HAADF: self.haadf})


def content_of(result: Result, dataset: Dataset, config: str = "", deviation: Array | None = None) -> Content:
    """What to export of a run that just ended; `UserError` where its unknown is no stack of maps.

    Parameters
    ----------
    result, dataset : of the run.
    config : the resolved configuration, YAML text; may be empty.
    deviation : standard deviation of the maps, of their shape; None without error bars.
    """
    about = {
        "version": versions()["fusionkit"],
        "source": dataset.source,
        "status": str(result.status),
        "objective": float(result.objective),
        "optimality": float(result.optimality),
        "config": config,
    }
    return Content(
        _by_element(result.x, result.labels, "export"),
        {} if deviation is None else _by_element(deviation, result.labels, "export"),
        _on_the_maps_pixels(dataset.arrays.get("haadf"), result.x),
        dataset.pixel_size,
        dataset.units,
        dataset.origin,
        dataset.metadata,
        {name: value for name, value in about.items() if value != ""},
    )


def content_of_saved(run: SavedRun) -> Content:
    """What to export of a run that was read back; `UserError` where its unknown is no stack of maps."""
    saved, source = run.saved, run.summary.get("source")
    deviation = saved.uncertainty.get("standard_deviation")
    about = {
        "version": saved.fusionkit_version,
        "source": source if isinstance(source, str) else "",
        "status": saved.status,
        "objective": saved.objective,
        "optimality": saved.optimality,
        "config": saved.config,
    }
    return Content(
        _by_element(saved.x, saved.elements, run.name),
        {} if deviation is None else _by_element(deviation, saved.elements, run.name),
        _on_the_maps_pixels(saved.inputs.get("haadf"), saved.x),
        saved.pixel_size,
        saved.units,
        saved.origin,
        saved.metadata,
        {name: value for name, value in about.items() if value != ""},
    )


def _by_element(x: Array, labels: tuple[str, ...], where: str) -> dict[str, Array]:
    if x.ndim != 3 or len(labels) != len(x):
        remedy = "other programs' formats hold maps; result.h5 holds everything"
        raise UserError(where, "has an unknown that is no stack of maps of elements", remedy)
    return dict(zip(labels, x, strict=True))


def _on_the_maps_pixels(image: Array | None, x: Array) -> Array | None:
    """The image if it has the pixels of the maps."""
    return image if image is not None and image.shape == x.shape[1:] else None
