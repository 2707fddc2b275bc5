"""The page in a browser: it opens without an error, sorts, hides regions, runs nothing that came in
with a name, and prints.
"""

import csv
import io
import shutil
import time
from urllib.parse import unquote

import numpy as np
import pytest

from tests.report.test_page import EVIL, draw, rich_results

pytest.importorskip("selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("no chromium with chromedriver", allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

OPTIONS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
SHOWN = "return getComputedStyle(document.getElementById(arguments[0])).display"


@pytest.fixture(scope="module")
def results():
    return rich_results(evil=EVIL, bins=4)


@pytest.fixture(scope="module")
def browser(results, tmp_path_factory):
    """A browser on the page of these results, whose first region and column have a name that wants
    to run.
    """
    directory = tmp_path_factory.mktemp("browser")
    draw(results, directory)
    options = Options()
    options.binary_location = CHROMIUM
    for argument in (
        *OPTIONS.split(),
        f"--user-data-dir={directory / 'profile'}",
        "--window-size=1100,1400",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    driver.get((directory / "report.html").as_uri())
    yield driver
    driver.quit()


def _head(browser, name, table=0):
    heads = browser.find_elements(By.CSS_SELECTOR, "table.sortable")[table].find_elements(
        By.CSS_SELECTOR, "th"
    )
    return next(head for head in heads if head.text.split("\n")[0].rstrip(" ▲▼") == name)


def _column(browser, head):
    return browser.execute_script(
        "const h = arguments[0]; return [...h.closest('table').tBodies[0].rows].map(r => r.cells[h.cellIndex].dataset.sort)",
        head,
    )


def test_nothing_complains_and_no_name_runs(browser):
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.ran") is None and not browser.find_elements(
        By.TAG_NAME, "img"
    )
    assert EVIL in browser.find_element(By.CSS_SELECTOR, "tbody td").text
    assert "Use up to" in browser.find_element(By.CSS_SELECTOR, "p.enough").text


def test_policy_stops_what_escaping_would_let_through(browser):
    """A second defence: even markup that got into the page does not run."""
    browser.execute_script(
        "const p = document.createElement('p'); p.innerHTML = '<img src=x onerror=\"window.ran=1\">'; document.body.append(p)"
    )
    time.sleep(0.3)
    assert browser.execute_script("return window.ran") is None
    assert any(
        "Content Security Policy" in entry["message"] for entry in browser.get_log("browser")
    )
    browser.execute_script("document.body.lastChild.remove()")


def test_table_sorts_by_click_and_key(browser, results):
    averaging = [e for e in results["estimates"] if e["method"] == "averaging"]
    known = sorted(e["n_equiv"] for e in averaging if e["n_equiv"] is not None)
    head = _head(browser, "n_equiv")
    head.find_element(By.TAG_NAME, "button").click()
    found = _column(browser, head)
    missing = [""] * (len(averaging) - len(known))
    assert (
        missing
        and head.get_attribute("aria-sort") == "ascending"
        and found == [repr(n) for n in known] + missing
    )
    head.find_element(By.TAG_NAME, "button").send_keys(Keys.ENTER)
    assert (
        head.get_attribute("aria-sort") == "descending"
        and _column(browser, head) == [repr(n) for n in known[::-1]] + missing
    )
    other = _head(browser, "region")
    other.find_element(By.TAG_NAME, "button").send_keys(Keys.SPACE)
    assert (
        _column(browser, other) == [str(row) for row in range(len(averaging))]
        and head.get_attribute("aria-sort") == "none"
    )
    text = _head(browser, "summary", table=1)
    text.find_element(By.TAG_NAME, "button").click()
    assert (
        _column(browser, text) == sorted(_column(browser, text))
        and len(set(_column(browser, text))) == 2
    )


def test_region_is_hidden_and_shown(browser):
    resolved = browser.find_element(By.CSS_SELECTOR, "[id^=region-][id$=-value]").get_attribute(
        "id"
    )
    row = resolved.split("-")[1]
    box = browser.find_element(By.CSS_SELECTOR, f"input[data-row='{row}']")
    assert box.is_selected() and browser.execute_script(SHOWN, resolved) != "none"
    box.click()
    assert (
        browser.execute_script(SHOWN, resolved) == "none"
        and browser.execute_script(SHOWN, f"region-{row}-label") == "inline"
    )
    assert "off" in box.find_element(By.XPATH, "./ancestor::tr").get_attribute("class")
    everything, nothing = (
        browser.find_element(By.CSS_SELECTOR, f"button[data-show={name}]")
        for name in ("all", "none")
    )
    nothing.click()
    first, second = (
        table.find_elements(By.TAG_NAME, "input")
        for table in browser.find_elements(By.CSS_SELECTOR, "table.sortable")
    )
    assert not any(b.is_selected() for b in first) and all(b.is_selected() for b in second)
    everything.click()
    assert all(b.is_selected() for b in first) and browser.execute_script(SHOWN, resolved) != "none"


def test_links_hold_the_tables(browser, results):
    link = browser.find_element(By.LINK_TEXT, "CSV")
    head, _, text = link.get_attribute("href").partition(",")
    rows = list(csv.DictReader(io.StringIO(unquote(text))))
    assert head.startswith("data:text/csv") and link.get_attribute("download") == "table.csv"
    assert len(rows) == len(results["estimates"]) and rows[0]["region"] == EVIL
    assert "toprule" in unquote(browser.find_element(By.LINK_TEXT, "LaTeX").get_attribute("href"))


def test_paragraph_is_copied_or_selected(browser):
    button = browser.find_element(By.CSS_SELECTOR, "button[data-copy=methods]")
    button.click()
    assert "averaging amplification" in browser.execute_script("return getSelection().toString()")
    assert button.text.startswith(("Copied", "Selected"))


def test_printing_opens_what_is_folded(browser):
    part = browser.find_element(By.TAG_NAME, "details")
    browser.execute_script("arguments[0].open = false", part)
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert part.get_attribute("open") is not None
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert part.get_attribute("open") is None


def test_screenshot_shows_the_page_and_a_phone_does_not_scroll_sideways(browser):
    pytest.importorskip("PIL.Image")
    from PIL import Image

    with Image.open(io.BytesIO(browser.get_screenshot_as_png())) as image:
        grey = np.asarray(image.convert("L"), float)
    ink = (grey < 128).mean()
    assert (
        0.01 < ink < 0.3
        and grey.max() == 255
        and (grey[:, : grey.shape[1] // 2] < 128).any()
        and (grey[grey.shape[0] // 2 :] < 128).any()
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True},
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
