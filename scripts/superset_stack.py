"""Start and stop Apache Superset with Kehu's dashboards on this machine.

    scripts/superset_stack.py up        import bi/superset, serve
    scripts/superset_stack.py status
    scripts/superset_stack.py export    what is in Superset now, written back into bi/superset
    scripts/superset_stack.py down
    scripts/superset_stack.py           up, and down again on Ctrl-C

Superset lives in an environment of its own (.superset/venv, from bi/superset/requirements.lock);
what it keeps is under KEHU_HOME/superset: its database (SQLite), its secret key, the login, logs.
It reads KEHU_HOME/published/kehu.duckdb, or what --uri names, and never writes it.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Annotated

import duckdb
import httpx
import typer

sys.path.append(str(Path(__file__).resolve().parent))

import stack as shared
import superset_bundle as bundle
from stack import PROJECT, Home, console, free_port

USER = "admin"
PYTHON = Path(os.environ.get("KEHU_SUPERSET_PYTHON") or PROJECT / ".superset/venv/bin/python")

app = typer.Typer(add_completion=False, help=__doc__)


class Stack(shared.Stack):
    """Superset's web server."""

    FOLDER = "superset"

    @property
    def log(self) -> Path:
        """Where Superset writes what it does."""
        return self.folder / "superset.log"

    def settle(self, port: int | None, password: str | None) -> None:
        """Fill in what a first start decides: the key, the login, the port."""
        self.state.setdefault("secret", secrets.token_urlsafe(48))
        self.state["password"] = password or self.state.get("password") or secrets.token_urlsafe(12)
        self.state["port"] = port or self.state.get("port") or 8088
        if not shared.is_free(self.state["port"]):
            if port:
                raise SystemExit(f"Port {port} is taken; choose another with --port.")
            self.state["port"] = free_port()
        self.save()

    def environment(self) -> dict[str, str]:
        """Return the environment of Superset's processes."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SUPERSET_", "FLASK_"))}
        return clean | {
            "KEHU_SUPERSET_FOLDER": str(self.folder),
            "KEHU_SUPERSET_SECRET": self.state["secret"],
            "SUPERSET_CONFIG_PATH": str(PROJECT / "bi/superset/superset_config.py"),
            "SUPERSET_HOME": str(self.folder),
            "FLASK_APP": "superset.app:create_app()",
            "PYTHONWARNINGS": "ignore",
            "OMP_NUM_THREADS": "1",
        }

    def uri(self, given: str | None) -> str:
        """What Superset reads: `given`, or the published file of the home."""
        if given:
            return given
        published = self.home / "published" / "kehu.duckdb"
        if not published.exists():
            raise SystemExit(
                f"{published} is not there: nothing has been published yet. "
                "`make demo` publishes a year of real sales."
            )
        return f"duckdb:///{published}"

    def prepare(self, uri: str) -> int:
        """Migrate Superset's database and import the bundle; return how many files it has."""
        files = bundle.assemble(uri, simulated_feeds(uri))
        order = {
            "login": {"username": USER, "password": self.state["password"]},
            "files": files,
            "former": self.state.get("imported", []),
        }
        imported = self.folder / "imported.json"
        with self.log.open("a") as log:
            done = subprocess.run(
                [str(PYTHON), str(PROJECT / "bi/superset/prepare.py"), str(imported)],
                input=json.dumps(order),
                env=self.environment(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        if done.returncode:
            end = self.log.read_text()[-2000:]
            raise SystemExit(f"{end}\nSuperset could not be prepared; the log: {self.log}")
        self.state["imported"] = json.loads(imported.read_text())
        imported.unlink()
        self.save()
        return len(files)

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the web server."""
        command = [
            *(str(PYTHON), "-m", "gunicorn", "--bind", f"127.0.0.1:{self.state['port']}"),
            *("--workers", "1", "--worker-class", "gthread", "--threads", "8"),
            *("--timeout", "120", "superset.app:create_app()"),
        ]
        return self.spawn("web", command, self.environment(), self.log)

    def is_healthy(self) -> bool:
        """Whether the web server answers."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).text == "OK"
        except httpx.HTTPError:
            return False

    def client(self) -> httpx.Client:
        """Return a client of the REST API that is logged in."""
        api = f"{self.url}/api/v1"
        login = {"username": USER, "password": self.state["password"], "provider": "db"}
        answer = httpx.post(f"{api}/security/login", json=login, timeout=60).raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Referer": self.url}
        token = httpx.get(f"{api}/security/csrf_token/", headers=headers, timeout=60)
        headers["X-CSRFToken"] = token.raise_for_status().json()["result"]
        return httpx.Client(base_url=api, headers=headers, cookies=token.cookies, timeout=120)

    def show(self) -> None:
        """Print where to look and how to log in; the password once."""
        console.print(f"Superset  {self.url}/dashboard/list/", soft_wrap=True)
        is_told = self.state.get("told") == self.state["password"]
        shown = (
            f"as printed before; it is kept in {self.file}" if is_told else self.state["password"]
        )
        console.print(f"login     {USER} / {shown}", markup=False, soft_wrap=True)
        console.print(f"log       {self.log}", soft_wrap=True)
        self.state["told"] = self.state["password"]
        self.save()


def simulated_feeds(uri: str) -> set[str]:
    """The feeds whose loaded batches say that they are simulated, asked of what is served."""
    query = "select distinct feed from marts.mart_load where is_simulated and status = 'LOADED'"
    if uri.startswith("duckdb:///"):
        with duckdb.connect(uri.removeprefix("duckdb:///"), read_only=True) as connection:
            return {feed for (feed,) in connection.execute(query).fetchall()}
    from sqlalchemy import create_engine, text

    with create_engine(uri).connect() as server:
        return {feed for (feed,) in server.execute(text(query))}


@app.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: `up --foreground`."""
    if context.invoked_subcommand is None:
        up(foreground=True)


@app.command()
def up(
    home: Home = None,
    uri: Annotated[
        str | None,
        typer.Option(envvar="KEHU_SUPERSET_URI", help="What to read; else the published file"),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port; else 8088 or a free one")] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="KEHU_SUPERSET_PASSWORD", help="The admin's; else made at random"),
    ] = None,
    foreground: Annotated[bool, typer.Option(help="Stay, and stop it on Ctrl-C")] = False,
    patience: Annotated[
        float, typer.Option(help="Seconds until it must answer once it is imported")
    ] = 300,
) -> None:
    """Import bi/superset and serve it; a second time: import again and serve."""
    stack = Stack(home)
    place = stack.uri(uri)
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is not there: `make superset` installs Superset first.")
    if stack.processes():
        console.print("It runs already; it is stopped to be prepared anew.")
        stack.stop()
    begun = time.monotonic()
    with shared.stopping(stack):
        stack.settle(port, password)
        with console.status("Superset's database is prepared, the dashboards imported …"):
            count = stack.prepare(place)
        console.print(f"imported {count} files after {time.monotonic() - begun:.0f} s")
        services = {"Superset": stack.launch()}
        with console.status("Superset starts …"):
            if not shared.wait_until(stack.is_healthy, services, patience, lambda _: stack.log):
                raise SystemExit(f"No answer after {patience:.0f} s: {stack.log}")
        console.print(f"answers after {time.monotonic() - begun:.0f} s")
        stack.show()
        if foreground:
            shared.stay(services, lambda _: stack.log)


@app.command()
def status(home: Home = None) -> None:
    """Say whether it runs; ends with 1 unless it answers."""
    stack = Stack(home)
    if not stack.processes() or not stack.is_healthy():
        console.print("not running")
        raise typer.Exit(1)
    stack.show()


@app.command()
def export(home: Home = None) -> None:
    """Write Kehu's dashboards and charts, as they are in Superset now, back into bi/superset."""
    stack = Stack(home)
    with stack.client() as client:
        archive = client.get("/assets/export/").raise_for_status().content
    changed = write_back(archive, bundle.BUNDLE)
    console.print("\n".join(changed) or "nothing differs", markup=False)
    found = list(bundle.problems(bundle.read()))
    console.print("\n".join(found), markup=False)
    raise typer.Exit(1 if found else 0)


def write_back(archive: bytes, folder: Path) -> list[str]:
    """Write the dashboards of the bundle in `folder`, and the charts on them, as they were exported.

    Returns the names of the files that changed. Datasets are not written: they follow from the models.
    """
    own = {c["uuid"]: n for n, c in bundle.read(folder).items() if "uuid" in c}
    with zipfile.ZipFile(io.BytesIO(archive)) as exported:
        contents = [
            bundle.load(exported.read(name).decode())
            for name in exported.namelist()
            if name.split("/")[1] in ("charts", "dashboards")
        ]
    for dashboard in (c for c in contents if own.get(c["uuid"], "").startswith("dashboards/")):
        for child in bundle.charts_of(dashboard):
            uuid = child["meta"]["uuid"]
            own.setdefault(
                uuid, f"charts/{dashboard['slug'].removeprefix('kehu-')}_{uuid[:8]}.yaml"
            )
    changed = []
    for content in contents:
        if not (name := own.get(content["uuid"])):
            continue  # somebody's own
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = bundle.dump(bundle.neutral(bundle.load(before) if before else None, content))
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(name)
    return changed


@app.command()
def down(home: Home = None) -> None:
    """Stop it and leave no process."""
    stack = Stack(home)
    with console.status("stopping …"):
        stack.stop()
    console.print("stopped")


if __name__ == "__main__":
    app()
