"""What a publication holds for people, beside the marts: index.html, report.html, quality.html.

Made in a process of its own with a time limit, before the folder of the publication gets its name.
A page that can not be made, or a process that dies over it, costs a page and never the night.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from kehu import quality_report
from kehu.alert import Cause
from kehu.errors import KehuError
from kehu.files import write_atomically
from kehu.settings import Settings

PAGE, REPORT, QUALITY = "index.html", "report.html", "quality.html"


def furnish(
    settings: Settings, folder: Path, manifest: dict[str, Any]
) -> tuple[dict[str, Any], list[Cause]]:
    """Put the pages into the folder of a publication: what was made, and what an operator must know.

    Never raises: where the page fails, a few words stand in its place.
    """
    if not settings.pages:
        return {}, []
    made: dict[str, Any] = {}
    failed: dict[str, str] = {}
    _try(QUALITY, lambda: _quality(settings, folder, manifest), made, failed)
    try:
        code, stdout, stderr = _in_a_process(folder, settings.page_seconds)
        told = json.loads(stdout.strip().rpartition("\n")[2] or "{}")
        made |= told.get("made", {})
        failed |= told.get("failed", {})
        if "made" not in told:
            last = stderr.strip().rpartition("\n")[2]
            failed[PAGE] = f"the process ended with {code}: {last}"
    except subprocess.TimeoutExpired:
        failed[PAGE] = f"not done after {settings.page_seconds:g} s (KEHU_PAGE_SECONDS)"
    except (OSError, ValueError) as error:
        failed[PAGE] = f"{type(error).__name__}: {error}"
    if not (folder / PAGE).exists():
        _try("words", lambda: write_atomically(folder / PAGE, _sorry(manifest)), {}, failed)
    return made, [_cause(name, reason) for name, reason in failed.items()]


def _in_a_process(folder: Path, seconds: float) -> tuple[int, str, str]:
    """Run `make` in a process group of its own, so that its workers end with it."""
    with subprocess.Popen(
        [sys.executable, "-m", "kehu.report.furnish", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, stdout, stderr


def _quality(settings: Settings, folder: Path, manifest: dict[str, Any]) -> None:
    as_of = date.fromisoformat(manifest["as_of_date"])
    page = quality_report.render(settings, as_of, publication=manifest["publication"])
    write_atomically(folder / QUALITY, page)


def make(settings: Settings, folder: Path) -> dict[str, Any]:
    """Report and page of the publication in `folder`: seconds and bytes of each, or why it failed."""
    made: dict[str, Any] = {}
    from kehu.report import drawing, page, report  # here: they need the pictures' libraries
    from kehu.report.publication import Publication

    stores: list[str] = []
    with Publication.opened(folder) as publication:
        as_of = publication.as_of
        with suppress(duckdb.Error):  # the page itself says what is wrong with the marts
            stores = [store.code for store in publication.stores(settings.page_stores)]
    started = time.perf_counter()
    pictures, failed = drawing.draw_stores(folder, as_of, stores, settings.threads)
    drawn = round(time.perf_counter() - started, 2)
    with Publication.opened(folder) as publication:
        publication.hold(pictures)
        _try(REPORT, lambda: report.write(publication), made, failed)
        _try(PAGE, lambda: page.write(publication, settings.page_stores), made, failed)
    for name, facts in made.items():
        facts["bytes"] = (folder / name).stat().st_size
    return {"made": made, "failed": failed, "seconds_drawing": drawn}


def _try(name: str, work: Callable[[], Any], made: dict[str, Any], failed: dict[str, str]) -> None:
    started = time.perf_counter()
    try:
        work()
    except Exception as error:
        told = str(error) if isinstance(error, KehuError) else f"{type(error).__name__}: {error}"
        failed[name] = told[:500]
    else:
        made[name] = {"seconds": round(time.perf_counter() - started, 2)}


def _cause(name: str, reason: str) -> Cause:
    key = hashlib.sha256(f"{name}|{reason}".encode()).hexdigest()[:16]
    return Cause(kind="PAGE", key=key, text=f"{name}: {reason}; `kehu report` makes them again")


def _sorry(manifest: dict[str, Any]) -> str:
    publication = html.escape(manifest["publication"])
    return f"""<!DOCTYPE html>
<html lang="zh-Hans"><head><meta charset="utf-8"><title>Kehu {publication}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><main><h1>Kehu {publication}</h1>
<p>本期页面未能生成，数据集市照常发布。</p>
<p lang="en">The page of this publication could not be made. Its marts are here as always.</p>
<p><a href="{QUALITY}">数据质量报告 Quality report</a></p>
</main></body></html>
"""


if __name__ == "__main__":
    print(json.dumps(make(Settings(), Path(sys.argv[1]))))
