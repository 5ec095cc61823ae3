"""Zeta-factors with absorption: maps of eXSpy, intervals, refusals."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from fusionkit.errors import UserError
from fusionkit.microscope.spectra.lines import _tables
from fusionkit.reconstruct import prepare
from fusionkit.uncertainty.atomic_fractions import Factors, Region, RegionSums, region_composition
from fusionkit.uncertainty.options import CompositionOptions
from fusionkit.uncertainty.zeta import atomic_weights, mass_per_count

LINES = {"Ni": "Ni_Ka", "Al": "Al_Ka", "O": "O_Ka"}
ZETA, DOSE = {"Ni": 500.0, "Al": 300.0, "O": 700.0}, 3e10
ELEMENTS = tuple(ZETA)
PIXEL = Region("all", (0, 1), (0, 1))


def options(absorption: bool, **more: object) -> CompositionOptions:
    of = {"take_off_angle": 22.0, "lines": LINES} if absorption else None
    return CompositionOptions.model_validate({"zeta_factors": ZETA, "dose": DOSE, "absorption": of, **more})


@pytest.fixture(autouse=True)
def material() -> Any:
    """eXSpy's tables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("exspy.material", reason="eXSpy is not installed: pip install 'fusionkit-em[io]'")


def test_energies_of_lines_need_no_import_of_exspy(material: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is that of eXSpy, whether its source is read or it is imported, as for versions with another source."""
    imported = {name: entry for name, entry in material.elements.as_dictionary().items() if name != "__doc__"}
    assert _tables.__wrapped__() == imported
    monkeypatch.setattr("fusionkit.microscope.spectra.lines.find_spec", lambda _: None)
    assert {name: entry for name, entry in _tables.__wrapped__().items() if name != "__doc__"} == imported


def test_the_composition_solves_the_equations_of_exspy(material: Any) -> None:
    """With A = e / (1 - exp(-e)), e = rho t csc(alpha) (mu/rho) of eXSpy's mixture; its iteration gives the same."""
    counts, zeta = np.array([3e3, 1.1e4, 6e3]), np.array(list(ZETA.values()))
    each = mass_per_count(options(True), ELEMENTS, zeta, counts, "all")
    k = Factors(each / atomic_weights(ELEMENTS), np.zeros(3))
    sums = RegionSums(counts, counts, counts, np.zeros(3))
    one = region_composition(PIXEL, ELEMENTS, sums, (), k, np.ones(3), options(True)).with_mass(each / DOSE, k.errors)
    assert one.mass_thickness is not None
    mass, weights = one.mass_thickness[0], np.array(one.fractions) * atomic_weights(ELEMENTS)
    mixture = material.mass_absorption_mixture(
        list(100.0 * weights / weights.sum()), list(ELEMENTS), list(LINES.values())
    )
    exponents = 0.1 * np.array(mixture) * mass / np.sin(np.radians(22.0))
    assert exponents.max() > 0.1
    np.testing.assert_allclose(each / zeta, exponents / (1.0 - np.exp(-exponents)), rtol=1e-9)
    np.testing.assert_allclose(weights / weights.sum(), counts * each / np.sum(counts * each), rtol=1e-9)
    assert mass == pytest.approx(np.sum(counts * each) / DOSE)
    assert one.quantity == "atomic fraction"


def test_a_run_has_the_mass_thickness_of_each_region() -> None:
    zeta = "composition={zeta_factors: {Co: [500, 25], S: 300, O: 700}, dose: 1.0e+6}"
    job = prepare("cos_nanoparticle", ("data.phantom.size=24", "engine=numpy", zeta))
    (whole,) = job.assess(job.solve()).compositions
    assert whole.mass_thickness is not None
    mean, low, high = whole.mass_thickness
    counts = np.array(whole.counts)[:, 0] / 24**2
    assert mean == pytest.approx(np.sum(counts * [500.0, 300.0, 700.0]) / 1e6)
    assert 1.645 * 0.05 * counts[0] * 5e-4 < mean - low == pytest.approx(high - mean)
    assert whole.plain()["mass_thickness"] == [mean, low, high]


LINE, ALL = "composition.absorption.lines", "zeta_factors: {Co: 1, S: 1, O: 1}, dose: 1"


@pytest.mark.parametrize(
    ("given", "where", "text"),
    [
        ("zeta_factors: {Co: 1, S: 1, O: 1}", "composition", "dose"),
        ("zeta_factors: {Co: 1}, k_factors: {Co: 1}, dose: 1", "composition", "exclude k_factors"),
        ("absorption: {take_off_angle: 20, lines: {}}", "composition", "needs zeta_factors"),
        ("zeta_factors: {Co: 1}, dose: 1", "composition.zeta_factors", "none for S, O"),
        (f"{ALL}, absorption: {{take_off_angle: 20, lines: {{Co: Co_K}}}}", f"{LINE}.Co", "write Co_Ka"),
        (f"{ALL}, absorption: {{take_off_angle: 20, lines: {{Co: Co_Ka}}}}", f"{LINE}.S", "write S_Ka"),
    ],
)
def test_refusals(given: str, where: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        prepare("cos_nanoparticle", ("data.phantom.size=24", f"composition={{{given}}}"))
    assert caught.value.where == where
    assert text in str(caught.value)


def test_a_specimen_that_absorbs_too_much_is_refused() -> None:
    with pytest.raises(UserError, match="absorbs too much"):
        mass_per_count(options(True), ELEMENTS, np.array(list(ZETA.values())), np.full(3, 3e5), "all")
