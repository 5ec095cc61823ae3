"""The comparison of runs: its table, its page, its refusals and its notes on runs that are not comparable."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from reports import NUMPY, read

from fusionkit.cli import main
from fusionkit.errors import UserError
from fusionkit.report import comparison as comparing
from fusionkit.report.comparison import compare, differences
from fusionkit.report.comparison_page import comparison_page
from fusionkit.report.html import render
from fusionkit.report.metrics import nrmse, psnr, ssim
from fusionkit.results.saved import read_runs
from fusionkit.results.summary import versions

SIZE = "data.phantom.size=32"
RUNS = {
    "first": ("cos_nanoparticle", SIZE),
    "admm": ("cos_nanoparticle", SIZE, "solver.type=admm"),
    "smooth": ("cos_nanoparticle", SIZE, "terms.tv.weight=1"),
    "seed": ("cos_nanoparticle", SIZE, "data.phantom.seed=1"),
    "two": ("cos_nanoparticle", SIZE, "data.maps={O: O, Co: Co}"),
    "small": ("cos_nanoparticle", "data.phantom.size=16"),
    "line": ("linear_regression",),
    "films": ("cos_nanoparticle", "data.phantom={preset: films, size: 32}", "data.maps={Ga: Ga, In: In}"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs")
    for name, (config, *changes) in RUNS.items():
        command = ["run", config, "--quiet", "--output", str(home / name)]
        for change in (NUMPY, "output.figures=false", "output.report=false", *changes):
            command += ["--set", change]
        assert main(command) == 0
    return home


def lines(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The table by its first column, and the notes."""
    printed = capsys.readouterr().out.splitlines()
    table = [line for line in printed if not line.startswith(("note: ", "wrote "))]
    cells = [line.split("  ") for line in table]
    rows = [[cell.strip() for cell in row if cell.strip()] for row in cells]
    return {row[0]: row[1:] for row in rows[1:]}, [line for line in printed if line not in table]


def test_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(folder / "first"), str(folder / "admm" / "result.h5")]) == 0
    rows, notes = lines(capsys)
    summaries = [json.loads((folder / name / "summary.json").read_text()) for name in ("first", "admm")]
    assert rows["status"] == ["converged", "converged"]
    assert rows["iterations"] == [str(summary["iterations"]) for summary in summaries]
    assert [float(cell) for cell in rows["tv"]] == pytest.approx([summary["terms"]["tv"] for summary in summaries])
    assert [float(cell) for cell in rows["objective"]] == pytest.approx([s["objective"] for s in summaries])
    assert {"seconds", "optimality", "haadf", "poisson", "NRMSE", "PSNR (dB)", "SSIM"} <= set(rows)
    assert notes == ["note: --output FILE.html writes a page with the maps side by side"]


NOTES = {
    ("first", "smooth"): ["The objectives of first and smooth are not comparable: terms.tv.weight 0.3 against 1."],
    ("first", "seed"): ["The objectives of first and seed are not comparable: the data differ."],
    ("first", "two"): [
        "The objectives of first and two are not comparable: the data differ.",
        "Only the maps of Co, O are shown side by side: not every run has S.",
    ],
    ("first", "small"): [
        "The objectives of first and small are not comparable: the data differ.",
        "The maps are not shown side by side: first (3 × 32 × 32) and small (3 × 16 × 16) are of different sizes.",
    ],
    ("two", "films"): [
        "The objectives of two and films are not comparable: the data differ.",
        "The maps are not shown side by side: the runs have no element in common.",
    ],
    ("first", "line"): [
        "The objectives of first and line are not comparable: "
        "terms: haadf, poisson, tv, nonnegative against least_squares.",
        "The maps are not shown side by side: first (3 × 32 × 32) and line (2) are of different sizes.",
    ],
    ("first", "admm"): [],
}


@pytest.mark.parametrize("pair", NOTES, ids="-".join)
def test_what_is_not_comparable(folder: Path, pair: tuple[str, str]) -> None:
    found = compare(read_runs([folder / name for name in pair]))
    assert list(found.notes) == NOTES[pair]
    assert found.one_objective == (not any("objectives" in note for note in found.notes))
    page = read(render(comparison_page(found)))
    assert [each["text"] for each in page.content["diagnostics"]] == list(found.notes)
    charts = [chart["title"] for chart in page.content["sections"][0]["charts"]]
    assert ("Objective above the lowest of all" in charts) == found.one_objective
    assert bool(page.content["panels"]) == bool(found.maps.elements)


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_no_terminal_breaks_a_number(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    command = ["compare", *(str(folder / name) for name in ("first", "admm", "smooth", "seed", "two"))]
    assert main(command) == 0
    piped = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(command) == 0
    shown = capsys.readouterr().out
    words = [[word for word in text.split() if word[0].isdigit()] for text in (piped, shown)]
    assert sorted(words[0]) == sorted(words[1])
    table = [line for line in shown.splitlines() if not line.startswith(("note: ", "The ", "Only "))]
    assert max(map(len, table)) <= columns


SIDE_BY_SIDE = [  # runs, those whose maps are shown, the note on the others
    ("first small admm", "first admm", "small (16 × 16 pixels of 3.125 nm)"),
    ("small first admm", "first admm", "small (16 × 16 pixels of 3.125 nm)"),
    ("line first admm small", "first admm", "line (no maps), small (16 × 16 pixels of 3.125 nm)"),
    ("small first tiny seed", "small tiny", "first (32 × 32 pixels of 1.5625 nm), seed (32 × 32 pixels of 1.5625 nm)"),
    ("first finer admm", "first admm", "finer (32 × 32 pixels of 0.125 nm)"),
    ("first unknown admm", "first admm", "unknown (32 × 32 pixels of unknown size)"),
    ("first finer small", "first finer", "small (16 × 16 pixels)"),
    ("first small", "", ""),
    ("line", "", ""),
]


@pytest.mark.parametrize(("names", "shown", "others"), SIDE_BY_SIDE, ids=[row[0] for row in SIDE_BY_SIDE])
def test_maps_that_fit_together_are_shown(folder: Path, names: str, shown: str, others: str) -> None:
    first, small, *rest = read_runs([folder / name for name in ("first", "small", "admm", "seed", "line")])
    made = {
        "tiny": replace(small, name="tiny"),
        "finer": replace(first, name="finer", saved=replace(first.saved, pixel_size=0.125)),
        "unknown": replace(first, name="unknown", saved=replace(first.saved, pixel_size=None)),
    }
    known = {run.name: run for run in (first, small, *rest)} | made
    found = compare(tuple(known[name] for name in names.split()))
    assert [run.name for run in found.maps.runs] == shown.split()
    assert [run.name for run in found.runs] == names.split()
    assert all(len(row) == 1 + len(names.split()) for row in found.rows)
    said = [note for note in found.notes if "on other pixels" in note]
    assert len(said) == bool(others)
    assert all(note.endswith(f"are shown side by side, not those on other pixels: {others}.") for note in said)
    page = comparison_page(found)
    maps = [layer.name for panel in page.panels[:1] for layer in panel.layers]
    wanted = shown.split()
    assert [name for name in maps if name in names.split()] == wanted
    assert [name for name in maps if "−" in name] == [f"{name} − {wanted[0]}" for name in wanted[1:]]
    reference = wanted[0] if wanted else names.split()[0]
    assert page.subtitle.endswith(f"differences are taken against {reference}")
    read(render(page))


def test_page(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    command = ["compare", *(str(folder / name) for name in ("first", "admm", "two")), "--output", str(out)]
    assert main(command) == 0
    page = read(out.read_text(encoding="utf-8"))
    runs = read_runs([folder / name for name in ("first", "admm", "two")])
    assert [panel["label"] for panel in page.content["panels"]] == ["Co", "O"]
    names = [layer["name"] for layer in page.content["panels"][1]["layers"]]
    assert names == ["first", "admm", "two", "raw", "truth", "admm − first", "two − first"]
    for index, run in enumerate(runs):  # each run's own map of the element, whatever its order
        oxygen = run.saved.maps["O"]
        atol = float(np.ptp(oxygen)) / 4000
        np.testing.assert_allclose(page.image(f"O {index}"), oxygen, rtol=0, atol=atol)
    assert page.content["side_by_side"]
    assert main(command) == 2
    assert main([*command, "--overwrite"]) == 0


def test_runs_of_other_data_and_pixels_say_so(folder: Path) -> None:
    first, seed = read_runs([folder / "first", folder / "seed"])
    page = comparison_page(compare((first, seed)))
    names = [layer.name for layer in page.panels[0].layers]
    assert "raw of first" in names
    assert "raw" not in names
    assert page.field_width == pytest.approx(32 * (first.saved.pixel_size or 0))
    assert page.units == first.saved.units is not None
    finer = replace(seed, saved=replace(seed.saved, pixel_size=0.125))
    found = compare((first, finer))
    page = comparison_page(found)
    assert (page.field_width, page.units) == (None, None)
    said = [note for note in found.notes if "scale bar" in note]
    assert len(said) == 1
    assert "seed (0.125 nm) differ in size" in said[0]
    assert said[0] in [each.text for each in page.diagnostics]


def test_versions_name_the_optional_libraries_that_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("rsciio", "exspy", "hyperspy", "skimage"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    plain = versions()
    assert not {"rosettasciio", "exspy", "hyperspy", "scikit-image"} & set(plain)
    for module in ("rsciio", "skimage"):
        monkeypatch.setitem(sys.modules, module, ModuleType(module))
    assert set(versions()) - set(plain) == {"rosettasciio", "scikit-image"}
    assert versions()["scikit-image"] == version("scikit-image")


def test_without_scikit_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "has_ssim", lambda: False)
    found = compare(read_runs([folder / "first", folder / "admm"]))
    assert found.notes == ("SSIM needs scikit-image: pip install scikit-image.",)
    assert "SSIM" not in [row[0] for row in found.rows]


def _damaged(home: Path, folder: Path) -> list[str]:
    broken = folder / "broken"
    broken.mkdir()
    (broken / "result.h5").write_bytes((home / "first/result.h5").read_bytes())
    (broken / "summary.json").write_text("{")
    return [str(home / "first"), str(broken)]


WRONG = {
    "one run": (lambda home, _: [str(home / "first")], "needs at least two runs"),
    "twice": (lambda home, _: [str(home / "first"), str(home / "admm/../first")], "is named twice"),
    "no folder": (lambda home, _: [str(home / "first"), str(home / "nothing")], "there is no such folder"),
    "no run": (lambda home, folder: [str(home / "first"), str(folder)], "holds no run: it has no result.h5; name"),
    "damaged": (_damaged, "is not JSON"),
    "suffix": (lambda home, _: [str(home / "first"), str(home / "admm"), "--output", "x.pdf"], "end it with .html"),
    "no place": (
        lambda home, folder: [str(home / "first"), str(home / "admm"), "--output", str(folder / "a/b.html")],
        "there is no folder",
    ),
}


def _copy(home: Path, folder: Path, summary: str) -> Path:
    """A run with another summary."""
    copy = folder / "copy"
    copy.mkdir()
    (copy / "result.h5").write_bytes((home / "first/result.h5").read_bytes())
    (copy / "summary.json").write_text(summary, encoding="utf-8")
    return copy


KEYS = ("iterations", "objective", "optimality", "seconds", "seconds.solve", "terms", "terms.tv", "weights_auto")
VALUES = ('"text"', "true", "[1]", "[]", '{"a": []}', "3", "1e999", "-Infinity", "NaN", "1" + "0" * 400, "null", "0.5")
NUMBERS = ("null", "0.5", "3")
SOUND = {key: () if key in ("seconds", "terms", "weights_auto") else NUMBERS for key in KEYS}


@pytest.mark.parametrize("key", KEYS)
def test_a_summary_of_wrong_types_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    first, _, last = key.partition(".")
    copy = _copy(folder, tmp_path, "{}")
    for value in VALUES:
        text = f'{{"{first}": {{"{last}": {value}}}}}' if last else f'{{"{first}": {value}}}'
        (copy / "summary.json").write_text(text)
        status = main(["compare", str(folder / "first"), str(copy)])
        said = capsys.readouterr().err
        assert status == (0 if value in SOUND[key] else 2), (value, said)
        if status:
            assert said.count("\n") == 1
            assert f"{copy / 'summary.json'}: was not written by fusionkit: '{first}" in said


@pytest.mark.parametrize("text", ["", "[]", "3", "null", '"text"', "{", "[" * 100_000, '{"iterations": ' + "1" * 5000])
def test_a_summary_that_is_none_is_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    copy = _copy(folder, tmp_path, text)
    assert main(["compare", str(copy), str(folder / "first")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{copy / 'summary.json'}: " in said


def test_the_files_of_a_sweep_are_no_runs(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "admm"):
        (tmp_path / name).symlink_to(folder / name)
    for name in ("index.html", "sweep.yaml", "table.csv"):
        (tmp_path / name).touch()
    assert main(["compare", *map(str, sorted(tmp_path.iterdir()))]) == 0
    assert "admm" in capsys.readouterr().out
    (tmp_path / "sweep.yaml").unlink()
    assert main(["compare", *map(str, sorted(tmp_path.iterdir()))]) == 2
    said = capsys.readouterr().err
    assert (
        said == f"fusionkit: {tmp_path / 'index.html'}: is a file, not the output folder of a run; "
        "name the folder of a run\n"
    )


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str) -> None:
    arguments, says = WRONG[case]
    assert main(["compare", *arguments(folder, tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert says in error


def test_runs_of_one_name_are_told_apart(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "first"
    other.symlink_to(folder / "admm")  # resolves to another name: no clash
    assert [run.name for run in read_runs([folder / "first", other])] == ["first", "admm"]
    with pytest.raises(UserError, match="named twice"):
        read_runs([folder / "admm", other])


def test_differences() -> None:
    first = [{"type": "haadf", "gamma": 1.7, "z": {"Co": 27}}, {"type": "tv", "name": "edges", "weight": 0.3}]
    second = [{"type": "haadf", "gamma": 1.6, "z": "relative"}, {"type": "tv", "name": "edges", "weight": 0.3}]
    assert differences(first, second, "terms") == [
        "terms.haadf.gamma 1.7 against 1.6",
        "terms.haadf.z {'Co': 27} against relative",
    ]
    assert differences(first, first, "terms") == []


def test_metrics() -> None:
    from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

    rng = np.random.default_rng(0)
    truth = rng.random((2, 16, 16))
    x = truth + 0.1 * rng.standard_normal(truth.shape)
    assert nrmse(x, truth) == pytest.approx(normalized_root_mse(truth, x))
    assert psnr(x, truth) == pytest.approx(peak_signal_noise_ratio(truth, x, data_range=float(np.ptp(truth))))
    assert ssim(truth, truth) == pytest.approx(1.0)
    assert 0.5 < ssim(x, truth) < 1.0
    assert nrmse(2.0 * truth, truth) == pytest.approx(1.0)  # nothing is rescaled
    flat = np.ones_like(truth)
    assert math.isnan(psnr(x, flat))
    assert math.isnan(ssim(x, flat))
    assert math.isnan(ssim(x[:, :5], truth[:, :5]))
    assert math.isnan(nrmse(x, np.zeros_like(x)))
    assert math.isinf(psnr(truth, truth))


def test_equal_runs_do_not_hide_the_differences_of_others(folder: Path, tmp_path: Path) -> None:
    from shutil import copytree

    copies = [copytree(folder / "first", tmp_path / name) for name in ("first", "same")]
    runs = read_runs([*copies, folder / "smooth"])
    page = comparison_page(compare(runs))
    limits = [layer.limits for layer in page.panels[0].layers if "−" in layer.name]
    assert len(limits) == 2
    assert limits[0] == limits[1]
    assert abs(limits[0][1]) != 1.0
