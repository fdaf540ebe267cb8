"""The page in a real browser: it loads from the disk without a network and without complaints, its pictures are there, its tables sort.

OCRNET_BROWSER names a Chromium; otherwise one of the PATH is taken. Without any, these tests are skipped, and scripts/run_tests.sh says so.
"""

import os
import shutil

import pytest

from tests.report.evaluated import write_page

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, [os.environ["OCRNET_BROWSER"]] if os.environ.get("OCRNET_BROWSER") else NAMES)), None)
# Of each table: does its box say that it is wider, that there is more to the right, and how its first column is placed.
BOXES = """Array.from(document.querySelectorAll('.scroll table'), table => ({
    id: table.id, wide: table.parentElement.classList.contains('wide'), more: table.parentElement.classList.contains('more'),
    first: getComputedStyle(table.querySelector('td, th')).position}))"""
COUNT, NUM_CLASSES = 30, 12

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)}; OCRNET_BROWSER names one")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("with space & more"), count=COUNT, num_classes=NUM_CLASSES)


class Visit:
    """The page, opened in a window, and what the browser asked for and complained about."""

    def __init__(self, browser, path, width=1280, scheme="light"):
        self.complaints, self.requests = [], []
        self.page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url[:80]}"))
        self.page.on("request", lambda request: self.requests.append(request.url.split(",")[0].split(":")[0]))
        self.page.goto(path.as_uri(), wait_until="load")

    def column(self, table, number):
        return self.page.locator(f"#{table} tbody td:nth-child({number})").all_inner_texts()

    def click_head(self, table, number):
        self.page.locator(f"#{table} th:nth-child({number}) button").click()
        return self.page.locator(f"#{table} th:nth-child({number})").get_attribute("aria-sort")


@pytest.fixture(scope="module")
def visit(browser, report):
    visit = Visit(browser, report[0])
    yield visit
    visit.page.close()


def test_it_loads_without_complaints_and_without_a_network(visit):
    assert visit.complaints == []
    assert visit.requests.count("file") == 1  # the page itself
    assert set(visit.requests) <= {"file", "data"}


def test_all_pictures_are_there(visit):
    widths = visit.page.evaluate("Array.from(document.querySelectorAll('main img'), image => image.complete && image.naturalWidth)")
    assert len(widths) == 1 + (12 + 12) * 3
    assert min(widths) > 0
    assert visit.page.locator("figure.worst").count() == visit.page.locator("figure.best").count() == 12


def test_a_click_on_a_head_sorts(visit, report):
    _, result, collector = report
    in_order = [f"class {k}" for k in range(NUM_CLASSES - 1)] + [f"class {NUM_CLASSES - 1} absent"]
    assert visit.column("classes", 1) == in_order
    assert visit.click_head("classes", 2) == "descending"
    ious = visit.column("classes", 2)
    numbers = [f"{iou:.4f}" for iou in sorted(result.scores.iou[:-1], reverse=True)]
    assert ious == [*numbers, "–"]
    assert visit.column("classes", 1) != in_order
    assert visit.click_head("classes", 2) == "ascending"
    assert visit.column("classes", 2) == [*numbers[::-1], "–"]  # nothing stays last
    assert visit.click_head("classes", 5) == "descending"
    assert visit.column("classes", 5) == [f"{pixels:,d}" for pixels in sorted(result.scores.pixels, reverse=True)]
    assert visit.click_head("classes", 1) == "ascending"
    assert visit.column("classes", 1) == sorted(in_order)
    assert visit.page.locator("#classes th[aria-sort]").count() == 1
    assert visit.column("sizes", 1) == in_order[:-1]  # the other tables stay as they were


def test_a_click_on_a_picture_shows_it_large(visit):
    dialog = visit.page.locator("dialog")
    assert not dialog.is_visible()
    visit.page.locator(".worst .zoom").first.click()
    assert dialog.is_visible()
    assert visit.page.locator("dialog img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    visit.page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_windows_and_contrast(browser, report, scheme):
    visit = Visit(browser, report[0], width=360, scheme=scheme)
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360  # tables scroll inside their boxes
    boxes = {box["id"]: box for box in visit.page.evaluate(BOXES)}
    assert boxes["classes"]["wide"] and boxes["classes"]["more"] and boxes["classes"]["first"] == "sticky"
    assert not boxes["times"]["wide"]  # it is narrow enough to be read at once
    visit.page.evaluate("document.querySelector('#classes').parentElement.scrollLeft = 9999")
    visit.page.wait_for_function("!document.querySelector('#classes').parentElement.classList.contains('more')")
    paper, ink = (
        visit.page.evaluate(f"getComputedStyle(document.querySelector('section')).{name}.match(/\\d+/g).map(Number)")
        for name in ("backgroundColor", "color")
    )
    assert abs(sum(paper[:3]) - sum(ink[:3])) > 3 * 150
    assert (sum(paper[:3]) > sum(ink[:3])) == (scheme == "light")
    assert visit.complaints == []
    visit.page.close()
