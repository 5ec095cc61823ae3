"""Reports in a browser, for tests of their use; these skip without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusionkit.report.content import Page
from fusionkit.report.html import render

BROWSERS = ("chromium", "google-chrome", "chromium-browser")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
if BROWSER is None:
    pytest.skip(f"none of {', '.join(BROWSERS)} is installed", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser: pip install '.[test]'")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@dataclass
class Opened:
    """A page, with the browser's messages and requests."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def canvas(self, panel: str, number: int = 0) -> Any:
        """The canvas of an image."""
        return self.page.locator(f'section.panel[aria-label="{panel}"] .stage canvas').nth(number)

    def chart(self, title: str) -> Any:
        """A chart."""
        return self.page.locator(f'.chart:has(h3:text-is("{title}"))')

    def pixels(self, panel: str) -> str:
        """The current pixels of an image."""
        return self.drawn(self.canvas(panel))

    def drawn(self, canvas: Any) -> str:
        """The current pixels of a canvas."""
        self.page.wait_for_timeout(60)  # drawing waits for the next frame
        return canvas.evaluate("canvas => canvas.toDataURL()")

    def numbers(self, script: str) -> np.ndarray:
        """The result of a script as an array."""
        return np.array(self.page.evaluate(script), np.float64)


@contextmanager
def launched() -> Iterator[Any]:
    """A browser."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


def written(folder: Path, pages: Mapping[str, Page]) -> dict[str, Path]:
    """The files of some pages by name."""
    files = {name: folder / f"{name}.html" for name in pages}
    for name, page in pages.items():
        files[name].write_text(render(page), encoding="utf-8")
    return files


@contextmanager
def opened_report(browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> Iterator[Opened]:
    """The report at ``path``; at the end, no message and no request but for the page itself is allowed."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    one = Opened(context.new_page())
    one.page.on("console", lambda message: one.said.append(f"{message.type}: {message.text}"))
    one.page.on("pageerror", lambda error: one.said.append(f"error: {error}"))
    one.page.on("request", lambda asked: one.asked.append(asked.url))
    one.page.goto(path.as_uri())
    one.page.wait_for_selector("html[data-ready=true]", timeout=30_000)
    yield one
    assert one.said == []
    assert [url for url in one.asked if not url.startswith("data:")] == [path.as_uri()]
    context.close()
