"""The report in print, by keyboard and for screen readers; layout of numbers and long names."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened_reports import Opened, opened_report, written
from reports import solved

from fusionkit.report.content import Chart, Curve, Layer, Page, Panel, Section, Table
from fusionkit.report.run_page import run_page

RUN = solved("cos_nanoparticle", "data.phantom.size=64", "uncertainty.method=curvature")
# digits that leave no room, and names of sweeps
OBJECTIVE = dataclasses.replace(RUN, result=dataclasses.replace(RUN.result, objective=-1.9216892e8))
LONG = "a_very_long_run_name_that_nobody_would_type_but_sweeps_do_tv.weight=0.3,haadf.gamma=1.7"
IMAGE = np.arange(256.0).reshape(16, 16)
NAMED = Page(
    title=f"Comparison of {LONG}",
    panels=(Panel("Co", "counts", (Layer(LONG, "a", (0.0, 255.0)), Layer("b", "a", (0.0, 255.0))), "Maps"),),
    images={"a": IMAGE},
    pixels=(16, 16),
    side_by_side=True,
    sections=(Section("Convergence", (Chart("Optimality", "iteration", "y", (Curve(LONG, [0, 1], [1, 2]),)),)),),
    tables=(Table("Numbers", ("", LONG, "b"), (("status", "converged", "converged"),)),),
    texts=((f"Resolved configuration of {LONG}", "a: 1"),),
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return written(tmp_path_factory.mktemp("reports"), {"cos": run_page(OBJECTIVE, "cos"), "named": NAMED})


@pytest.fixture
def opened(browser: Any, files: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A page, ``cos`` by default, in a window and colour scheme that the test may choose."""
    wanted = {"name": "cos", "width": 1400, "scheme": "light"} | getattr(request, "param", {})
    with opened_report(browser, files[wanted["name"]], wanted["width"], wanted["scheme"]) as one:
        yield one


@pytest.mark.parametrize("opened", [{"scheme": "dark"}], indirect=True)
def test_paper_is_light_and_the_screen_is_dark_again(opened: Opened) -> None:
    chart = opened.chart("Optimality and its parts").locator("canvas")
    on_screen = opened.drawn(chart)
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    on_paper = opened.drawn(chart)
    opened.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.drawn(chart) == on_screen
    opened.page.click("#theme")
    assert opened.drawn(chart) == on_paper != on_screen
    opened.page.click("#theme")
    seen = "addEventListener('beforeprint', () => { window.seen = document.documentElement.dataset.theme; })"
    opened.page.evaluate(seen)
    opened.page.pdf()
    assert opened.page.evaluate("[window.seen, document.documentElement.dataset.theme]") == ["light", "dark"]


def test_paper_has_a_key_of_the_overlay_and_nothing_to_be_used(opened: Opened) -> None:
    toggles = opened.page.locator(".toggles label")
    toggles.nth(1).locator("input[type=checkbox]").uncheck()
    opened.canvas("Co").focus()
    opened.page.keyboard.press("+")  # makes the focus visible
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert opened.page.evaluate(ring) != "none"
    opened.page.emulate_media(media="print")
    assert [toggles.nth(at).is_visible() for at in range(3)] == [True, False, True]
    assert toggles.nth(0).locator("input[type=color]").is_visible()
    assert not toggles.nth(0).locator("input[type=checkbox]").is_visible()
    assert opened.page.locator(".help:visible, .readout:visible, .toolbar:visible").count() == 0
    assert opened.page.evaluate(ring) == "none"


# number, unit and sign of each fact on one line
BROKEN = """[...document.querySelectorAll(".facts .number")].filter((one) => one.getClientRects().length > 1
  || one.getBoundingClientRect().right > one.closest("div").getBoundingClientRect().right - 8)
  .map((one) => one.textContent)"""


@pytest.mark.parametrize("opened", [{"width": width} for width in (1400, 800, 400, 340)], indirect=True)
def test_numbers_of_facts_are_whole(opened: Opened) -> None:
    numbers = opened.page.locator(".facts .number").all_inner_texts()
    assert "-1.9216892e+08" in numbers
    assert any(text.endswith(" s") for text in numbers)
    assert opened.page.evaluate(BROKEN) == []


def test_hidden_curves_and_the_zoom_outlive_theme_width_and_print(opened: Opened) -> None:
    chart = opened.chart("Maps")
    entry = chart.locator(".u-legend th[role=button]").first
    assert entry.get_attribute("aria-pressed") == "true"
    entry.click()
    chart.locator(".u-over").focus()
    opened.page.keyboard.press("+")
    before = opened.drawn(chart.locator("canvas"))
    opened.page.click("#theme")
    assert opened.drawn(chart.locator("canvas")) != before
    opened.page.set_viewport_size({"width": 700, "height": 900})
    opened.page.evaluate("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")
    opened.page.set_viewport_size({"width": 1400, "height": 900})
    opened.page.wait_for_timeout(100)
    opened.page.click("#theme")
    assert opened.drawn(chart.locator("canvas")) == before
    assert entry.get_attribute("aria-pressed") == "false"
    assert "u-off" in entry.evaluate("one => one.parentElement.className")


def test_a_chart_is_zoomed_by_keys(opened: Opened) -> None:
    over = opened.chart("Maps").locator(".u-over")
    canvas = opened.chart("Maps").locator("canvas")
    assert "+ and − zoom" in over.get_attribute("aria-description")
    assert over.get_attribute("aria-label").startswith("Maps: ")
    assert opened.page.locator('[role="img"] [role="button"]').count() == 0  # screen readers skip the inside of images
    over.focus()
    seen = [opened.drawn(canvas)]
    for key in ("+", "ArrowRight", "-", "ArrowLeft"):
        opened.page.keyboard.press(key)
        seen.append(opened.drawn(canvas))
    assert seen[1] not in (seen[0], seen[2])
    assert seen[3:] == [seen[0], seen[0]]  # as wide as the data, which cannot be moved
    opened.page.keyboard.press("+")
    opened.page.keyboard.press("0")
    assert opened.drawn(canvas) == seen[0]


def test_keys_on_an_image_are_told(opened: Opened) -> None:
    region = opened.page.locator('[role="status"][aria-live="polite"]')
    canvas = opened.canvas("Co")
    assert canvas.get_attribute("role") == "application"
    assert "arrow keys" in opened.page.locator(f"#{canvas.get_attribute('aria-describedby')}").inner_text()
    canvas.hover(position={"x": 40, "y": 50})
    opened.page.wait_for_timeout(400)
    assert region.count() == 1
    assert region.text_content() == ""  # a mouse user sees the image
    canvas.focus()
    for _ in range(3):
        opened.page.keyboard.press("Shift+ArrowRight")
    opened.page.wait_for_timeout(400)
    said = region.text_content()
    assert said == opened.page.locator('section.panel[aria-label="Co"] .readout').inner_text()
    assert "fused" in said
    opened.page.keyboard.press("+")
    opened.page.wait_for_timeout(400)
    assert region.text_content() == "zoom 1.5"


TYPED = {
    "beyond": (0, "9999", "64"),
    "below": (1, "-3", "0"),
    "emptied": (2, "", "62.7"),
    "width beyond": (4, "900", "200"),
    "width emptied": (4, "", "1"),
}


@pytest.mark.parametrize(("field", "typed", "shown"), TYPED.values(), ids=TYPED.keys())
def test_fields_show_what_became_of_what_was_typed(opened: Opened, field: int, typed: str, shown: str) -> None:
    one = opened.page.locator(".line-fields input").nth(field)
    one.fill(typed)
    opened.page.keyboard.press("Enter")
    assert one.input_value() == shown
    opened.page.keyboard.press("Tab")
    opened.page.wait_for_timeout(60)
    assert one.input_value() == shown


def test_a_line_has_a_length(opened: Opened) -> None:
    fields = opened.page.locator(".line-fields input")
    for field, (typed, shown) in enumerate([("10", "10"), ("10", "10"), ("10", "10"), ("10", "32")]):
        fields.nth(field).fill(typed)
        opened.page.keyboard.press("Enter")
        assert fields.nth(field).input_value() == shown
    opened.page.check("input[name=tool][value=line]")
    opened.canvas("S").click(position={"x": 200, "y": 200})
    opened.page.wait_for_timeout(60)
    assert [fields.nth(at).input_value() for at in range(4)] == ["10", "10", "10", "32"]


WIDTH_OF = """((text) => {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = getComputedStyle(document.querySelector("select")).font;
  return pen.measureText(text).width;
})"""


@pytest.mark.parametrize("opened", [{"width": width} for width in (1400, 800, 400)], indirect=True)
def test_nothing_moves_under_the_mouse(opened: Opened) -> None:
    sides = {"left": "standard deviation", "right": "raw − fused"}
    for side, name in sides.items():
        select = opened.page.locator(f'select[aria-label="{side} of the divider"]')
        select.select_option(name)
        assert select.get_attribute("title") == name
        # the arrow takes some 25 px
        assert opened.page.evaluate(f'{WIDTH_OF}("{name}")') < select.evaluate("one => one.clientWidth") - 25
    opened.page.wait_for_timeout(60)
    height = "[...document.querySelectorAll('.panel')].map((one) => one.offsetHeight)"
    before = opened.page.evaluate(height)
    opened.canvas("Co").hover(position={"x": 60, "y": 80})
    opened.page.wait_for_timeout(60)
    assert "standard deviation" in opened.page.locator(".readout").first.inner_text()
    assert opened.page.evaluate(height) == before


# elements wider than their place, except those that scroll
WIDE = """[...document.querySelectorAll("h1, th, .plot, summary, .u-label, .readout")].filter((one) =>
  one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== "inline")
  .map((one) => one.className || one.tagName)"""


@pytest.mark.parametrize("opened", [{"name": "named", "width": width} for width in (1400, 800, 400)], indirect=True)
def test_long_names_keep_their_place(opened: Opened) -> None:
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.page.evaluate(WIDE) == []
    assert opened.chart("Optimality").locator("th[role=button]").get_attribute("title").startswith(LONG)
    assert opened.canvas("Co").get_attribute("title") == LONG
    assert not opened.canvas("Co", 1).get_attribute("title")
