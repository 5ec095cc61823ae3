"""The resolved configuration, with every default written out: it gives the same maps from any folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fusionkit.config import INIT_WORDS, LoadedConfig, checked_options, nested_specs
from fusionkit.data.options import Mask, Source
from fusionkit.data.phantoms import phantom_options
from fusionkit.data.prepare.spec import step_options
from fusionkit.options import Spec
from fusionkit.weights.auto import wants_auto


def resolved(loaded: LoadedConfig) -> dict[str, Any]:
    """The configuration as plain YAML types: every default filled in, paths of inputs absolute.

    The output folder is left out, since a second run must not overwrite the first.
    """
    config = loaded.config
    data = _plain(config.data)
    data = absolute_paths(data, loaded)
    if config.data.phantom is not None:
        options = phantom_options(config.data.phantom, "data.phantom")
        data["phantom"] = {"preset": config.data.phantom.preset, **_plain(options)}
    data["prepare"] = [
        {"step": spec.step, **_plain(step_options(spec, f"data.prepare[{index}]"))}
        for index, spec in enumerate(config.data.prepare)
    ]
    full = {
        "version": config.version,
        "data": data,
        "unknown": _plain(config.unknown),
        "terms": [_with_defaults("terms", term, f"terms[{index}]") for index, term in enumerate(config.terms)],
        "solver": _with_defaults("solvers", config.solver, "solver"),
        "init": config.init if config.init in INIT_WORDS else str(loaded.path(config.init)),
        "precision": config.precision,
        "engine": config.engine,
        "threads": config.threads,
        "uncertainty": _plain(config.uncertainty),
        "composition": _plain(config.composition),
        "output": {key: value for key, value in _plain(config.output).items() if key != "directory"},
    }
    return {key: value for key, value in full.items() if value is not None}


def absolute_paths(data: Mapping[str, Any], loaded: LoadedConfig) -> dict[str, Any]:
    """The config's ``data`` with absolute paths."""

    def absolute(source: Any) -> Any:
        if not isinstance(source, Mapping) or not isinstance(source.get("path"), str):
            return source
        return {**source, "path": str(loaded.path(source["path"]))}

    result = absolute(data)
    for key in ("maps", "spectra", "mask"):
        if isinstance(result.get(key), Mapping):
            result = {**result, key: {name: absolute(source) for name, source in result[key].items()}}
    return {**result, "haadf": absolute(result["haadf"])} if "haadf" in result else dict(result)


def _with_defaults(kind: str, spec: Spec, key: str) -> dict[str, Any]:
    """A spec with all of its options, nested ones included."""
    options = checked_options(kind, spec, key)
    filled = _plain(options)
    for field, inner_kind, inner in nested_specs(options):
        filled[field] = _with_defaults(inner_kind, inner, f"{key}.{field}")
    if kind == "terms" and wants_auto(spec):  # not chosen yet
        filled["weight"] = _plain(spec.options["weight"])
    return {"type": spec.type, **filled}


def _plain(value: Any) -> Any:
    """The value as mappings, lists, texts, numbers and None."""
    if isinstance(value, Source | Mask) and value.short is not None:
        return value.short
    if isinstance(value, Mask):
        return value.model_dump(exclude_none=True)
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        named = {info.alias or name: getattr(value, name) for name, info in fields.items()}
        return _plain(named | (value.model_extra or {}))
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, Path) else value
