"""The report as PDF, printed by a headless Chromium where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from kehu.errors import KehuError, MachineFault
from kehu.report import report
from kehu.report.figures import LANGUAGES
from kehu.report.fonts import require_cjk_font
from kehu.report.publication import Publication

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "msedge")
SECONDS = 120
OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
)


def chromium() -> str:
    """The browser's program: KEHU_CHROMIUM, or the first that is found; KehuError where none is."""
    named = os.environ.get("KEHU_CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise KehuError(
            f"no browser to print with: {named or 'none of ' + ', '.join(NAMES)} is on the PATH. "
            "Install one (`sh scripts/install_browser.sh`, or `apt-get install chromium "
            "fonts-noto-cjk`), or name it in KEHU_CHROMIUM, or print report.html from any browser"
        )
    return found


def write(publication: Publication) -> list[Path]:
    """Write report-zh.pdf and report-en.pdf into the folder of the publication; returns the files."""
    program = chromium()
    require_cjk_font()
    return [
        print_page(
            program,
            report.render(publication, language, for_print=True),
            publication.folder / f"report-{language}.pdf",
        )
        for language in LANGUAGES
    ]


def print_page(program: str, page: str, target: Path) -> Path:
    """Print a page of HTML to a PDF file, without network; MachineFault where the browser fails."""
    with tempfile.TemporaryDirectory(prefix="kehu-pdf-") as folder:
        source, printed = Path(folder, "report.html"), Path(folder, "report.pdf")
        source.write_text(page, encoding="utf-8")
        root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        command = [
            *(program, *OPTIONS, *root),
            *(f"--user-data-dir={folder}/profile", f"--print-to-pdf={printed}", source.as_uri()),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise MachineFault(f"{program} did not print within {SECONDS} s") from None
        if not printed.exists():
            last = done.stderr.strip().rpartition("\n")[2]
            raise MachineFault(f"{program} printed nothing (exit {done.returncode}): {last}")
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(printed, temporary)
        os.replace(temporary, target)
    return target
