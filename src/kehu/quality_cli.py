"""`kehu quality`: the report of a night, made again from the ledger."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from kehu import quality_report
from kehu.console import for_operators, say
from kehu.errors import KehuError
from kehu.publish import current_manifest
from kehu.settings import Settings


@for_operators
def quality_command(
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", formats=["%Y-%m-%d"], help="The night; else the published one."),
    ] = None,
) -> None:
    """Write the quality report of a night as an HTML page that opens offline, and say where."""
    settings = Settings()
    manifest = current_manifest(settings)
    if as_of is not None:
        day = as_of.date()
    elif manifest is not None:
        day = date.fromisoformat(manifest["as_of_date"])
    else:
        raise KehuError("nothing is published yet, so name the night: --as-of DATE")
    say(str(quality_report.write(settings, day)))
