"""The content of an exported file, from a run that just ended or from one read from its folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fusionkit.data.dataset import Dataset
from fusionkit.data.field_of_view import Scan, scan_of
from fusionkit.data.spectra import Spectrum, spectra_in
from fusionkit.errors import UserError
from fusionkit.result import Result
from fusionkit.results.result_file import SavedResult
from fusionkit.results.saved import SavedRun
from fusionkit.results.summary import versions
from fusionkit.terms import Array

HAADF = "HAADF"  # name of the image in exported files, as in simulated recordings
DEVIATION = " standard deviation"  # follows the element in the name of its error bars


@dataclass(frozen=True)
class Content:
    """Fused maps with the facts that belong to them.

    Parameters
    ----------
    maps : fused map (ny, nx) by element, in the order of the config.
    deviations : standard deviation of each map by element; empty without error bars.
    haadf : the image (ny, nx) that the solver used; None if there is none on the pixels of the maps.
    pixel_size : edge of a pixel in ``units``; None if unknown.
    units : unit of ``pixel_size``.
    origin : (y, x) of the centre of the first pixel in ``units``; None if unknown.
    metadata : facts of the recording by name, numbers or text.
    about : origin of the maps: version, source, config, status, objective, optimality, as far as known.
    spectra : sums of spectra with their models, of every stack and region.
    """

    maps: Mapping[str, Array]
    deviations: Mapping[str, Array] = field(default_factory=dict)
    haadf: Array | None = None
    pixel_size: float | None = None
    units: str | None = None
    origin: tuple[float, float] | None = None
    metadata: Mapping[str, float | str] = field(default_factory=dict)
    about: Mapping[str, float | str] = field(default_factory=dict)
    spectra: tuple[Spectrum, ...] = ()

    @property
    def scan(self) -> Scan:
        """The pixels of the maps."""
        shape = next(iter(self.maps.values())).shape
        return scan_of(shape, self.pixel_size, self.units, self.origin, self.metadata)

    @property
    def layers(self) -> dict[str, Array]:
        """The maps by element, followed by their standard deviations."""
        return {**self.maps} | {element + DEVIATION: image for element, image in self.deviations.items()}

    @property
    def images(self) -> dict[str, Array]:
        """The layers, followed by the image as ``HAADF``."""
        return self.layers | ({} if self.haadf is None else {HAADF: self.haadf})


def content_of(result: Result, dataset: Dataset, config: str = "", deviation: Array | None = None) -> Content:
    """The content to export of a run that just ended; `UserError` if its unknown is not a stack of maps.

    Parameters
    ----------
    result, dataset : of the run.
    config : the resolved configuration, YAML text; may be empty.
    deviation : standard deviation of the maps, of their shape; None without error bars.
    """
    about = {"version": versions()["fusionkit"], "source": dataset.source, "config": config}
    content = _content(result, result.labels, dataset, dataset.arrays.get("haadf"), deviation, about, "export")
    return replace(content, spectra=_spectra(dataset.arrays, dataset.stacks))


def content_of_saved(run: SavedRun) -> Content:
    """The content to export of a run read from its folder; `UserError` if its unknown is not a stack of maps."""
    saved, source = run.saved, run.summary.get("source")
    about = {
        "version": saved.fusionkit_version,
        "source": source if isinstance(source, str) else "",
        "config": saved.config,
    }
    deviation = saved.uncertainty.get("standard_deviation")
    content = _content(saved, saved.elements, saved, saved.inputs.get("haadf"), deviation, about, run.name)
    return replace(content, spectra=_spectra(saved.inputs, {"maps": saved.elements}))


def _spectra(arrays: Mapping[str, Array], stacks: Mapping[str, Sequence[str]]) -> tuple[Spectrum, ...]:
    """Those of stacks that are known."""
    rows = {name: arrays.get(f"{name}_spectrum") for name in stacks}
    return tuple(one for name, own in rows.items() if own is not None for one in spectra_in(name, own, stacks[name]))


def _content(
    solution: Result | SavedResult,
    elements: tuple[str, ...],
    recording: Dataset | SavedResult,
    haadf: Array | None,
    deviation: Array | None,
    about: dict[str, str],
    where: str,
) -> Content:
    x = solution.x
    if x.ndim != 3 or len(elements) != len(x):
        remedy = "other programs' formats hold maps; result.h5 holds everything"
        raise UserError(where, "its unknown is not a stack of maps of elements", remedy)
    numbers = {"objective": float(solution.objective), "optimality": float(solution.optimality)}
    return Content(
        dict(zip(elements, x, strict=True)),
        {} if deviation is None else dict(zip(elements, deviation, strict=True)),
        haadf if haadf is not None and haadf.shape == x.shape[1:] else None,
        recording.pixel_size,
        recording.units,
        recording.origin,
        recording.metadata,
        {name: text for name, text in about.items() if text} | {"status": str(solution.status)} | numbers,
    )
