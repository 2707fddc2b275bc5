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

from tests.report.test_page import draw
from tests.results.examples import EVIL, rich_results

pytest.importorskip("selenium")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("no chromium with chromedriver", allow_module_level=True)

from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = pytest.mark.slow  # the browser takes seconds to start
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,1400",
)
SHOWN = "return getComputedStyle(document.getElementById(arguments[0])).display"
SORTED_BY = """
const head = arguments[0], rows = [...head.closest('table').tBodies[0].rows];
return rows.map(row => row.cells[head.cellIndex].dataset.sort)
"""
INTRUDER = """
const p = document.createElement('p');
p.innerHTML = '<img src=x onerror="window.ran=1">';
document.body.append(p)
"""


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
    for argument in (*OPTIONS, f"--user-data-dir={directory / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    driver.get((directory / "report.html").as_uri())
    yield driver
    driver.quit()


def _head(browser, name, table=0):
    tables = browser.find_elements(By.CSS_SELECTOR, "table.sortable")
    heads = tables[table].find_elements(By.CSS_SELECTOR, "th")
    return next(head for head in heads if head.text.split("\n")[0].rstrip(" ▲▼") == name)


def _press(head, *keys):
    """Clicks, or presses a key."""
    button = head.find_element(By.TAG_NAME, "button")
    if keys:
        button.send_keys(*keys)
    else:
        button.click()


def _order(browser, head):
    return browser.execute_script(SORTED_BY, head)


def _wait(condition, seconds=5.0):
    """Asks again until it is so."""
    for _ in range(round(seconds / 0.02)):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_nothing_complains_and_no_name_runs(browser):
    assert browser.get_log("browser") == []
    assert browser.execute_script("return window.ran") is None
    assert not browser.find_elements(By.TAG_NAME, "img")
    assert EVIL in browser.find_element(By.CSS_SELECTOR, "tbody td").text
    assert "Use up to" in browser.find_element(By.CSS_SELECTOR, "p.enough").text


def test_policy_stops_what_escaping_would_let_through(browser):
    """A second defence: even markup that got into the page does not run."""
    logged = []

    def refused():
        logged.extend(entry["message"] for entry in browser.get_log("browser"))
        return any("Content Security Policy" in message for message in logged)

    browser.execute_script(INTRUDER)
    _wait(refused)
    assert browser.execute_script("return window.ran") is None
    browser.execute_script("document.body.lastChild.remove()")


def test_table_sorts_by_click_and_key(browser, results):
    averaging = [e for e in results["estimates"] if e["method"] == "averaging"]
    known = sorted(e["n_equiv"] for e in averaging if e["n_equiv"] is not None)
    missing = [""] * (len(averaging) - len(known))
    assert missing
    head = _head(browser, "n_equiv")
    _press(head)
    assert head.get_attribute("aria-sort") == "ascending"
    assert _order(browser, head) == [repr(n) for n in known] + missing
    _press(head, Keys.ENTER)
    assert head.get_attribute("aria-sort") == "descending"
    assert _order(browser, head) == [repr(n) for n in known[::-1]] + missing
    other = _head(browser, "region")
    _press(other, Keys.SPACE)
    assert _order(browser, other) == [str(row) for row in range(len(averaging))]
    assert head.get_attribute("aria-sort") == "none"
    text = _head(browser, "summary", table=1)
    _press(text)
    assert _order(browser, text) == sorted(_order(browser, text))
    assert len(set(_order(browser, text))) == 2


def test_region_is_hidden_and_shown(browser):
    marker = browser.find_element(By.CSS_SELECTOR, "[id^=region-][id$=-value]")
    resolved = marker.get_attribute("id")
    row = resolved.split("-")[1]
    box = browser.find_element(By.CSS_SELECTOR, f"input[data-row='{row}']")
    assert box.is_selected()
    assert browser.execute_script(SHOWN, resolved) != "none"
    box.click()
    assert browser.execute_script(SHOWN, resolved) == "none"
    assert browser.execute_script(SHOWN, f"region-{row}-label") == "inline"
    assert "off" in box.find_element(By.XPATH, "./ancestor::tr").get_attribute("class")
    tables = browser.find_elements(By.CSS_SELECTOR, "table.sortable")
    first, second = (table.find_elements(By.TAG_NAME, "input") for table in tables)
    browser.find_element(By.CSS_SELECTOR, "button[data-show=none]").click()
    assert not any(b.is_selected() for b in first)
    assert all(b.is_selected() for b in second)
    browser.find_element(By.CSS_SELECTOR, "button[data-show=all]").click()
    assert all(b.is_selected() for b in first)
    assert browser.execute_script(SHOWN, resolved) != "none"


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
    folded = browser.find_element(By.TAG_NAME, "details")
    browser.execute_script("arguments[0].open = false", folded)
    browser.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert folded.get_attribute("open") is not None
    browser.execute_script("dispatchEvent(new Event('afterprint'))")
    assert folded.get_attribute("open") is None


def test_screenshot_shows_the_page(browser):
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(browser.get_screenshot_as_png())) as screenshot:
        grey = np.asarray(screenshot.convert("L"), float)
    ink = grey < 128
    height, width = ink.shape
    assert 0.01 < ink.mean() < 0.3
    assert grey.max() == 255
    assert ink[:, : width // 2].any() and ink[height // 2 :].any()


def test_words_stay_in_their_figures(browser):
    """Matplotlib measured them with its font, the browser draws them with its own."""
    outside = browser.execute_script("""
        return [...document.querySelectorAll('figure svg')].flatMap(svg => {
          const of = svg.getBoundingClientRect();
          return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < of.left - 1 || box.right > of.right + 1
                || box.top < of.top - 1 || box.bottom > of.bottom + 1;
          }).map(text => text.textContent);
        })
    """)
    assert outside == []


def test_a_phone_does_not_scroll_sideways(browser):
    """Its figures do, and say so until their end is reached."""
    classes = "return [...document.querySelectorAll('.wide, .scroll')].map(box => box.className)"
    assert not any("more" in name for name in browser.execute_script(classes) if "wide" in name)
    phone = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 375

    def told():
        names = [name for name in browser.execute_script(classes) if "wide" in name]
        return names and all(name.split() == ["wide", "more"] for name in names)

    _wait(told)
    hint = "return getComputedStyle(document.querySelector('.wide'), '::before').content"
    assert "scroll sideways" in browser.execute_script(hint)
    browser.execute_script("document.querySelector('.wide').scrollLeft = 10000")
    _wait(lambda: "end" in browser.execute_script(classes)[0])
    browser.execute_script("document.querySelector('.wide').scrollLeft = 0")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
