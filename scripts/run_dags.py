"""Run the DAGs of one or more nights in this process, without a scheduler.

    scripts/run_dags.py 2017-12-29 2017-12-30 --before "scripts/deliver.sh {as_of}"

Each night runs the four feed DAGs, then kehu_publish, exactly as Airflow would, with its own
metadata database (SQLite) under KEHU_HOME/airflow. What Airflow and the steps log goes to
KEHU_HOME/log/airflow/<night>.log. Ends with 1 as soon as a task has failed, showing why.
"""

import os
import shlex
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

PROJECT = Path(__file__).resolve().parents[1]
FEEDS = ("kehu_masters", "kehu_transactions", "kehu_surveys", "kehu_complaints")


class Screen:
    """Shows one line per step; a listener of Airflow's task events."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.started: dict[str, float] = {}
        self.mapped: dict[str, int] = {}
        self.errors: list[tuple[str, str]] = []
        self.status = console.status("")

    def begin(self, name: str) -> None:
        """Show that step `name` is under way."""
        self.started.setdefault(name, time.monotonic())
        self.status.update(f"{name} …")
        self.status.start()

    def end(self, name: str, outcome: str, count: int = 1) -> None:
        """Print the line of step `name`."""
        self.status.stop()
        seconds = time.monotonic() - self.started.pop(name, time.monotonic())
        colour = {"done": "green", "failed": "red"}.get(outcome, "dim")
        many = f" ×{count}" if count > 1 else ""
        self.console.print(
            f"  {name + many:<34} {seconds:>7.1f} s  [{colour}]{outcome}[/{colour}]",
            highlight=False,
        )

    def flush(self) -> None:
        """Print the lines of mapped steps whose last part has ended."""
        for name, count in self.mapped.items():
            self.end(name, "done", count)
        self.mapped.clear()

    def running(self, ti: Any) -> None:
        """Note that a task has begun."""
        name = f"{ti.dag_id}.{ti.task_id}"
        if name not in self.mapped:
            self.flush()
        self.begin(name)

    def finished(self, ti: Any, outcome: str, error: Any = None) -> None:
        """Note that a task has ended, with its error if it failed."""
        name = f"{ti.dag_id}.{ti.task_id}"
        if ti.map_index is not None and ti.map_index >= 0 and outcome == "done":
            self.mapped[name] = self.mapped.get(name, 0) + 1
            return
        self.flush()
        self.end(name, outcome)
        if error is not None:
            self.errors.append((name, str(error) or type(error).__name__))


def listener(screen: Screen) -> Any:
    """Return an Airflow listener that reports task events to `screen`."""
    from airflow.listeners import hookimpl

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state: Any, task_instance: Any) -> None:
            screen.running(task_instance)

        @hookimpl
        def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
            screen.finished(task_instance, "done")

        @hookimpl
        def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
            screen.finished(task_instance, "skipped")

        @hookimpl
        def on_task_instance_failed(
            self, previous_state: Any, task_instance: Any, error: Any
        ) -> None:
            screen.finished(task_instance, "failed", error)

    return Listener()


def configure(home: Path) -> None:
    """Point Airflow at `home`/airflow and at the DAGs of this checkout; before it is imported."""
    airflow = home / "airflow"
    airflow.mkdir(parents=True, exist_ok=True)
    os.environ |= {
        "AIRFLOW_HOME": str(airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DEFAULT_TIMEZONE": os.environ.get("KEHU_TIMEZONE", "Asia/Shanghai"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "KEHU_RETRIES": os.environ.get("KEHU_RETRIES", "0"),
        "KEHU_RETRY_DELAY": os.environ.get("KEHU_RETRY_DELAY", "0"),
    }


def prepare() -> dict[str, Any]:
    """Migrate the metadata database if it is new, create the pool, return the DAGs by id."""
    from airflow import __version__
    from airflow.dag_processing.dagbag import DagBag
    from airflow.models.pool import Pool
    from airflow.utils.db import initdb, upgradedb

    sys.path.insert(0, str(PROJECT / "dags"))
    mark = Path(os.environ["AIRFLOW_HOME"]) / "migrated"
    if not mark.exists() or mark.read_text() != __version__:
        (upgradedb if mark.exists() else initdb)()
        Pool.create_or_update_pool(
            "duckdb_writer", slots=1, description="One writer at a time", include_deferred=False
        )
        mark.write_text(__version__)
    bag = DagBag(str(PROJECT / "dags"))
    if bag.import_errors:
        raise SystemExit("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return dict(bag.dags)


def run_dag(dag: Any, as_of: date, screen: Screen) -> bool:
    """Run one DAG for the night `as_of`; return whether it succeeded."""
    import pendulum

    run = dag.test(logical_date=pendulum.now("UTC"), run_conf={"as_of": as_of.isoformat()})
    screen.flush()
    screen.status.stop()
    return str(run.state) == "success"


def redirect(log: Path) -> None:
    """Send everything that this process and its children print to the file `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def main(
    nights: Annotated[list[datetime] | None, typer.Argument(formats=["%Y-%m-%d"])] = None,
    as_of: Annotated[
        list[datetime] | None,
        typer.Option(formats=["%Y-%m-%d"], help="A night to run; the same as an argument"),
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="Command run before each night; {as_of} stands for its date"),
    ] = None,
) -> None:
    """Run the feed DAGs and kehu_publish for each night, in the order given."""
    days = [each.date() for each in [*(nights or []), *(as_of or [])]]
    if not days:
        raise typer.BadParameter("name at least one night, such as 2017-12-29")
    home = Path(os.environ.get("KEHU_HOME", "var")).resolve()
    os.environ["KEHU_HOME"] = str(home)
    console = Console(file=os.fdopen(os.dup(1), "w", encoding="utf-8"))
    screen = Screen(console)

    logs = home / "log" / "airflow"
    redirect(logs / "start.log")
    screen.begin("airflow starts")
    configure(home)
    dags = prepare()
    from airflow.sdk.listener import get_listener_manager

    get_listener_manager().add_listener(listener(screen))
    screen.end("airflow starts", "done")

    for day in days:
        log = logs / f"{day}.log"
        redirect(log)
        console.print(f"[bold]night of {day}[/bold]")
        if before:
            screen.begin("before")
            result = subprocess.run(shlex.split(before.format(as_of=day)), check=False)
            screen.end("before", "failed" if result.returncode else "done")
            if result.returncode:
                screen.errors.append(("before", f"{before} ended with {result.returncode}"))
        if not screen.errors:
            loaded = [run_dag(dags[name], day, screen) for name in FEEDS]
            if all(loaded) and run_dag(dags["kehu_publish"], day, screen):
                continue
        for name, message in screen.errors:
            console.print(f"[red]{name}[/red]: {escape(message)}", soft_wrap=True)
        console.print(f"The night of {day} failed; log: {log}", soft_wrap=True)
        console.file.flush()
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
