"""What the commands tell of targets: what was written there, what they hold, what failed."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import typer

from kehu import night
from kehu.console import out
from kehu.errors import KehuError
from kehu.serve.target import Listing, Options, all_kept, configured, read_target, told_name
from kehu.settings import Settings

To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        help="A connection (KEHU_CONNECTION_<NAME>), postgresql://… or ./folder; "
        "as often as needed.",
    ),
]


def serve_options(
    settings: Settings,
    with_facts: bool | None,
    role: str | None,
    prefix: str | None,
    force: bool,
) -> Options:
    """The settings, and what the command line says instead."""
    given: dict[str, Any] = {
        "with_facts": with_facts,
        "role": role,
        "prefix": prefix,
        "force": force,
    }
    return dataclasses.replace(
        Options.of(settings), **{k: v for k, v in given.items() if v is not None}
    )


def _line(listing: Listing) -> str:
    size = f", {listing.size / 1e6:,.1f} MB" if listing.size else ""
    return (
        f"{listing.publication}, {len(listing.tables)} tables, {listing.rows:,} rows{size}, "
        f"written {listing.written_at:%Y-%m-%d %H:%M:%S}"
    )


def print_listing(listing: Listing) -> None:
    """What stands in a target now."""
    said = "there already" if listing.was_there else f"in {listing.seconds:.1f} s"
    out.print(
        f"{listing.target}: {_line(listing)}, {said}", markup=False, highlight=False, soft_wrap=True
    )
    for told in listing.notes:
        out.print(f"  {told}", markup=False, highlight=False, soft_wrap=True)


def print_served(report: dict[str, Any]) -> None:
    """What a night copied; raises where a target failed, for the exit code."""
    for listing in report["served"].values():
        print_listing(Listing.model_validate(listing))
    night.require_served(report)


def print_targets(settings: Settings, manifest: dict[str, Any] | None) -> None:
    """Each target with what it holds, whether that is what readers see here, and what failed last."""
    current = manifest["publication"] if manifest else ""
    known = {listing.target: listing for listing in all_kept(settings)}
    for text in configured(settings):
        try:
            name = read_target(text).name
        except KehuError:
            name = told_name(text)
        known.setdefault(name, Listing(target=name, kind=""))
    for name, listing in known.items():
        state = "nothing yet"
        if listing.publication:
            state = _line(listing)
            state += "" if listing.publication == current else "; not the current one"
        out.print(f"copy {name}: {state}", markup=False, highlight=False, soft_wrap=True)
        if listing.error:
            out.print(
                f"  failed {listing.failed_at:%Y-%m-%d %H:%M}: {listing.error}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
