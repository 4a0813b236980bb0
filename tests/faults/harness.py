"""Starting real processes of Kehu, killing them with SIGKILL, and reading where they died."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from faults import child

_server = multiprocessing.get_context("forkserver")


def _forked(target: Callable[..., None], arguments: tuple[Any, ...]) -> ForkServerProcess:
    """A process forked from one that has imported all that a night needs."""
    _server.set_forkserver_preload(["faults.child"])
    before = os.environ.get("PYTHONPATH")
    # the fork server imports before it is told this process's sys.path, and forgives what it misses
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        process = _server.Process(target=target, args=arguments)
        process.start()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return process


# what the journal calls a step, and what it counts as
STEPS = {
    "extract": ("collect", "plan", "extract"),
    "gate": ("gate",),
    "load": ("load",),
    "dbt": ("dbt:", "score"),
    "publish": ("audit", "publish"),
}


def group_of(step: str) -> str:
    """The part of the night that a step of the journal belongs to."""
    return next((g for g, names in STEPS.items() if step.startswith(names)), "between steps")


@dataclass
class Ended:
    """How a process ended: its exit code (negative: the signal), what it said, where it was."""

    exit: int
    said: str
    seconds: float
    landed: str = "between steps"

    @property
    def killed(self) -> bool:
        return self.exit == -signal.SIGKILL


class _Said:
    """What a process prints, through a pipe: a file could not grow where the disk is full."""

    def __init__(self, reader: Connection) -> None:
        self._reader, self._heard = reader, bytearray()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while heard := os.read(self._reader.fileno(), 1 << 16):
            self._heard += heard

    def text(self) -> str:
        self._thread.join()
        self._reader.close()
        return self._heard.decode(errors="replace")


@dataclass
class Installation:
    """A home and a landing folder, and processes that work on them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    def start(
        self, work: Callable[..., Any], *arguments: Any, dies_before: int | None = None
    ) -> ForkServerProcess:
        self.root.mkdir(parents=True, exist_ok=True)
        environment = {
            "KEHU_HOME": str(self.home),
            "KEHU_LANDING": str(self.landing),
            "KEHU_TIMEZONE": "Asia/Shanghai",
            "KEHU_PARAM_SCOPE": "default",
            "KEHU_SETTLE_SECONDS": "0",
            **self.environment,
        }
        reader, writer = _server.Pipe(duplex=False)
        self._said = _Said(reader)
        process = _forked(child.main, (work, arguments, environment, writer, dies_before))
        writer.close()
        return process

    def run(self, work: Callable[..., Any], *arguments: Any) -> Ended:
        """To its end, whatever that is."""
        return self._ended(self.start(work, *arguments), time.perf_counter(), 0)

    def must(self, work: Callable[..., Any], *arguments: Any) -> Ended:
        """To its end, which must be a good one."""
        ended = self.run(work, *arguments)
        assert ended.exit == 0, f"{work.__name__}{arguments}: exit {ended.exit}\n{ended.said}"
        return ended

    def kill_at_deed(self, deed: int, work: Callable[..., Any], *arguments: Any) -> Ended:
        """SIGKILL before the process's n-th deed on the file system; it may end before."""
        known = len(self.journal())
        started = time.perf_counter()
        return self._ended(self.start(work, *arguments, dies_before=deed), started, known)

    def kill_in(
        self, step: str | None, wait: float, work: Callable[..., Any], *arguments: Any
    ) -> Ended:
        """SIGKILL `wait` seconds after the journal says that `step` began (None: after the start)."""
        known, size = len(self.journal()), self._journal_size()
        started = time.perf_counter()
        process = self.start(work, *arguments)
        while step is not None and process.is_alive() and not self._began(step, size):
            time.sleep(0.004)
        process.join(wait)
        for kill, who in ((os.killpg, process.pid), (os.kill, process.pid)):
            with contextlib.suppress(ProcessLookupError):
                assert who is not None
                kill(who, signal.SIGKILL)
        return self._ended(process, started, known)

    def _journal_size(self) -> int:
        path = self.home / "log" / "steps.jsonl"
        return path.stat().st_size if path.exists() else 0

    def _began(self, step: str, size: int) -> bool:
        """Whether a step has begun since the journal had this size."""
        if self._journal_size() == size:
            return False
        with (self.home / "log" / "steps.jsonl").open() as file:
            file.seek(size)
            return any(f'"step": "{step}' in line and '"start"' in line for line in file)

    def _ended(self, process: ForkServerProcess, started: float, known: int) -> Ended:
        process.join()
        assert process.exitcode is not None
        return Ended(
            exit=process.exitcode,
            said=self._said.text(),
            seconds=time.perf_counter() - started,
            landed=_open_step(self.journal()[known:]),
        )

    def journal(self) -> list[dict[str, Any]]:
        path = self.home / "log" / "steps.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def seconds_of(self, step: str, otherwise: float) -> float:
        """How long a step took when it last came to its end."""
        for line in reversed(self.journal()):
            if line["step"].startswith(step) and line["state"] == "end":
                return float(line["seconds"])
        return otherwise


def _open_step(lines: list[dict[str, Any]]) -> str:
    """The step that was under way when the process died."""
    steps: dict[str, None] = {}
    for line in lines:
        if line["state"] == "start":
            steps[line["step"]] = None
        else:
            steps.pop(line["step"], None)
    return next(reversed(steps), "between steps")


def spread(dice: random.Random, seconds: float) -> float:
    """A moment within a step that takes so long."""
    return dice.uniform(0, 0.95) * seconds
