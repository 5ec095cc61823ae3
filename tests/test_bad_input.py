"""Bad input: exit status 2, one line with key or file and a remedy, and nothing left behind."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.cli import main
from fusionkit.config import yaml as yamlio
from fusionkit.config.overrides import override

RNG = np.random.default_rng(0)
ARRAYS: dict[str, Any] = {
    "H": RNG.uniform(1, 2, (8, 9)),
    "Fe": RNG.poisson(5, (8, 9)).astype(float),
    "O": RNG.poisson(3, (8, 9)).astype(float),
}
CONFIG: dict[str, Any] = {
    "version": 1,
    "data": {"path": "data.npz", "haadf": "H", "maps": {"Fe": "Fe", "O": "O"}, "normalize": "none"},
    "terms": [
        {"type": "haadf", "weight": 1.0, "gamma": 1.6, "z": "relative"},
        {"type": "poisson", "weight": 0.2, "epsilon": 0.1},
        {"type": "tv", "weight": 0.1},
        {"type": "nonnegative"},
    ],
    "solver": {"type": "chambolle_pock", "max_iterations": 3},
}


def lay_out(folder: Path, config: dict[str, Any] | str, arrays: dict[str, Any]) -> Path:
    """A folder with config and data; the path of the config."""
    np.savez(folder / "data.npz", **arrays)
    path = folder / "problem.yaml"
    path.write_text(config if isinstance(config, str) else yamlio.dump(config), encoding="utf-8")
    return path


def refuse(capsys: pytest.CaptureFixture[str], arguments: list[str], *words: str) -> str:
    """Run, check status, form and words, and return the line."""
    status = main(arguments)
    captured = capsys.readouterr()
    assert status == 2, captured.err
    assert captured.out == ""
    assert captured.err.startswith("fusionkit: ")
    assert captured.err.count("\n") == 1
    assert captured.err.endswith("\n")
    assert "Traceback" not in captured.err
    for word in words:
        assert word in captured.err
    return captured.err


def run_refused(capsys: pytest.CaptureFixture[str], config: Path, *words: str) -> None:
    """A run that must not change its folder."""
    before = sorted(config.parent.rglob("*"))
    refuse(capsys, ["run", str(config), "--output", str(config.parent / "out")], *words)
    assert sorted(config.parent.rglob("*")) == before


def test_the_base_config_runs(tmp_path: Path) -> None:
    assert main(["run", str(lay_out(tmp_path, CONFIG, ARRAYS)), "--output", str(tmp_path / "out"), "--quiet"]) == 0


TEXTS = [
    ("empty", "", ["problem.yaml", "is empty"]),
    ("list", "- a\n", ["problem.yaml", "holds a list, not a mapping"]),
    ("tab", "version: 1\ndata:\n\tpath: x\n", ["problem.yaml: line 3, column 1", "use spaces, not tabs"]),
    ("syntax", "version: 1\ndata: {path: [x}\n", ["problem.yaml: line 2, column ", "brackets"]),
    ("duplicate key", "version: 1\nversion: 1\n", ["problem.yaml: line 2, column 1", "'version'", "line 1", "remove"]),
    (
        "unsafe tag",
        "version: !!python/name:os.system\n",
        ["line 1, column 10", "'!!python/name:os.system'", "plain value"],
    ),
    ("number as key", "1: 2\n", ["line 1, column 1", "the key 1 is not text", "quotes"]),
    ("nothing but a version", "version: 1\n", ["data: is missing; add it: a mapping with the keys "]),
]


@pytest.mark.parametrize(("text", "words"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_yaml(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: list[str]) -> None:
    run_refused(capsys, lay_out(tmp_path, text, ARRAYS), *words)


DELETE = ...  # a value that prints alike in every process, since it becomes part of the test ids
VALUES: list[tuple[str, Any, list[str]]] = [
    ("version", 2, ["version: must be 1, got 2"]),
    ("version", DELETE, ["version: is missing; add it: 1"]),
    ("terms", DELETE, ["terms: is missing"]),
    ("terms", [], ["terms: must be a list that is not empty"]),
    ("terms", "tv", ["terms: must be a list", "got the text 'tv'"]),
    ("trems", [], ["trems: unknown key; did you mean 'terms'?"]),
    ("terms.0.gama", 1.6, ["terms[0].gama: unknown key; did you mean 'gamma'?"]),
    ("terms.0.type", DELETE, ["terms[0].type: is missing"]),
    ("terms.0.gamma", 0, ["terms[0].gamma: must be a number > 0 and <= 4 or a list, each entry a number, got 0"]),
    ("terms.0.gamma", -1.6, ["terms[0].gamma: must be a number > 0 and <= 4 or a list, each entry a number, got -1.6"]),
    ("terms.0.gamma", 4.1, ["terms[0].gamma: must be a number > 0 and <= 4 or a list, each entry a number, got 4.1"]),
    ("terms.0.gamma", np.nan, ["terms[0].gamma: must be a", "got nan"]),
    (
        "terms.0.gamma",
        "1.6",
        ["terms[0].gamma: must be a number > 0 and <= 4 or a list, each entry a number, got the text '1.6'"],
    ),
    ("terms.0.weight", np.nan, ["terms[0].weight: must be a finite number >= 0, got nan"]),
    ("terms.0.weight", np.inf, ["terms[0].weight: must be a finite number >= 0, got inf"]),
    ("terms.0.weight", -1, ["terms[0].weight: must be a number >= 0, got -1"]),
    ("terms.0.weight", "much", ["terms[0].weight: must be a number >= 0, got the text 'much'"]),
    ("terms.0.weight", True, ["terms[0].weight: must be a number >= 0, got true"]),
    ("terms.0.weight", None, ["terms[0].weight: must be a number >= 0, got nothing"]),
    ("terms.0.z", "relativ", ["terms[0].z: is 'relativ'; write relative, absolute, or"]),
    ("terms.0.z", {"Fe": 26}, ["terms[0].z", "O"]),
    ("terms.0.z", {"Fe": 26, "O": -8}, ["terms[0].z"]),
    ("terms.1.epsilon", -0.1, ["terms[1].epsilon: must be a number >= 0 or 'auto', got -0.1"]),
    ("terms.1.epsilon", np.inf, ["terms[1].epsilon: must be a finite number"]),
    ("terms.2.weight", -0.1, ["terms[2].weight: must be a number >= 0, got -0.1"]),
    ("terms.2.type", "tvv", ["terms[2].type: there is no term 'tvv'; did you mean 'tv'?"]),
    ("terms.2.type", "TV", ["there is no term 'TV'; did you mean 'tv'?"]),
    ("solver.tol", 1, ["solver.tol: unknown key; did you mean 'tolerance'?"]),
    ("terms.2", 5, ["terms[2]: must be a name or a mapping with 'type', got 5"]),
    ("terms.3", "tv", ["terms[3]: is called 'tv' like terms[2]; give one of the two a 'name' of its own"]),
    ("terms.3", {"type": "l1", "name": "haadf"}, ["terms[3]: is called 'haadf' like terms[0]"]),
    ("terms.3", {"type": "pyproximal", "operator": "L1", "name": "tv"}, ["terms[3]: is called 'tv' like terms[2]"]),
    ("terms.3", {"type": "penalty", "functional": "l12"}, ["terms[3].functional.type: there is no functional 'l12'"]),
    (
        "terms.3",
        {"type": "penalty", "functional": "l1", "operator": "gradiant"},
        ["terms[3].operator.type: there is no operator 'gradiant'; did you mean 'gradient'?"],
    ),
    ("terms.3", {"type": "least_squares", "data": "hadf"}, ["terms[3].data", "'hadf'", "did you mean 'haadf'?"]),
    ("solver.type", "chambolle_pok", ["solver.type: there is no solver", "did you mean 'chambolle_pock'?"]),
    ("solver.max_iterations", 0, ["solver.max_iterations: must be a whole number >= 1, got 0"]),
    ("solver.max_iterations", 2.5, ["solver.max_iterations: must be a whole number >= 1, got 2.5"]),
    ("solver.tolerance", -1, ["solver.tolerance: must be a number >= 0, got -1"]),
    ("solver.max_iteration", 5, ["solver.max_iteration: unknown key; did you mean 'max_iterations'?"]),
    ("precision", "half", ["precision: must be 'single' or 'double', got the text 'half'"]),
    ("threads", 0, ["threads: must be a whole number >= 1 and <= 4096, got 0"]),
    ("init", "atuo", ["init: must be auto, maps, uniform or the path", "did you mean 'auto'?"]),
    ("init", "none.h5", ["none.h5"]),
    ("output", "out", ["output: must be a mapping with the keys directory, figures"]),
    ("data", 5, ["data: must be a mapping"]),
    ("data.pth", "x", ["data.pth: unknown key; did you mean 'path'?"]),
    ("data.path", "none.npz", ["data.path: there is no file", "none.npz"]),
    ("data.path", ".", ["data.path", "folder"]),
    ("data.reader", "npzz", ["data.reader: there is no reader 'npzz'; did you mean 'npz'?"]),
    ("data.haadf", "h", ["data.haadf", "'h'", "did you mean 'H'?"]),
    ("data.maps.Fe", "Fee", ["data.maps.Fe", "'Fee'", "did you mean 'Fe'?"]),
    ("data.maps.Fx", "Fe", ["data.maps: 'Fe' is the map of both Fe and Fx"]),
    ("data.maps", {"Fe": "Fe", "Ox": "O"}, ["data.maps.Ox", "'Ox'"]),
    ("data.maps", ["Fe", "O", "Fe"], ["data.maps: 'Fe' is listed twice"]),
    ("data.maps", {}, ["data.maps: must be a mapping that is not empty"]),
    ("data.normalize", "min-max", ["data.normalize: must be", "did you mean 'minmax'?"]),
]


def changed(key: str, value: Any) -> dict[str, Any]:
    """The base config with one value changed or removed."""
    config = copy.deepcopy(CONFIG)
    *above, last = [int(part) if part.isdecimal() else part for part in key.split(".")]
    container: Any = config
    for part in above:
        container = container[part]
    if value is DELETE:
        del container[last]
    else:
        container[last] = value
    return config


@pytest.mark.parametrize(("key", "value", "words"), VALUES, ids=[f"{key}={value}"[:50] for key, value, _ in VALUES])
def test_value(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: Any, words: list[str]) -> None:
    run_refused(capsys, lay_out(tmp_path, changed(key, value), ARRAYS), *words)


def with_value(name: str, index: tuple[int, int], value: Any, dtype: Any = float) -> dict[str, Any]:
    """The base arrays with one value changed."""
    array = ARRAYS[name].astype(dtype)
    array[index] = value
    return {**ARRAYS, name: array}


ONE_PIXEL = {name: array[:1, :1] for name, array in ARRAYS.items()}
SHAPES = [
    ("absent haadf", {"Fe": ARRAYS["Fe"], "O": ARRAYS["O"]}, "none", ["data.haadf", "'H'", "Fe", "O"]),
    ("absent map", {"Fe": ARRAYS["Fe"], "H": ARRAYS["H"]}, "none", ["data.maps.O", "'O'"]),
    ("3-D haadf", {**ARRAYS, "H": np.ones((2, 8, 9))}, "none", ["data.haadf", "(2, 8, 9)", "2-D"]),
    ("1-D map", {**ARRAYS, "Fe": np.ones(8)}, "none", ["data.maps.Fe", "(8,)", "2-D"]),
    ("another shape", {**ARRAYS, "O": np.ones((9, 8))}, "none", ["data.maps.O", "(9, 8)", "(8, 9)"]),
    ("zero map", {**ARRAYS, "O": np.zeros((8, 9))}, "minmax", ["data.maps.O", "normalize"]),
    ("constant map", {**ARRAYS, "O": np.full((8, 9), 2.0)}, "minmax", ["data.maps.O", "normalize"]),
    ("constant haadf", {**ARRAYS, "H": np.full((8, 9), 2.0)}, "minmax", ["data.haadf", "normalize"]),
    ("complex", {**ARRAYS, "H": ARRAYS["H"] + 1j}, "none", ["data.haadf", "complex"]),
    ("text", {**ARRAYS, "H": np.full((8, 9), "a")}, "none", ["data.haadf"]),
    ("NaN", with_value("Fe", (3, 4), np.nan), "none", ["data.maps.Fe", "1 ", "(3, 4)"]),
    ("infinite", with_value("H", (0, 5), np.inf), "none", ["data.haadf", "1 ", "(0, 5)"]),
    ("too small", {**ARRAYS, "O": 1e-300 * ARRAYS["O"]}, "none", ["data.maps", "e-300", "rescale it"]),
    ("too large", {**ARRAYS, "H": 1e300 * ARRAYS["H"]}, "none", ["data.haadf", "e+30", "rescale it"]),
    (
        "negative map",
        with_value("Fe", (2, 1), -0.5),
        "none",
        ["terms[1]", "1 value", "[2, 1] of Fe", "negative", "gaussian"],
    ),
    ("one pixel", ONE_PIXEL, "none", ["data", "pixel"]),
    ("no pixel", {name: array[:0] for name, array in ARRAYS.items()}, "none", ["data"]),
]


@pytest.mark.parametrize(("arrays", "normalize", "words"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_arrays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arrays: dict[str, Any], normalize: str, words: list[str]
) -> None:
    run_refused(capsys, lay_out(tmp_path, changed("data.normalize", normalize), arrays), *words)


def test_duplicate_element(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = yamlio.dump(CONFIG).replace("    O: O\n", "    O: O\n    Fe: O\n")
    run_refused(capsys, lay_out(tmp_path, text, ARRAYS), "the key 'Fe' is already", "remove one of the two")


DAMAGES: list[tuple[str, str, Callable[[bytes], bytes]]] = [
    ("empty", "data.npz", lambda content: b""),
    ("truncated", "data.npz", lambda content: content[: len(content) // 2]),
    ("text", "data.npz", lambda content: b"element,counts\nFe,3\n"),
    ("no format", "data.xyz", lambda content: content),
    ("no HDF5", "data.h5", lambda content: content),
    ("empty HDF5", "data.h5", lambda content: b""),
]


@pytest.mark.parametrize(("name", "damage"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_damaged_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: Callable[[bytes], bytes]
) -> None:
    config = lay_out(tmp_path, changed("data.path", name), ARRAYS)
    (tmp_path / name).write_bytes(damage((tmp_path / "data.npz").read_bytes()))
    run_refused(capsys, config, name)


PHANTOM = {"version": 1, "data": {"phantom": {"preset": "cos_nanoparticle", "size": 16}}, "terms": ["haadf"]}


@pytest.mark.parametrize("size", [200_000, 10**12, 10**30])
def test_memory_is_refused_before_it_is_allocated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    config = override(PHANTOM, [f"data.phantom.size={size}"], {})
    run_refused(capsys, lay_out(tmp_path, config, ARRAYS), "data.phantom", "GiB of memory", "GiB are available")


PHANTOMS: list[tuple[str, Any, list[str]]] = [
    ("size", -1, ["data.phantom.size"]),
    ("size", 1, ["data.phantom.size"]),
    ("size", 16.5, ["data.phantom.size: must be a whole number"]),
    ("preset", "cos", ["data.phantom.preset", "cos_nanoparticle"]),
    ("siez", 16, ["data.phantom.siez: unknown key; did you mean 'size'?"]),
]


@pytest.mark.parametrize(("key", "value", "words"), PHANTOMS)
def test_phantom(tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: Any, words: list[str]) -> None:
    config = override(PHANTOM, [f"data.phantom.{key}={value}"], {})
    run_refused(capsys, lay_out(tmp_path, config, ARRAYS), *words)


def test_output_that_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, out = lay_out(tmp_path, CONFIG, ARRAYS), tmp_path / "out"
    assert main(["run", str(config), "--output", str(out), "--quiet"]) == 0
    former = (out / "result.h5").read_bytes()
    refuse(capsys, ["run", str(config), "--output", str(out)], str(out), "--overwrite")
    assert (out / "result.h5").read_bytes() == former
    assert main(["run", str(config), "--output", str(out), "--quiet", "--overwrite"]) == 0


def test_output_below_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = lay_out(tmp_path, CONFIG, ARRAYS)
    out = tmp_path / "data.npz" / "out"
    refuse(capsys, ["run", str(config), "--output", str(out)], str(out), "choose another folder")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the super-user may write everywhere")
def test_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = lay_out(tmp_path, CONFIG, ARRAYS)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    refuse(capsys, ["run", str(config), "--output", str(closed / "out")], "closed", "choose another folder")


COMMANDS = [
    (["run"], ["run: ", "CONFIG", "see 'fusionkit run --help'"]),
    (["rn"], ["command line: ", "'rn'", "run", "see 'fusionkit --help'"]),
    ([], ["command line: ", "COMMAND"]),
    (["run", "cos_nanoparticle", "--sett", "a=1"], ["--sett"]),
    (["run", "cos_nanopartcle"], ["cos_nanopartcle: there is no packaged config", "did you mean 'cos_nanoparticle'?"]),
    (["run", "none.yaml"], ["none.yaml: there is no such file"]),
    (["run", "."], [".: is a folder"]),
    (["validate", "none/none.yaml"], ["none/none.yaml: there is no such file"]),
    (
        ["run", "cos_nanoparticle", "--set", "terms.tv.weight"],
        ["--set terms.tv.weight: is not an assignment", "key.path=value"],
    ),
    (["run", "cos_nanoparticle", "--set", "terms.tvv.weight=1"], ["'terms' has no 'tvv'", "did you mean 'tv'?"]),
    (["run", "cos_nanoparticle", "--set", "terms.7.weight=1"], ["'terms' has no entry 7"]),
    (["run", "cos_nanoparticle", "--set", "terms.tv.weight=[1"], ["--set terms.tv.weight: line 1, column"]),
    (["run", "cos_nanoparticle", "--set", "terms.tv.weight=x"], ["terms[2].weight: must be a number", "the text 'x'"]),
    (["run", "cos_nanoparticle", "--set", "solver.tolerence=1"], ["solver.tolerence: unknown key", "'tolerance'?"]),
    (["list", "term"], ["list: ", "'term'", "terms"]),
    (["simulate", "cos", "--output", "x.npz"], ["'cos'", "cos_nanoparticle"]),
    (["simulate"], ["simulate: ", "--output"]),
]


@pytest.mark.parametrize(("arguments", "words"), COMMANDS, ids=[" ".join(row[0])[:60] for row in COMMANDS])
def test_command_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse(capsys, arguments, *words)
    assert list(tmp_path.iterdir()) == []


def test_missing_recording_of_a_packaged_config_says_how_to_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    refuse(
        capsys, ["run", "dysco3"], "data.path", "dysco3.npz", "fusionkit run dysco3 --set data.path=FOLDER/dysco3.npz"
    )


@pytest.mark.parametrize("text", ["version: 1\nversion: 1\n", "version: 1\ndata: {path: none.npz}\nterms: [tv]\n"])
def test_process_ends_with_status_2_and_one_line(tmp_path: Path, text: str) -> None:
    config = lay_out(tmp_path, text, ARRAYS)
    command = [sys.executable, "-m", "fusionkit", "run", str(config)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("fusionkit: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
