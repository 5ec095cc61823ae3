"""Configurations: overrides, packaged ones by name, paths, and the resolved form that runs again."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from fusionkit.config import load_config, packaged_configs
from fusionkit.config import yaml as yamlio
from fusionkit.config.overrides import override
from fusionkit.config.resolved import resolved
from fusionkit.errors import FusionkitWarning, UserError

RAW: dict[str, Any] = {
    "version": 1,
    "data": {"phantom": {"preset": "cos_nanoparticle", "size": 16}},
    "terms": [
        {"type": "haadf", "gamma": 1.6},
        "nonnegative",
        {"type": "tv", "name": "smoothness", "weight": 0.1},
        {"type": "l1", "weight": 1e-3},
        {"type": "l1", "name": "second", "operator": "gradient", "weight": 2},
    ],
}
OVERRIDES: list[tuple[str, list[Any], Any]] = [
    ("terms.0.gamma=1.7", ["terms", 0, "gamma"], 1.7),
    ("terms[0].gamma=1.7", ["terms", 0, "gamma"], 1.7),
    ("terms.haadf.gamma=1.7", ["terms", 0, "gamma"], 1.7),
    ("terms.smoothness.weight=1e-3", ["terms", 2, "weight"], 0.001),
    ("terms.tv.weight=2", ["terms", 2, "weight"], 2),
    ("terms.second.weight=2", ["terms", 4, "weight"], 2),
    ("terms.second.operator.edge=zero", ["terms", 4, "operator"], {"type": "gradient", "edge": "zero"}),
    ("terms.nonnegative.name=sign", ["terms", 1], {"type": "nonnegative", "name": "sign"}),
    ("terms.tv=nonnegative", ["terms", 2], "nonnegative"),
    ("solver.tolerance=1e-3", ["solver"], {"type": "auto", "tolerance": 0.001}),
    ("solver=admm", ["solver"], "admm"),
    ("data.maps={Fe: Fe, No: No}", ["data", "maps"], {"Fe": "Fe", "No": "No"}),
    ("data.maps.No=No", ["data", "maps"], {"No": "No"}),
    ("output.figures=false", ["output"], {"figures": False}),
    ("init=maps", ["init"], "maps"),
    ("init=former/result.h5", ["init"], str(Path("former/result.h5").absolute())),
    ("data.path=here.npz", ["data", "path"], str(Path("here.npz").absolute())),
    ("data.haadf=a=b", ["data", "haadf"], "a=b"),
]
DEFAULTS = {"solver": {"type": "auto"}}


@pytest.mark.parametrize(("assignment", "place", "value"), OVERRIDES, ids=[row[0] for row in OVERRIDES])
def test_override(assignment: str, place: list[Any], value: Any) -> None:
    before = copy.deepcopy(RAW)
    found: Any = override(RAW, [assignment], DEFAULTS)
    for part in place:
        found = found[part]
    assert found == value
    assert before == RAW


def test_a_source_that_is_a_name_alone_may_be_given_more() -> None:
    raw = {"data": {"path": "a.npz", "haadf": "ADF", "maps": ["Fe", "O"]}}
    sets = ["data.haadf.path=b.npz", "data.maps.Fe.scale=2", "data.maps.O.path=c.npz"]
    assert override(raw, sets, {})["data"] == {
        "path": "a.npz",
        "haadf": {"signal": "ADF", "path": str(Path("b.npz").absolute())},
        "maps": {"Fe": {"signal": "Fe", "scale": 2}, "O": {"signal": "O", "path": str(Path("c.npz").absolute())}},
    }


WRONG_OVERRIDES = [
    ("terms.l1.weight=1", "'l1' names 2 entries of 'terms'; use the index"),
    ("terms.5.weight=1", "'terms' has no entry 5; its entries are 0 to 4"),
    ("terms.smothness.weight=1", "'terms' has no 'smothness'; did you mean 'smoothness'?"),
    ("version.a=1", "'version' is 1; it has no keys below it"),
    ("terms..a=1", "is not a key path"),
    ("terms", "is not an assignment; write --set key.path=value"),
    ("a=!!python/name:os.system", "the tag '!!python/name:os.system' is not allowed"),
]


@pytest.mark.parametrize(("assignment", "said"), WRONG_OVERRIDES, ids=[row[0] for row in WRONG_OVERRIDES])
def test_wrong_override(assignment: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        override(RAW, [assignment], DEFAULTS)
    assert str(caught.value).startswith("--set ")
    assert said in str(caught.value)


def write(folder: Path, raw: dict[str, Any]) -> Path:
    """The config in a file."""
    path = folder / "problem.yaml"
    path.write_text(yamlio.dump(raw), encoding="utf-8")
    return path


def test_every_packaged_config_is_valid_and_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dysco3.npz").touch()  # found, not read
    configs = packaged_configs()
    assert {"cos_nanoparticle", "dysco3", "cos_admm", "cos_proximal_gradient", "linear_regression"} <= set(configs)
    for name, text in configs.items():
        loaded = load_config(name)
        assert loaded.packaged
        assert loaded.folder == tmp_path
        assert loaded.output_folder() == Path("runs") / name
        assert text.startswith("# ")
        again = load_config(write(tmp_path, resolved(loaded)))
        assert resolved(again) == resolved(loaded)


def test_packaged_dysco3_is_the_canonical_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dysco3.npz").touch()
    full = resolved(load_config("dysco3"))
    haadf, poisson, tv, nonnegative = full["terms"]
    assert (haadf["type"], haadf["weight"], haadf["gamma"], haadf["z"]) == ("haadf", 1.0, 1.6, "relative")
    assert (poisson["type"], poisson["weight"], poisson["epsilon"]) == ("poisson", 0.24, 0.1)
    assert (tv["type"], tv["weight"]) == ("tv", 0.1)
    assert nonnegative["type"] == "nonnegative"
    assert list(full["data"]["maps"]) == ["Sc", "Dy", "O"]
    assert full["data"]["normalize"] == "minmax"
    assert full["init"] == "auto"


def test_a_file_is_not_hidden_by_a_packaged_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {**RAW, "precision": "double"}).rename(tmp_path / "cos_admm.yaml")
    assert load_config("cos_admm.yaml").config.precision == "double"
    assert load_config("cos_admm").config.precision == "single"


def test_paths_start_in_the_folder_of_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner, elsewhere = tmp_path / "inner", tmp_path / "elsewhere"
    inner.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    raw = {
        "version": 1,
        "data": {"path": "data.npz", "haadf": "H", "maps": {"Fe": "Fe"}},
        "terms": ["haadf"],
        "init": "former/result.h5",
        "output": {"directory": "../out"},
    }
    loaded = load_config(write(inner, raw))
    full = resolved(loaded)
    assert full["data"]["path"] == str(inner / "data.npz")
    assert full["init"] == str(inner / "former" / "result.h5")
    assert loaded.output_folder().resolve() == tmp_path / "out"
    assert loaded.output_folder("here") == Path("here")
    assert "directory" not in full["output"]  # a second run must not write over the first
    named = load_config(write(inner, raw), ["data.path=x.npz", "output.directory=mine"])
    assert resolved(named)["data"]["path"] == str(elsewhere / "x.npz")
    assert named.output_folder() == elsewhere / "mine"


L1, L2 = ({"type": "pyproximal", "operator": operator} for operator in ("L1", "L2"))
NAMES: list[tuple[list[Any], str | None]] = [
    ([L1, L2, "l1", "tv"], None),
    (["tv", {"type": "tv", "name": "second"}], None),
    (["tv", "haadf", "tv"], "terms[2]: is called 'tv' like terms[0]; give one of the two a 'name' of its own"),
    ([L1, L1], "terms[1]: is called 'L1' like terms[0]"),
    (["nonnegative", {"type": "box", "name": "nonnegative"}], "terms[1]: is called 'nonnegative' like terms[0]"),
]


@pytest.mark.parametrize(("terms", "said"), NAMES)
def test_terms_of_one_name_are_refused_before_the_data_are_read(
    tmp_path: Path, terms: list[Any], said: str | None
) -> None:
    path = write(tmp_path, {"version": 1, "data": {"path": "none.npz"}, "terms": terms})
    if said is None:
        assert len(load_config(path).config.terms) == len(terms)
        return
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(caught.value).startswith(said)


def test_resolved_has_every_default_and_what_terms_name_in_turn(tmp_path: Path) -> None:
    raw = {
        **RAW,
        "terms": [
            {"type": "least_squares", "data": "haadf", "forward": "power_sum"},
            {"type": "penalty", "functional": "l21", "operator": "gradient", "weight": 0.1 + 0.2},
        ],
    }
    loaded = load_config(write(tmp_path, raw))
    full = resolved(loaded)
    assert full["terms"][0]["forward"]["gamma"] == 1.6
    assert full["terms"][0]["weight"] == 1.0
    assert full["terms"][1]["functional"]["type"] == "l21"
    assert full["terms"][1]["weight"] == 0.1 + 0.2
    assert full["solver"]["type"] == "auto"
    assert full["solver"]["tolerance"] > 0
    assert full["data"]["phantom"]["seed"] is not None
    assert yamlio.parse(yamlio.dump(full), "F.yaml") == full


def test_options_of_another_solver_are_left_out() -> None:
    sets = ("solver={type: chambolle_pock, tau: 0.1, tolerance: 1.0e-3}", "solver.type=admm")
    with pytest.warns(FusionkitWarning, match="admm has no tau, which the config sets for another solver"):
        solver = load_config("cos_nanoparticle", sets).config.solver
    assert (solver.type, solver.options) == ("admm", {"tolerance": 1.0e-3})
    with pytest.raises(UserError, match=r"solver\.tua"):  # a misspelt option is no leftover
        load_config("cos_nanoparticle", ("solver.tua=0.1",))


@pytest.mark.parametrize("content", [bytes(range(256)), b"\x89HDF\r\n", b"a: [1"])
def test_a_recording_in_place_of_a_config_points_to_inspect(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "my.bcf"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not a config; write one for it: fusionkit inspect .*my\.bcf"):
        load_config(str(path))
