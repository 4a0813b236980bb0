"""The journal of steps: what ran when, for `kehu status`, for operators, for tests of crashes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kehu.clock import now
from kehu.settings import Settings


def note(settings: Settings, run_id: str, step: str, state: str, **facts: Any) -> None:
    """Append one line; a single write of a short line is not torn."""
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
    with (settings.log / "steps.jsonl").open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")


@contextmanager
def step(settings: Settings, run_id: str, name: str) -> Iterator[dict[str, Any]]:
    """Journal the start and the end of a step; the yielded dict is written with its end."""
    facts: dict[str, Any] = {}
    started = time.perf_counter()
    note(settings, run_id, name, "start")
    try:
        yield facts
    except BaseException as error:
        note(settings, run_id, name, "failed", error=str(error)[:2000])
        raise
    facts["seconds"] = round(time.perf_counter() - started, 2)
    note(settings, run_id, name, "end", **facts)
