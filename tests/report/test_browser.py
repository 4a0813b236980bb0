"""Page and report in a headless Chromium, from the file and without network, as a manager opens them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import readback

from kehu.errors import KehuError
from kehu.report import pdf
from kehu.report.pictures import PICTURES
from kehu.report.publication import Publication

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
AXE_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
}


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated chain of `make demo-chain`: seven stores with enough customers to be offered."""
    folder = tmp_path_factory.mktemp("chain")
    subprocess.run(
        [sys.executable, str(ROOT / "scripts/demo_chain.py"), "--folder", str(folder)],
        env=os.environ | {"KEHU_PAGES": "0"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return folder / "var" / "published"


@pytest.fixture(scope="session")
def chromium() -> str:
    try:
        return pdf.chromium()
    except KehuError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--disable-gpu", "--disable-background-networking", *root],
        )
        yield browser
        browser.close()


class Opened:
    """A page of the publication in a tab that has no network; what it complains of is kept."""

    def __init__(
        self, browser: Any, folder: Path, name: str, width: int = 1280, locale: str = "zh-CN"
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 800}, locale=locale, offline=True
        )
        self.complaints: list[str] = []
        self.context.route(re.compile(r"^(?!file:)"), self._refuse)
        self.tab = self.context.new_page()
        self.tab.on("console", lambda m: self.complaints.append(m.text))
        self.tab.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.tab.goto(f"{folder.as_uri()}/{name}")

    def _refuse(self, route: Any) -> None:
        self.complaints.append(f"asked for {route.request.url}")
        route.abort()

    def seen(self) -> dict[tuple[str, str, str], tuple[str, str]]:
        """What is visible of marked numbers: value and text by query, row and column."""
        found: list[list[str]] = self.tab.eval_on_selector_all(
            "data[data-sql]",
            "all => all.filter(e => e.checkVisibility()).map(e => [e.dataset.sql, "
            "e.dataset.row || '0', e.dataset.column, e.value, e.textContent])",
        )
        return {(sql, row, column): (value, text) for sql, row, column, value, text in found}

    def drawn(self) -> dict[str, tuple[float, float, int]]:
        """Width, height and number of marks of each picture that is visible."""
        found: list[list[Any]] = self.tab.eval_on_selector_all(
            "figure[data-picture] svg",
            "all => all.filter(e => e.checkVisibility()).map(e => { const b = e.getBoundingClientRect(); "
            "return [e.closest('figure').dataset.picture, b.width, b.height, "
            "e.querySelectorAll('path, rect, circle, line, text').length] })",
        )
        return {name: (width, height, marks) for name, width, height, marks in found}


@pytest.fixture
def opened(browser: Any, shown: Path) -> Iterator[Any]:
    tabs: list[Opened] = []

    def open_page(name: str, **options: Any) -> Opened:
        tabs.append(Opened(browser, shown, name, **options))
        return tabs[-1]

    yield open_page
    for page in tabs:
        assert page.complaints == [], "nothing in the console, nothing asked of a network"
        page.context.close()


@pytest.fixture
def connection(shown: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(shown / "kehu.duckdb"), read_only=True) as connection:
        yield connection


def check_numbers(
    page: Opened, html: str, connection: duckdb.DuckDBPyConnection, store: str
) -> None:
    """What the eye sees is what the marts say, by the queries and by the scorecard itself."""
    queries, seen = readback.queries(html), page.seen()
    assert len(seen) > 30
    for (sql, row, column), (value, text) in seen.items():
        rows = connection.execute(queries[sql]).to_arrow_table().to_pylist()
        assert readback.plain(rows[int(row)][column]) == value, (sql, column, text)
    scores = dict(
        connection.execute(
            "select kpi, actual from marts.mart_scorecard join core.kpi as k using (kpi) where is_latest "
            "and store_code = ? and k.summary_place is not null and actual is not null",
            [store],
        ).fetchall()
    )
    shown = {
        sql.split("-")[2]: value for (sql, _, column), (value, _) in seen.items()
        if column == "actual" and sql.endswith(f"-KPI-{store}")
    }  # fmt: skip
    if shown:
        assert shown == {kpi: str(value) for kpi, value in scores.items()}


def test_the_page_opens_without_network_and_all_is_drawn(
    opened: Any, shown: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    page = opened("index.html")
    drawn = page.drawn()
    assert set(drawn) == set(PICTURES)
    assert all(w > 300 and h > 100 and marks > 10 for w, h, marks in drawn.values()), drawn
    check_numbers(page, (shown / "index.html").read_text(), connection, "ALL")


def test_the_first_screen_says_how_we_do_what_is_wrong_what_to_do(opened: Any) -> None:
    page = opened("index.html")
    for place in (".verdict", ".problem h3", ".problem .do strong", ".tile .value"):
        box = page.tab.locator(place).first.bounding_box()
        assert box is not None and box["y"] + box["height"] < 800, place


def test_language_and_store_change_and_stay_in_the_address(
    opened: Any, shown: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    page = opened("index.html")
    tab, html = page.tab, (shown / "index.html").read_text()
    assert tab.locator("html").get_attribute("lang") == "zh-Hans"
    assert "现在怎么样" in tab.inner_text("main")
    chinese = page.seen()
    tab.get_by_role("button", name="English").click()
    tab.wait_for_selector("html[lang=en]")
    assert "How are we doing" in tab.inner_text("main") and "现在怎么样" not in tab.inner_text(
        "main"
    )
    assert tab.title().endswith("Customers at a glance")
    assert {k: v[0] for k, v in page.seen().items()} == {k: v[0] for k, v in chinese.items()}
    stores = tab.eval_on_selector_all("#store option", "all => all.map(e => e.value)")
    assert stores[0] == "ALL" and len(stores) > 2
    for store in stores[1:3]:
        tab.select_option("#store", store)
        tab.wait_for_function(
            "store => location.hash.endsWith('store=' + encodeURIComponent(store))", arg=store
        )
        assert set(page.drawn()) == set(PICTURES) - page_missing(tab)
        check_numbers(page, html, connection, store)
    tab.go_back()
    tab.wait_for_function(
        "store => document.getElementById('store').value === store", arg=stores[1]
    )
    again = opened("index.html#lang=en&store=" + stores[1])
    assert again.tab.input_value("#store") == stores[1]
    assert "How are we doing" in again.tab.inner_text("main")


def page_missing(tab: Any) -> set[str]:
    """Pictures that say in words why there is nothing to draw."""
    return set(
        tab.eval_on_selector_all("figure:has(.missing)", "all => all.map(e => e.dataset.picture)")
    )


def test_by_keyboard_alone(opened: Any) -> None:
    tab = opened("index.html").tab
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.locator(".skip").bounding_box()["x"] >= 0, "seen when it has the focus"
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.id") == "store"
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("location.hash.includes('store=') && !location.hash.endsWith('ALL')")
    first = tab.input_value("#store")
    for _ in range(2):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.dataset.choose") == "en"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    tab.keyboard.press("Enter")
    tab.wait_for_selector("html[lang=en]")
    assert tab.evaluate("document.activeElement.dataset.choose") == "en", "the focus stays"
    assert tab.input_value("#store") == first
    assert tab.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize("width", [320, 360, 400])
@pytest.mark.parametrize("name", ["index.html", "report.html"])
def test_on_a_telephone(opened: Any, name: str, width: int) -> None:
    """Nothing sticks out of the page, in either language, with all that folds out open."""
    page = opened(name, width=width)
    for language in ("zh", "en"):
        if name == "index.html":
            page.tab.locator(f"[data-choose={language}]").click()
        else:
            page.tab.locator(f"label[for={language}]").click()
        page.tab.eval_on_selector_all("details", "all => all.forEach(e => e.open = true)")
        wide = page.tab.evaluate("document.documentElement.scrollWidth")
        out = page.tab.evaluate(
            "limit => [...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && "
            "!e.closest('.canvas, .wrap, pre') && e.getBoundingClientRect().right > limit + 1)"
            ".map(e => e.tagName + '.' + e.className).slice(0, 5)",
            width,
        )
        assert (wide, out) == (width, [])
        size = page.tab.evaluate("parseFloat(getComputedStyle(document.body).fontSize)")
        assert size >= 15


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", ["index.html", "report.html"])
def test_axe_finds_nothing(opened: Any, name: str, width: int) -> None:
    """Contrast, landmarks, names of controls, order of headings, by axe-core."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    page = opened(name, width=width)
    for language in ("zh", "en"):
        if name == "index.html":
            page.tab.locator(f"[data-choose={language}]").click()
        else:
            page.tab.locator(f"label[for={language}]").click()
        found = axe.Axe().run(page.tab, options=AXE_RULES).response["violations"]
        told = [f"{v['id']}: {v['help']}: {[n['target'] for n in v['nodes']][:3]}" for v in found]
        assert told == []


def test_the_report_switches_without_script(
    browser: Any, shown: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    tab = context.new_page()
    tab.goto((shown / "report.html").as_uri())
    assert tab.locator(".in-zh").is_visible() and not tab.locator(".in-en").is_visible()
    tab.keyboard.press("Tab")
    tab.keyboard.press("ArrowRight")
    assert tab.locator(".in-en").is_visible() and not tab.locator(".in-zh").is_visible()
    context.close()


def test_the_report_opens_and_all_is_drawn(
    opened: Any, shown: Path, connection: duckdb.DuckDBPyConnection
) -> None:
    page = opened("report.html")
    assert set(page.drawn()) == set(PICTURES)
    check_numbers(page, (shown / "report.html").read_text(), connection, "ALL")
    page.tab.locator(".in-zh .cite a").first.click()
    goal = page.tab.evaluate("location.hash.slice(1)")
    assert page.tab.locator(f"[id='{goal}'] pre").is_visible()
    page.tab.locator("label[for=en]").click()
    assert set(page.drawn()) == set(PICTURES)


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "客户关系管理调查报告"), ("en", "Customer relationship report")]
)
def test_it_prints_to_pdf(
    chromium: str, shown: Path, tmp_path: Path, language: str, words: str
) -> None:
    """All of it in one language, in pages of A4 with Chinese text that is text."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    folder = tmp_path / "p"
    shutil.copytree(shown, folder)
    with Publication.opened(folder) as publication:
        publication.hold({"ALL": []})
        files = {p.name: p for p in pdf.write(publication)}
    assert set(files) == {"report-zh.pdf", "report-en.pdf"}
    printed = pypdf.PdfReader(files[f"report-{language}.pdf"])
    # some glyphs come back as the radicals that look the same, which normalise to older forms
    text = unicodedata.normalize("NFKC", "".join(page.extract_text() for page in printed.pages))
    text = re.sub(r"\s+", "", text).replace("戶", "户")
    assert words.replace(" ", "") in text
    assert [round(float(x)) for x in printed.pages[0].mediabox[2:]] == [595, 842]
    with Publication.opened(folder) as publication:
        said = [row[f"action_{language}"] for row in publication.statements("ADVICE").rows]
    bare = [re.sub(r"\s+", "", unicodedata.normalize("NFKC", action)) for action in said]
    assert bare and all(any(a[i : i + 4] in text for i in range(len(a) - 3)) for a in bare)
    count = len(printed.pages)
    assert count >= 5 and f"{count} / {count}" in printed.pages[-1].extract_text()


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEHU_CHROMIUM", "no-such-browser")
    with pytest.raises(KehuError, match=r"install_browser\.sh.*report\.html from any browser"):
        pdf.chromium()
