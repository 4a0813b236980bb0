"""What `kehu status` says of the landing place."""

from __future__ import annotations

from kehu import night
from kehu.console import out
from kehu.errors import KehuError

_SHOWN = 20


def print_waiting() -> None:
    """Files that wait for the next night, and those that no night will take, with the reason.

    A landing place that does not answer is said so: the rest of the status is worth reading all the
    more.
    """
    try:
        new, left = night.waiting()
    except KehuError as error:
        out.print(f"[red]landing[/] {error}", highlight=False, soft_wrap=True)
        return
    if new:
        out.print(f"waiting for the next night: {len(new):,} files", highlight=False)
        _print_list(new)
    if left:
        out.print(f"[yellow]ignored[/] {len(left):,} files", highlight=False)
        _print_list([f"{path}: {reason}" for path, reason in left])


def _print_list(lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        out.print(f"  ... and {len(lines) - _SHOWN:,} more", highlight=False)
