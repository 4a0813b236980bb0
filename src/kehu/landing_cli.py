"""What `kehu status` says of the landing place."""

from __future__ import annotations

from kehu import night
from kehu.console import say
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
        say(str(error), "landing", "red")
        return
    if new:
        say(f"waiting for the next night: {len(new):,} files")
        _print_list(new)
    if left:
        say(f"{len(left):,} files", "ignored")
        _print_list([f"{path}: {reason}" for path, reason in left])


def _print_list(lines: list[str]) -> None:
    for line in lines[:_SHOWN]:
        say(f"  {line}")
    if len(lines) > _SHOWN:
        say(f"  ... and {len(lines) - _SHOWN:,} more")
