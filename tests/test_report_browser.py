"""The report in a browser: it opens without errors or network access, and all controls work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened_reports import Opened, opened_report, written
from reports import large, solved

from fusionkit.report.html import render
from fusionkit.report.run_page import run_page

RUN = solved("cos_nanoparticle", "data.phantom.size=64")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pages = {"cos": run_page(RUN, "cos"), "line": run_page(solved("linear_regression"), "line")}
    return written(tmp_path_factory.mktemp("reports"), pages)


@pytest.fixture
def opened(browser: Any, files: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[Opened]:
    """A page, ``cos`` by default, in a window and colour scheme that the test may choose."""
    wanted = {"name": "cos", "width": 1280, "scheme": "light"} | getattr(request, "param", {})
    with opened_report(browser, files[wanted["name"]], wanted["width"], wanted["scheme"]) as one:
        yield one


WINDOWS = [
    {"name": name, "width": width, "scheme": scheme}
    for name in ("cos", "line")
    for width in (1280, 360)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize("opened", WINDOWS, indirect=True, ids=lambda w: f"{w['name']}-{w['width']}-{w['scheme']}")
def test_opens_and_fits_the_window(opened: Opened, request: pytest.FixtureRequest) -> None:
    wanted = request.node.callspec.params["opened"]
    assert opened.page.locator("h1").inner_text() == wanted["name"]
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert opened.page.evaluate("document.documentElement.dataset.theme") == wanted["scheme"]
    assert opened.page.locator(".uplot").count() == opened.page.locator(".chart").count() > 0
    drawn = opened.page.locator(".stage canvas").evaluate_all("all => all.map(canvas => canvas.width * canvas.height)")
    assert all(area > 0 for area in drawn)


@pytest.mark.parametrize("opened", [{"width": 360}, {"width": 1280}], indirect=True)
def test_every_control_has_a_name_and_can_be_reached(opened: Opened) -> None:
    nameless = opened.page.evaluate(
        """[...document.querySelectorAll("button, input, select, canvas[tabindex]")].filter((one) => !(
          one.getAttribute("aria-label") || one.closest("label")?.textContent.trim() || one.textContent.trim()
        )).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    reached = []
    for _ in range(12):
        opened.page.keyboard.press("Tab")
        reached.append(
            opened.page.evaluate(
                "document.activeElement.tagName + (document.activeElement.id && '#' + document.activeElement.id)"
            )
        )
        assert opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached[0] == "BUTTON#theme"
    assert "INPUT#split" in reached


def test_slider_by_keyboard(opened: Opened) -> None:
    before = opened.pixels("Co")
    opened.page.focus("#split")
    for _ in range(20):
        opened.page.keyboard.press("ArrowLeft")
    assert opened.page.input_value("#split") == "30"
    assert opened.pixels("Co") != before
    opened.page.keyboard.press("Home")
    assert opened.page.input_value("#split") == "0"


def test_divider_by_mouse(opened: Opened) -> None:
    opened.canvas("Co").scroll_into_view_if_needed()  # the content above it varies in height
    box = opened.canvas("Co").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + 0.7 * box["height"])
    opened.page.mouse.move(*middle)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 0.8 * box["width"], middle[1], steps=4)
    opened.page.mouse.up()
    opened.page.wait_for_timeout(60)
    assert abs(int(opened.page.input_value("#split")) - 80) <= 1


def test_zoom_and_pan_are_shared(opened: Opened) -> None:
    panels = ("Co", "S", "O", "All elements", "HAADF", "HAADF − model")
    before = {panel: opened.pixels(panel) for panel in panels}
    opened.canvas("S").focus()
    opened.page.keyboard.press("+")
    opened.page.keyboard.press("+")
    zoomed = {panel: opened.pixels(panel) for panel in panels}
    assert opened.page.locator("output[aria-label=zoom]").inner_text() == "2.25×"
    assert all(zoomed[panel] != before[panel] for panel in panels)
    opened.page.keyboard.press("ArrowRight")
    assert all(opened.pixels(panel) != zoomed[panel] for panel in panels)
    opened.page.keyboard.press("0")
    assert all(opened.pixels(panel) == before[panel] for panel in panels)
    opened.canvas("Co").hover(position={"x": 30, "y": 40})
    opened.page.mouse.wheel(0, -200)  # the wheel belongs to the page until the image under it has the focus
    opened.canvas("Co").click(position={"x": 30, "y": 40})
    opened.page.mouse.wheel(0, -400)
    opened.page.wait_for_timeout(60)
    assert float(opened.page.locator("output[aria-label=zoom]").inner_text().rstrip("×")) > 1.5


def test_values_under_the_cursor_are_those_of_the_run(opened: Opened) -> None:
    canvas = opened.canvas("Co")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 20.5 / 64, "y": box["height"] * 30.5 / 64})
    opened.page.wait_for_timeout(60)
    text = opened.page.locator('section.panel[aria-label="Co"] .readout').inner_text()
    assert text.startswith("pixel 20, 30 (16, 23.8 nm)")
    raw = RUN.dataset.arrays["maps"][0, 30, 20]
    assert f"raw {raw:g} counts" in text
    shown = float(text.partition("fused ")[2].split()[0])
    assert shown == pytest.approx(float(RUN.result.x[0, 30, 20]), abs=float(np.ptp(RUN.result.x[0])) / 4094)


IMAGE = """async (key) => {
  const content = JSON.parse(document.getElementById("content").textContent);
  return [...(await images.load(content, key)).values].map((value) => (Number.isNaN(value) ? null : value));
}"""


def test_images_are_decoded_as_they_were(opened: Opened) -> None:
    raw, fused = RUN.dataset.arrays["maps"], RUN.result.x
    decoded = np.array(opened.page.evaluate(IMAGE, "raw 1")).reshape(64, 64)
    np.testing.assert_array_equal(decoded, raw[1])
    step = float(np.ptp(fused[1])) / 4094
    removed = np.array(opened.page.evaluate(IMAGE, "removed 1")).reshape(64, 64)
    np.testing.assert_allclose(removed, raw[1] - fused[1], rtol=0, atol=step)
    haadf = np.array(opened.page.evaluate(IMAGE, "fit 0")).reshape(64, 64)
    given = RUN.dataset.arrays["haadf"]
    np.testing.assert_allclose(haadf, given, rtol=0, atol=float(np.ptp(given)) / 2000)


def test_line_profile_by_mouse(opened: Opened) -> None:
    chart = opened.page.locator('.chart:has(h3:text-is("Maps")) .uplot canvas')
    before = chart.evaluate("canvas => canvas.toDataURL()")
    opened.page.check("input[name=tool][value=line]")
    box = opened.canvas("O").bounding_box()
    ends = [(box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.25, 0.75)]
    opened.page.mouse.move(*ends[0])
    opened.page.mouse.down()
    opened.page.mouse.move(*ends[1], steps=5)
    opened.page.mouse.up()
    opened.page.wait_for_timeout(100)
    fields = opened.page.locator(".line-fields input").evaluate_all(
        "all => all.slice(0, 4).map((one) => Number(one.value))"
    )
    np.testing.assert_allclose(fields, [16, 16, 48, 48], atol=0.6)
    assert chart.evaluate("canvas => canvas.toDataURL()") != before


def test_line_profile_by_keyboard(opened: Opened) -> None:
    chart = opened.page.locator('.chart:has(h3:text-is("HAADF")) .uplot canvas').first
    before = chart.evaluate("canvas => canvas.toDataURL()")
    opened.page.locator(".line-fields input").nth(1).fill("10")
    opened.page.keyboard.press("Enter")
    opened.page.locator(".line-fields input").nth(4).fill("5")
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_timeout(100)
    assert chart.evaluate("canvas => canvas.toDataURL()") != before


SAMPLES = """([line, width]) => {
  const values = Float32Array.from({ length: 64 * 64 }, (_, at) => (at % 64) + 2 * Math.floor(at / 64));
  const image = { nx: 64, ny: 64, values };
  const { distances, places } = sampling.points(line, width, [64, 64]);
  return [distances, sampling.values(image, places)];
}"""


@pytest.mark.parametrize("width", [1, 4])
def test_profile_of_a_plane_is_a_line(opened: Opened, width: int) -> None:
    line = {"u0": 0.25, "v0": 0.25, "u1": 0.75, "v1": 0.5}
    distances, values = np.array(opened.page.evaluate(SAMPLES, [line, width]))
    share = distances / np.hypot(32, 16)
    assert (distances[0], distances[-1]) == (0.0, pytest.approx(np.hypot(32, 16)))
    x, y = 16 + share * 32 - 0.5, 16 + share * 16 - 0.5  # pixel centres
    np.testing.assert_allclose(values, x + 2 * y, atol=1e-4)


def test_overlay_toggles_and_colours(opened: Opened) -> None:
    everything = opened.pixels("All elements")
    toggles = opened.page.locator('section.panel[aria-label="All elements"] input[type=checkbox]')
    assert toggles.count() == 3
    toggles.nth(0).uncheck()
    without = opened.pixels("All elements")
    assert without != everything
    toggles.nth(0).check()
    assert opened.pixels("All elements") == everything
    opened.page.locator('input[aria-label="colour of Co"]').fill("#00ffff")
    assert opened.pixels("All elements") not in (everything, without)


def test_theme_toggle(opened: Opened) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = opened.page.evaluate(ground)
    opened.page.click("#theme")
    assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened.page.evaluate(ground) != light
    assert opened.page.locator("#theme").inner_text() == "Light colours"
    opened.page.click("#theme")
    assert opened.page.evaluate(ground) == light


def test_side_by_side_and_choice_of_layers(opened: Opened) -> None:
    opened.page.select_option('select[aria-label="right of the divider"]', "truth")
    opened.page.wait_for_timeout(60)
    assert opened.canvas("Co").get_attribute("aria-label") == "Co: raw left of the divider, truth right of it"
    opened.page.check("input[name=mode][value=beside]")
    opened.page.wait_for_timeout(100)
    names = opened.page.locator('section.panel[aria-label="Co"] .stage canvas').evaluate_all(
        "all => all.map((one) => one.getAttribute('aria-label'))"
    )
    assert names == ["Co: raw", "Co: fused", "Co: truth", "Co: raw − fused"]
    assert not opened.page.is_visible("#split")


def test_a_curve_is_hidden_by_keyboard(opened: Opened) -> None:
    entry = opened.page.locator('.chart:has(h3:text-is("Maps")) .u-legend th[role=button]').first
    entry.focus()
    opened.page.keyboard.press("Enter")
    assert "u-off" in entry.evaluate("one => one.parentElement.className")


def test_large_report_opens_soon(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "large.html"
    path.write_text(render(run_page(large(), "large")), encoding="utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]", timeout=60_000)
    # 1.1 s on two idle cores; a busy machine gets more
    assert page.evaluate("performance.getEntriesByName('drawn')[0].startTime") < 6000
    page.close()
