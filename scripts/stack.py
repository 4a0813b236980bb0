"""What the two stacks of this machine share: the state file, services by pid, starting, stopping."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ClassVar, NoReturn

import psutil
import typer
from rich.console import Console

PROJECT = Path(__file__).resolve().parents[1]

console = Console(highlight=False)
Home = Annotated[Path | None, typer.Option(help="KEHU_HOME, if not set in the environment")]


class Stack:
    """The services of one KEHU_HOME; what must outlive a command is in FOLDER/state.json."""

    FOLDER: ClassVar[str]

    def __init__(self, home: Path | None) -> None:
        self.home = (home or Path(os.environ.get("KEHU_HOME", "var"))).resolve()
        self.folder = self.home / self.FOLDER
        self.file = self.folder / "state.json"
        self.state: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.state.get('port')}"

    def save(self) -> None:
        """Write the state, readable by the owner alone: it holds secrets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(self.file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self.state, file, indent=1)

    def spawn(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Start one service in a session of its own and note its pid and start time."""
        with log.open("ab") as file:
            service = subprocess.Popen(
                command,
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        created = psutil.Process(service.pid).create_time()
        self.state.setdefault("services", {})[name] = (service.pid, created)
        self.save()
        return service

    def services(self) -> dict[int, psutil.Process | None]:
        """Return the services by pid, None for what has ended; not where another has the pid now."""
        found: dict[int, psutil.Process | None] = {}
        for pid, created in self.state.get("services", {}).values():
            try:
                process = psutil.Process(pid)
                if process.create_time() == created:
                    found[pid] = process
            except psutil.NoSuchProcess:
                found[pid] = None
        return found

    def processes(self) -> list[psutil.Process]:
        """Return the living processes that this stack has started: services and their offspring."""
        mine: dict[int, psutil.Process] = {}
        for process in filter(None, self.services().values()):
            try:
                mine |= {each.pid: each for each in [process, *process.children(recursive=True)]}
            except psutil.NoSuchProcess:
                continue
        return [each for each in mine.values() if is_alive(each)]

    def stop(self, patience: float = 20) -> None:
        """Stop all services; whatever does not end in `patience` seconds is killed."""
        mine = self.processes()
        for process in mine:
            try:
                process.terminate()
            except psutil.Error:
                continue
        psutil.wait_procs(mine, timeout=patience)
        while left := {*filter(is_alive, mine), *self.processes()}:
            for process in left:
                try:
                    process.kill()
                except psutil.Error:
                    continue
            psutil.wait_procs(left, timeout=5)


def is_alive(process: psutil.Process) -> bool:
    """Return whether `process` runs; one that has ended and waits for its parent does not."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def is_free(port: int) -> bool:
    """Return whether nobody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(
    ready: Callable[[], object],
    services: Mapping[str, subprocess.Popen[bytes]],
    patience: float,
    log: Callable[[str], Path],
) -> bool:
    """Return whether `ready` came true within `patience` seconds.

    Raises SystemExit with its name and log where one of the services ends before.
    """
    begun = time.monotonic()
    while not ready():
        for name, service in services.items():
            if service.poll() is not None:
                raise SystemExit(f"{name} has ended: {log(name)}")
        if time.monotonic() - begun > patience:
            return False
        time.sleep(0.5)
    return True


def stay(services: Mapping[str, subprocess.Popen[bytes]], log: Callable[[str], Path]) -> None:
    """Wait for Ctrl-C; SystemExit where one of the services ends before."""
    console.print("Ctrl-C stops it.")
    wait_until(lambda: False, services, float("inf"), log)


@contextmanager
def stopping(stack: Stack) -> Iterator[None]:
    """Stop `stack` where what is done inside is interrupted, by Ctrl-C or SIGTERM, or gives up."""

    def interrupt(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        console.print("stopping …")
        stack.stop()
    except SystemExit:
        stack.stop()
        raise
