"""What runs in a process that a fault test starts and may kill: real steps of the night, nothing else.

`harness.py` keeps a process ready (a fork server) that has imported all this and done nothing. Each
child is forked from it, so that it lives and dies like a `kehu` of its own, but begins at once.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from multiprocessing.connection import Connection
from typing import Any

warnings.filterwarnings("ignore")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

import great_expectations  # noqa: E402, F401  (imported here so that no child imports it)
import sklearn.linear_model  # noqa: E402, F401
import typer  # noqa: E402
from tqdm import tqdm  # noqa: E402

import kehu.score.run  # noqa: E402
from kehu import cli, console, night  # noqa: E402
from kehu.console import for_operators  # noqa: E402
from kehu.feeds import read_contracts  # noqa: E402
from kehu.settings import Settings  # noqa: E402

read_contracts(Settings().contracts)  # kept by their text
tqdm.set_lock(threading.RLock())  # the semaphore it would make outlives a killed process

# what a process does to the file system, as the interpreter tells it
DEEDS = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod",
    "shutil.rmtree", "shutil.copyfile", "fcntl.flock",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main(
    work: Callable[..., Any],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    says: Connection,
    dies_before: int | None,
) -> None:
    """Do `work`; `dies_before` counts the deed on the file system that SIGKILL comes before."""
    os.setsid()  # so that what it starts dies with it
    for descriptor in (1, 2):
        os.dup2(says.fileno(), descriptor)
    says.close()
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    console.out.file, console.err.file = sys.stdout, sys.stderr
    os.environ.update(environment)
    if largest := environment.get("FAULTS_LARGEST_FILE"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(largest), resource.RLIM_INFINITY))
    if "FAULTS_OBEYS_MODES" in environment:
        _obey_modes()
    if dies_before is not None:
        _die_before(dies_before)
    try:
        work(*arguments)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)


def _obey_modes() -> None:
    """Make permission bits count for root as for anybody: take CAP_DAC_* and CAP_FOWNER away."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, twice 32 bits of each
    if libc.capget(header, sets) == 0:
        for at in (0, 1, 2):
            sets[at] &= ~0b1110
        if libc.capset(header, sets) == 0:
            return
    raise OSError(ctypes.get_errno(), "capabilities can not be taken away")


def _die_before(deed: int) -> None:
    done = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event in DEEDS or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        ):
            done += 1
            if done == deed:
                os.killpg(os.getpid(), signal.SIGKILL)
                time.sleep(60)  # the other threads of a process die a moment later

    sys.addaudithook(watch)


@for_operators
def take_in(groups: tuple[str, ...], as_of: date) -> None:
    """The night's steps up to the load, group by group, as the DAGs of the feeds run them."""
    for group in groups:
        run_id = night.new_run_id(Settings())
        night.collect(group, run_id)
        with ThreadPoolExecutor(Settings().threads) as pool:
            list(pool.map(night.extract, night.plan(group, run_id)))
        night.gate(group, as_of, run_id)
        night.load(group, run_id)


@for_operators
def read(run_id: str) -> None:
    """The steps before the gate."""
    for chunk in night.plan(night.ALL, run_id):
        night.extract(chunk)


@for_operators
def judge(as_of: date, run_id: str) -> None:
    """The gate alone, as Airflow runs it."""
    night.gate(night.ALL, as_of, run_id)


@for_operators
def load(run_id: str) -> None:
    """The load alone, as Airflow runs it."""
    night.load(night.ALL, run_id)


@for_operators
def replay(batches: list[str], as_of: date) -> None:
    """Archived batches are judged and loaded once more, as an operator asks for it."""
    run_id = night.new_run_id(Settings())
    for chunk in night.replay(batches, run_id):
        night.extract(chunk)
    night.gate(night.ALL, as_of, run_id)
    night.load(night.ALL, run_id)


class _EnoughError(Exception):
    pass


def rebuild_to_the_load(as_of: date) -> None:
    """`kehu rebuild` as far as its load: what it set aside is forgotten, as at its end."""

    def enough(*_: Any, **__: Any) -> None:
        aside = Settings().home / "before-rebuild"
        shutil.rmtree(aside)
        aside.mkdir()
        raise _EnoughError

    night.transform = enough  # type: ignore[assignment]  # in this process, which ends with it
    try:
        night.rebuild(as_of)
    except _EnoughError:
        return


@for_operators
def build(step: str, as_of: date, run_id: str) -> None:
    """One step of the night after the load: core, score, marts, audit or publish."""
    if step in ("core", "marts"):
        night.transform(step, as_of, run_id)
    else:
        {"score": night.score, "audit": night.audit, "publish": night.publish}[step](as_of, run_id)


def kehu(*arguments: str) -> None:
    """A command as an operator types it."""
    cli.app(list(arguments))
