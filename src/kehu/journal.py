"""The journal of steps: what ran when, for `kehu status`, for operators, for tests of crashes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kehu.clock import now
from kehu.machine import faults_told, told
from kehu.settings import Settings


def note(settings: Settings, run_id: str, step: str, state: str, **facts: Any) -> None:
    """Append one line; a single write of a short line is not torn, unless the disk is full."""
    settings.log.mkdir(parents=True, exist_ok=True)
    line = {
        "at": now(settings).isoformat(timespec="milliseconds"),
        "clock": time.monotonic(),
        "pid": os.getpid(),
        "run_id": run_id,
        "step": step,
        "state": state,
        **facts,
    }
    with (settings.log / "steps.jsonl").open("ab+") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        torn = size > 0 and file.read(1) != b"\n"
        file.write(b"\n" * torn + json.dumps(line, default=str).encode() + b"\n")


def read_journal(settings: Settings, last: int | None = None) -> list[dict[str, Any]]:
    """The journal's lines, or the `last` ones; what was torn where a disk was full is left out."""
    path = settings.log / "steps.jsonl"
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines()[-(last or 0) :]:
        with suppress(ValueError):
            lines.append(json.loads(text))
    return [line for line in lines if isinstance(line, dict)]


@contextmanager
def step(settings: Settings, run_id: str, name: str) -> Iterator[dict[str, Any]]:
    """Journal the start and the end of a step; the yielded dict is written with its end.

    What the machine refuses within it (disk, permission, damage) is raised as MachineFault.
    """
    facts: dict[str, Any] = {}
    started = time.perf_counter()
    with faults_told(settings):
        note(settings, run_id, name, "start")
        try:
            yield facts
        except BaseException as error:
            with suppress(OSError):  # a full disk has no room for saying so
                reason = str(told(error, settings) or error)[:2000]
                note(settings, run_id, name, "failed", error=reason)
            raise
        facts["seconds"] = round(time.perf_counter() - started, 2)
        note(settings, run_id, name, "end", **facts)
