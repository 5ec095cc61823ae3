"""The configuration of a run: its model, the packaged configs, and loading with a check of every key."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from os.path import exists, lexists
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from fusionkit.config import yaml as yamlio
from fusionkit.config.overrides import INIT_WORDS, RESULT_SUFFIXES, override
from fusionkit.data.options import DataOptions
from fusionkit.data.phantoms import phantom_options
from fusionkit.data.prepare.spec import step_options
from fusionkit.errors import FusionkitWarning, UserError
from fusionkit.options import Existing, Names, Options, Positive, Spec, options_model, options_of, parse
from fusionkit.registry import lookup, suggestion
from fusionkit.uncertainty.options import CompositionOptions, UncertaintyOptions
from fusionkit.weights.auto import with_placeholder

if TYPE_CHECKING:
    from fusionkit.compose_problem import Objective

DEFAULT_SOLVER = "auto"
SUFFIXES = (".yaml", ".yml")
# fields with the spec of an object, and its kind
NESTED = {"forward": "forwards", "functional": "functionals", "operator": "operators", "on": "operators"}


class UnknownOptions(Options):
    """The unknown of a problem without maps: a vector of coefficients.

    Parameters
    ----------
    labels : names of the coefficients.
    """

    labels: Annotated[Names, Field(min_length=1)]


class OutputOptions(Options):
    """Where the result goes.

    Parameters
    ----------
    directory : the output folder, relative to the config's folder; None for ``runs/NAME`` in the current folder.
    figures : whether ``maps.png`` and ``convergence.png`` are drawn.
    report : whether ``report.html`` is written.
    formats : names of writers for other programs: ``hspy`` writes ``maps.hspy``.
    """

    directory: str | None = None
    figures: bool = True
    report: bool = True
    formats: Names = Field(default_factory=list)


class CheckpointOptions(Options):
    """Saving the state of an unfinished run beside its output folder, so that a killed run can go on.

    Parameters
    ----------
    every : seconds between two states of a solve; more where writing would take over 2 % of the time.
    """

    every: Positive = 60.0


class Config(Options):
    """A whole configuration.

    Parameters
    ----------
    version : of this schema.
    data : what to read or simulate.
    unknown : the coefficients of a problem without maps; None if the unknown is the maps.
    terms : of the objective.
    solver : the algorithm.
    init : ``auto``, ``maps``, ``uniform`` or the path of a former ``result.h5``.
    precision : ``single`` (float32) or ``double`` (float64) iterates.
    engine : ``numpy``, ``numba`` (compiled kernels), ``cupy`` (kernels on a CUDA device: docs/gpu.md) or ``auto``:
        compiled where Numba is installed.
    threads : the most threads; None leaves it to the libraries.
    uncertainty : whether and how error bars are estimated.
    composition : atomic fractions of regions; None for none.
    checkpoint : how often the state of an unfinished run is saved; ``none`` for never.
    output : the output folder and its files.
    """

    version: Literal[1]
    data: DataOptions
    unknown: UnknownOptions | None = None
    terms: Annotated[list[Spec], Field(min_length=1)]
    solver: Spec = Spec(type=DEFAULT_SOLVER)
    init: str = "auto"
    precision: Literal["single", "double"] = "single"
    engine: Literal["auto", "numpy", "numba", "cupy"] = "auto"
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    uncertainty: UncertaintyOptions = UncertaintyOptions()
    composition: CompositionOptions | None = None
    checkpoint: CheckpointOptions | None = CheckpointOptions()
    output: OutputOptions = OutputOptions()

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _never(cls, value: Any) -> Any:
        return None if value == "none" else value

    @field_validator("init")
    @classmethod
    def _known_start(cls, init: str) -> str:
        if init in INIT_WORDS or init.lower().endswith(RESULT_SUFFIXES):
            return init
        near = suggestion(init, INIT_WORDS)
        tail = f"; {near}" if near.startswith("did") else ""
        raise ValueError(f"must be {', '.join(INIT_WORDS)} or the path of a result.h5, got '{init}'{tail}")

    @property
    def objective(self) -> Objective:
        """The specs of problem and solver."""
        from fusionkit.compose_problem import Objective  # most readers of a configuration do not need it

        labels = self.unknown.labels if self.unknown is not None else None
        return Objective(self.terms, self.solver, labels, self.precision, self.engine)

    @property
    def assessed(self) -> bool:
        """Whether error bars or a composition are requested."""
        return self.uncertainty.method != "none" or self.composition is not None


@dataclass(frozen=True)
class LoadedConfig:
    """A checked configuration and its origin."""

    config: Config
    folder: Path  # base of its relative paths: the config's folder, or the current one for a packaged config
    name: str  # of the config, without suffix
    raw: Mapping[str, Any]  # contents of the YAML file, overrides applied
    packaged: bool = False  # whether it is one of the packaged configs

    def path(self, text: str) -> Path:
        """A path of the config, absolute."""
        return (self.folder / Path(text).expanduser()).absolute()

    def output_folder(self, given: str | None = None) -> Path:
        """The output folder: ``given`` on the command line, or the config's, or ``runs/NAME`` in the current folder."""
        if given is not None:
            return Path(given)
        directory = self.config.output.directory
        return self.path(directory) if directory is not None else Path("runs") / self.name


@dataclass(frozen=True)
class Source:
    """The contents of a YAML file, not yet checked, and their origin."""

    raw: Mapping[str, Any]
    # folder, name, packaged: as in `LoadedConfig`
    folder: Path
    name: str
    packaged: bool = False


def packaged_configs() -> dict[str, str]:
    """The text of every packaged config by name, in alphabetical order."""
    folder = resources.files("fusionkit.configs")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda file: file.name)
    return {file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8") for file in files}


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> LoadedConfig:
    """Read and check a configuration.

    `UserError` if the file cannot be read, a key is unknown, missing or has a wrong value (options of terms, solver and
    phantom included), or two terms have the same name.

    Parameters
    ----------
    source : path of a YAML file, or the name of a packaged config.
    overrides : ``key.path=value`` each, see `fusionkit.config.overrides.override`.
    """
    return check_source(override_source(read_source(source), overrides))


def override_source(source: Source, overrides: Sequence[str], option: str = "--set") -> Source:
    """The source with ``key.path=value`` of each of ``overrides``, see `fusionkit.config.overrides.override`."""
    raw = override(source.raw, overrides, {"solver": {"type": DEFAULT_SOLVER}}, option)
    if any(one.partition("=")[0].strip() == "solver.type" for one in overrides) and isinstance(raw["solver"], dict):
        raw["solver"] = _known_options(raw["solver"], f"{option} solver.type")
    return replace(source, raw=raw)


def _known_options(solver: dict[str, Any], where: str) -> dict[str, Any]:
    """The solver without options that another one left; a warning names them."""
    name = str(solver.get("type"))
    known = {"type", *options_model(lookup("solvers", name, where)).model_fields}
    dropped = [key for key in solver if key not in known]
    if dropped:
        text = f"{where}: {name} has no {', '.join(dropped)}, which the config sets for another solver; left out"
        warnings.warn(text, FusionkitWarning, stacklevel=3)
    return {key: value for key, value in solver.items() if key in known}


def check_source(source: Source) -> LoadedConfig:
    """The configuration of one run; `UserError` as `load_config`."""
    raw, folder, name, packaged = source.raw, source.folder, source.name, source.packaged
    if "sweep" in raw:
        raise UserError("sweep", "is not part of a single run", "run all of its points with 'fusionkit sweep'")
    config = parse(Config, raw, "")
    if config.data.phantom is not None:
        phantom_options(config.data.phantom, "data.phantom")
    for index, step in enumerate(config.data.prepare):
        step_options(step, f"data.prepare[{index}]")
    for key, kind, spec in specs(config):
        _check_spec(kind, spec, key)
    _check_names(config)
    loaded = LoadedConfig(config, folder, name, raw, packaged)
    data_path = config.data.path
    if packaged and data_path is not None and not exists(loaded.path(data_path)):
        remedy = f"get the file and run: fusionkit run {name} --set data.path=FOLDER/{Path(data_path).name}"
        raise UserError("data.path", f"there is no file '{data_path}' in the current folder", remedy)
    return loaded


def specs(config: Config) -> Iterator[tuple[str, str, Spec]]:
    """Config key, kind and spec of every term and of the solver."""
    for index, term in enumerate(config.terms):
        yield f"terms[{index}]", "terms", term
    yield "solver", "solvers", config.solver


def checked_options(kind: str, spec: Spec, key: str) -> Options:
    """The options of a spec, validated against its model; `UserError` at ``key`` and below.

    A term with ``weight: auto`` has `fusionkit.weights.auto.PLACEHOLDER` here.
    """
    if isinstance(spec, Existing):
        return Options()
    spec = with_placeholder(spec, key) if kind == "terms" else spec
    return options_of(lookup(kind, spec.type, f"{key}.type"), spec.options, key)


def nested_specs(options: Options) -> Iterator[tuple[str, str, Spec]]:
    """The specs in options: field, kind and spec."""
    for field in type(options).model_fields:
        value = getattr(options, field)
        if isinstance(value, Spec) and field in NESTED:
            yield field, NESTED[field], value


def _check_spec(kind: str, spec: Spec, key: str) -> None:
    for field, inner_kind, inner in nested_specs(checked_options(kind, spec, key)):
        _check_spec(inner_kind, inner, f"{key}.{field}")


def _check_names(config: Config) -> None:
    """`UserError` if two terms share a name, before the data are read; `Problem` checks again."""
    first: dict[str, str] = {}
    for key, kind, spec in specs(config):
        name = checked_options(kind, spec, key).term_name(spec.type) if kind == "terms" else None
        if name in first:
            raise UserError(key, f"is called '{name}' like {first[name]}", "give one of the two a 'name' of its own")
        if name is not None:
            first[name] = key


def read_source(source: str | Path) -> Source:
    """The contents of a YAML file or a packaged config; `UserError` if it cannot be read."""
    text = str(source)
    is_name = isinstance(source, str) and Path(text).name == text and not text.lower().endswith(SUFFIXES)
    configs = packaged_configs()
    if is_name and text in configs:
        # a packaged config has no folder of its own: its paths start in the current one
        return Source(yamlio.parse(configs[text], f"packaged config {text}"), Path.cwd(), text, True)
    path = Path(source).expanduser()
    if not lexists(path):
        near = suggestion(path.stem, configs)
        remedy = near.replace("known: ", "the packaged configs are ") if near.startswith("known") else near
        problem = "there is no packaged config and no file of that name" if is_name else "there is no such file"
        raise UserError(text or "CONFIG", problem, remedy)
    try:
        return Source(yamlio.read(path), path.absolute().parent, path.stem)
    except UserError:
        if path.suffix.lower() in (*SUFFIXES, ""):
            raise
        remedy = f"write one for it: fusionkit inspect {text} --write-config my.yaml"
        raise UserError(text, "is a recording or another file, not a config", remedy) from None
