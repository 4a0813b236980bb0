"""`kehu report`: the report and the page of the current publication, made again, or printed."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from kehu.console import for_operators, out
from kehu.errors import KehuError
from kehu.publish import current_manifest
from kehu.settings import Settings


@for_operators
def report_command(
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also print it, as report-zh.pdf and report-en.pdf.")
    ] = False,
) -> None:
    """Write the CRM report 客户关系管理调查报告 and the page of what is published, and say where."""
    settings = Settings()
    manifest = current_manifest(settings)
    if manifest is None:
        raise KehuError("nothing is published yet; `kehu night --as-of DATE` publishes")
    from kehu.report import (
        furnish,
    )  # here: drawing takes a second to import, for this command alone

    folder = settings.publications / manifest["publication"]
    started = time.perf_counter()
    done = furnish.make(settings, folder)
    for name in done["made"]:
        out.print(str(settings.published / name), highlight=False, soft_wrap=True)
    if done["failed"]:
        raise KehuError("\n".join(f"{name}: {why}" for name, why in done["failed"].items()))
    if pdf:
        from kehu.report import pdf as printing
        from kehu.report.publication import Publication

        with Publication.opened(folder) as publication:
            for path in printing.write(publication):
                out.print(str(settings.published / path.name), highlight=False, soft_wrap=True)
    out.print(
        f"{manifest['as_of_date']}, in {time.perf_counter() - started:.1f} s", highlight=False
    )
