"""A dashboard as a person sees it, in headless Chromium; and what its charts asked and were told."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = os.environ.get("KEHU_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--lang=zh-CN",
]
WAITING = "() => document.querySelectorAll('[data-test=\"loading-indicator\"], .loading').length"
HEIGHT = """
    () => Math.max(...[...document.querySelectorAll('.grid-container .grid-row')]
        .map(each => each.getBoundingClientRect().bottom)) + window.scrollY + 40
"""
FAILED = """
    () => [...document.querySelectorAll('.ant-alert-error, .missing-chart-container')]
        .map(each => each.innerText)
"""


@dataclass
class Seen:
    """What happened while a dashboard was drawn."""

    asked: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    told: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    text: str = ""


@contextmanager
def page_of(url: str, user: str, password: str, width: int = 1400) -> Iterator[Any]:
    """A page of a browser that is logged in to Superset."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            page = browser.new_page(viewport={"width": width, "height": 1000})
            page.set_default_timeout(60_000)
            page.goto(f"{url}/login/")
            page.fill("#username", user)
            page.fill("#password", password)
            page.press("#password", "Enter")
            page.wait_for_url("**/welcome/**")
            yield page
        finally:
            browser.close()


def look(page: Any, address: str, picture: Path | None = None, seconds: float = 90) -> Seen:
    """Open a dashboard, wait until every chart is drawn, take a picture of the whole of it."""
    seen = Seen()

    def answered(response: Any) -> None:
        if "/api/v1/chart/data" not in response.url or response.request.method != "POST":
            return
        asked = json.loads(response.request.post_data)
        slice_id = (asked.get("form_data") or {}).get("slice_id")
        if slice_id:
            seen.asked.setdefault(slice_id, []).append(asked)
            seen.told[slice_id] = (response.status, response.json())

    def complained(message: Any) -> None:
        if message.type == "error":
            seen.errors.append(message.text)

    def lost(request: Any) -> None:
        if request.failure != "csp":  # what the page may not ask for is not asked for
            seen.lost.append(request.url)

    page.on("response", answered)
    page.on("console", complained)
    page.on("requestfailed", lost)
    try:
        page.goto(address)
        page.wait_for_selector(".grid-container .grid-row")
        for margin in (400, 0):  # charts out of sight are not drawn; then no empty space beneath
            tall = page.evaluate(HEIGHT) + margin
            page.set_viewport_size({"width": page.viewport_size["width"], "height": int(tall)})
            settle(page, seconds)
        seen.failed = page.evaluate(FAILED)
        seen.text = page.inner_text("body")
        if picture:
            picture.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=picture)
    finally:
        page.remove_listener("response", answered)
        page.remove_listener("console", complained)
        page.remove_listener("requestfailed", lost)
    return seen


def settle(page: Any, seconds: float = 90) -> None:
    """Wait until nothing loads for two seconds."""
    quiet = 0
    for _ in range(int(seconds * 2)):
        page.wait_for_timeout(500)
        quiet = 0 if page.evaluate(WAITING) else quiet + 1
        if quiet >= 4:
            return
    raise AssertionError(f"still loading after {seconds} s: {page.url}")
