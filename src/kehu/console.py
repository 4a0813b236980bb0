"""What the commands share: where they print, and how an error reaches the operator."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from kehu.errors import KehuError
from kehu.machine import faults_told

# not a terminal, as in a log: no guess of 80 columns, tables as wide as they need
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True, width=None if sys.stderr.isatty() else 120)


def say(text: str, label: str = "", style: str = "yellow") -> None:
    """Print a line as it is, `label` before it in `style`; a [bracket] in it is data and no markup."""
    line = Text.assemble((label, style), " " if label and text else "", text)
    out.print(line, soft_wrap=True)


P = ParamSpec("P")
R = TypeVar("R")


def for_operators(command: Callable[P, R]) -> Callable[P, R]:
    """Show a KehuError as its message and exit with its code; never a traceback for bad data."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with faults_told():
                return command(*args, **kwargs)
        except KehuError as error:
            err.print(f"[bold red]{type(error).__name__}[/]:", end=" ")
            err.print(str(error), markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(error.exit_code) from None

    return wrapped
