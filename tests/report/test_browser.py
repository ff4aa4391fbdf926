"""The page in a real browser: it fits a phone and a desk, is silent, asks nothing of the network, decision first."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bayescpt.report import Report

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if BROWSER is None or DRIVER is None:
    pytest.skip("no chromium and chromedriver on this machine (apt-get install chromium chromium-driver)", True)

webdriver = pytest.importorskip("selenium.webdriver")
WebDriverWait = pytest.importorskip("selenium.webdriver.support.ui").WebDriverWait

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
SETTLED = "return document.readyState === 'complete' && [...document.images].every(one => one.complete)"


@pytest.fixture(scope="module")
def file(page: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    page.write(path)
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    yield driver
    driver.quit()


def shown(browser: Any, file: Path, width: int, scheme: str = "light") -> None:
    """Open the page at a width in pixels."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(file.as_uri())
    WebDriverWait(browser, 20).until(lambda one: one.execute_script(SETTLED))


def place(browser: Any, selector: str) -> dict[str, float]:
    found = browser.execute_script(
        "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
    )
    return {str(name): float(value) for name, value in found.items()}


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen_and_the_decision_is_seen_first(
    browser: Any, file: Path, page: Report, width: int
) -> None:
    shown(browser, file, width)
    inner, scrolled = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert inner == width >= scrolled
    outside = """return [...document.querySelectorAll('body *')].filter(one => {
        const box = one.getBoundingClientRect();
        return box.width && (box.left < -1 || box.right > innerWidth + 1) && !one.closest('.scroll')
    }).map(one => one.outerHTML.slice(0, 80))"""
    assert browser.execute_script(outside) == []
    cut = "return [...document.querySelectorAll('.scroll')].filter(one => one.scrollWidth > one.clientWidth + 1).length"
    assert browser.execute_script(cut) == 0, "no table has to be scrolled"
    lead = place(browser, "h1")
    assert browser.execute_script("return document.querySelector('h1').textContent") == page.lead
    assert 0 < lead["top"] < lead["bottom"] < 844
    assert lead["bottom"] < place(browser, "main")["top"]
    sizes = "return [...document.images].map(one => [one.naturalWidth, one.getBoundingClientRect().width])"
    for natural, wide in browser.execute_script(sizes):
        assert natural > 0, "it can be drawn"
        assert wide > 250, "and read"


def test_it_says_nothing_in_the_console_and_asks_nothing_of_the_network(browser: Any, file: Path) -> None:
    browser.get_log("browser")
    browser.get_log("performance")
    shown(browser, file, 1280)
    assert [one["message"] for one in browser.get_log("browser")] == []
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert {url for url in asked if not url.startswith("data:")} == {file.as_uri()}


def test_what_is_tinted_can_be_read_in_the_dark(browser: Any, file: Path) -> None:
    contrast = """const channels = text => text.match(/[0-9.]+/g).slice(0, 3).map(Number);
        const light = text => channels(text).map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        return arguments[0].map(one => {
            const style = getComputedStyle(document.querySelector(one));
            const ground = style.backgroundColor.endsWith(', 0)')
                ? getComputedStyle(document.body).backgroundColor : style.backgroundColor;
            const both = [light(style.color), light(ground)].sort((a, b) => b - a);
            return (both[0] + 0.05) / (both[1] + 0.05)
        })"""
    parts = ["h1", "p.aside", ".banner", ".notice", ".review", ".fail", ".pass", "a", "figcaption"]
    for scheme in ("light", "dark"):
        shown(browser, file, 1280, scheme)
        found = browser.execute_script(contrast, parts)
        assert min(found) >= 4.5, dict(zip(parts, found, strict=True))


def test_it_prints_with_what_is_folded_opened(browser: Any, file: Path) -> None:
    shown(browser, file, 794)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert place(browser, "details table")["height"] > 100
    assert place(browser, "nav")["height"] == 0
    assert browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"].startswith("JVBERi0")
