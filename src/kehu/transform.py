"""Transform: one `dbt build` per layer, as a subprocess, because dbt keeps its files locked otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

from kehu import __version__, lineage
from kehu.errors import CheckFailed, KehuError
from kehu.files import write_atomically
from kehu.gate.expect import CheckResult
from kehu.machine import in_text
from kehu.score.store import make_tables
from kehu.seeds import own_seeds, seed_texts
from kehu.settings import Settings
from kehu.warehouse import make_marts, open_marts, set_as_of

SEEDS = "path:seeds"
LAYERS = {
    "core": f"{SEEDS} path:models/staging path:models/intermediate path:models/core",
    "marts": "path:models/marts",
}


def environment(settings: Settings) -> dict[str, str]:
    """What the dbt profile reads."""
    return os.environ | {
        "DBT_PROFILES_DIR": str(settings.project / "dbt_project"),
        "KEHU_WAREHOUSE": str(settings.warehouse),
        "KEHU_MARTS": str(settings.marts),
        "KEHU_MEMORY_LIMIT": settings.memory_limit,
        "KEHU_THREADS": str(settings.threads),
        "DO_NOT_TRACK": "1",
    }


def outcome_of(settings: Settings) -> Path:
    """What the last run of dbt left: results, tables and tests of the project."""
    return settings.home / "dbt" / "outcome.json"


def project_folder(settings: Settings) -> Path:
    """The dbt project: that of the checkout, with a company's own seeds where it has some.

    `kehu.seeds` says which rows give way to them.
    """
    if not own_seeds(settings):
        return settings.project
    folder = settings.home / "dbt" / "project"
    seeds = folder / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for name in ("dbt_project.yml", "models", "dbt_project"):
        if (
            not (folder / name).is_symlink()
            or (folder / name).readlink() != settings.project / name
        ):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(settings.project / name)
    texts = seed_texts(settings)
    for gone in {p.name for p in seeds.iterdir()} - set(texts):
        (seeds / gone).unlink()
    for name, text in texts.items():
        if not (seeds / name).exists() or (seeds / name).read_bytes() != text:
            write_atomically(seeds / name, text)
    return folder


def run_dbt(
    settings: Settings, arguments: list[str], as_of: date, docs: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run dbt as of a date, with the project's folders; output is captured, nothing is raised.

    `docs` is where the page of the project goes, where all went well.

    The date goes into a table and not into a var: with another var, dbt reads the project anew.
    """
    target = settings.home / "dbt" / "target"
    target.mkdir(parents=True, exist_ok=True)
    set_as_of(settings, as_of)
    project = project_folder(settings)
    variables = {"param_scope": settings.param_scope}
    outcome_of(settings).unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "kehu.dbt_run", str(outcome_of(settings))),
        *arguments,
        "--project-dir",
        str(project),
        "--target-path",
        str(target),
        "--log-path",
        str(settings.home / "dbt" / "logs"),
        "--vars",
        json.dumps(variables),
    ]
    return subprocess.run(
        command,
        env=environment(settings) | ({"KEHU_DBT_DOCS": str(docs)} if docs else {}),
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def build(
    settings: Settings, layer: str, as_of: date, *, full_refresh: bool = False
) -> list[CheckResult]:
    """Build one layer and run its tests; CheckFailed names each failed test, on what, and the rows' query.

    Returns the outcome of every test.
    """
    make_marts(settings)
    with open_marts(settings.marts, read_only=False) as connection:
        make_tables(connection)
    full_refresh = _prepare(settings) or full_refresh
    selected = LAYERS[layer].split()
    if layer == "core" and not full_refresh and _seeds_stand(settings):
        selected.remove(SEEDS)
    page = lineage.cached(settings)
    done = run_dbt(
        settings,
        [
            "build",
            "--select",
            *selected,
            "--exclude-resource-type",
            "unit_test",
            *(["--indirect-selection", "eager"] if layer == "marts" else []),
            *(["--full-refresh"] if full_refresh else []),
        ],
        as_of,
        docs=page if layer == "marts" and not page.exists() else None,
    )
    outcome = _outcome(settings)
    if outcome is None:
        said = done.stdout + done.stderr
        raise in_text(said, settings) or KehuError(f"dbt did not run: {_tail(said)}")
    results, problems = _read(settings, outcome, layer)
    if done.returncode != 0 and not problems:
        problems.append(_tail(done.stdout))
    if fault := in_text("\n".join(problems), settings):
        raise fault
    if problems:
        raise CheckFailed(
            f"{layer}: {len(problems)} problem(s); the previous publication stays.\n"
            + "\n".join(problems)
        )
    if layer == "core":
        write_atomically(_seeds_mark(settings), _seeds_digest(settings))
    if layer == "marts":
        _drop_forgotten(settings, outcome["tables"])
        _mark_built(settings)
    return results


def docs_problem(settings: Settings) -> str | None:
    """Why the last build could not make the page of the project, if so."""
    problem: str | None = (_outcome(settings) or {}).get("docs")
    return problem


def _outcome(settings: Settings) -> dict[str, Any] | None:
    """What dbt wrote at its end; None where it did not come to it."""
    try:
        outcome: dict[str, Any] = json.loads(outcome_of(settings).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return outcome


def _seeds_stand(settings: Settings) -> bool:
    """Whether the tables of the seeds are those of the files: dbt takes seconds to read them in.

    Where they are not, the mark goes first: a build killed on the way, and files put back to what they
    were, must not pass for loaded.
    """
    mark = _seeds_mark(settings)
    with open_marts(settings.marts) as connection:
        tables = {
            name
            for (name,) in connection.execute(
                "select table_name from information_schema.tables "
                "where table_catalog = 'kehu' and table_schema = 'core'"
            ).fetchall()
        }
    stand = (
        mark.exists()
        and mark.read_text() == _seeds_digest(settings)
        and {path.stem for path in (project_folder(settings) / "seeds").glob("*.csv")} <= tables
    )
    if not stand:
        mark.unlink(missing_ok=True)
    return stand


def _seeds_mark(settings: Settings) -> Path:
    return settings.home / "dbt" / "seeds"


def _seeds_digest(settings: Settings) -> str:
    return _digest(project_folder(settings), "seeds/**/*")


def _prepare(settings: Settings) -> bool:
    """Drop what a killed build left; true where the marts were built by another version of the code."""
    mark = settings.home / "dbt" / "built_by.json"
    other = mark.exists() and json.loads(mark.read_text()).get("models") != models_digest(settings)
    with open_marts(settings.marts, read_only=False) as connection:
        left = connection.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where table_catalog = 'kehu' and table_name like '%\\_\\_dbt\\_%' escape '\\'"
        ).fetchall()
        for schema, name, kind in left:
            connection.execute(f'drop {"view" if kind == "VIEW" else "table"} "{schema}"."{name}"')
    return other


def _drop_forgotten(settings: Settings, known: list[list[str]]) -> None:
    """Drop tables of models that are no longer in the project, so that they are not published.

    `known` are the database, schema and name of what dbt builds, and of what others write beside it.
    """
    kept = {(schema, name) for database, schema, name in known if database == "marts"}
    with open_marts(settings.marts, read_only=False) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_catalog = 'kehu'"
        ).fetchall()
        for schema, name in tables:
            if (schema, name) not in kept:
                connection.execute(f'drop table "{schema}"."{name}"')


def _mark_built(settings: Settings) -> None:
    write_atomically(
        settings.home / "dbt" / "built_by.json",
        json.dumps({"models": models_digest(settings), "code_version": __version__}),
    )


def models_digest(settings: Settings) -> str:
    """Of all SQL that decides what incremental tables hold; a change of it means a full refresh."""
    return _digest(settings.project, "models/**/*.sql", "dbt_project/macros/**/*.sql")


def _digest(root: Path, *patterns: str) -> str:
    """Of the names and contents of the files that match, in the order of the patterns."""
    digest = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(root.glob(pattern)):
            if path.is_file():
                digest.update(path.relative_to(root).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(
    settings: Settings, outcome: dict[str, Any], layer: str
) -> tuple[list[CheckResult], list[str]]:
    results: list[CheckResult] = []
    problems: list[str] = []
    for result in outcome["results"]:
        name = result["unique_id"].split(".")[2]
        status = result["status"]
        if result["unique_id"].startswith("test."):
            results.append(
                CheckResult(
                    check_id=name,
                    feed=layer,
                    severity="warning" if status == "warn" else "critical",
                    success=status == "pass",
                    description=name,
                    observed=""
                    if status == "pass"
                    else f"{result['failures']} rows: {result['message']}",
                )
            )
        if status in ("error", "fail", "runtime error"):
            compiled = result.get("relation_name") or name
            hint = (
                f"rows: kehu failing-rows {name}"
                if result["unique_id"].startswith("test.")
                else f"SQL: {settings.home / 'dbt' / 'target'}"
            )
            problems.append(f"  {result['unique_id']} ({compiled}): {result['message']}. {hint}")
    return results, problems


def compiled_sql(settings: Settings, test: str) -> str:
    """The query of a dbt test as it last ran; KehuError where its name, or the beginning of it, is of none
    or of several.
    """
    outcome = outcome_of(settings)
    if not outcome.exists():
        raise KehuError("nothing was built yet; `kehu night --as-of DATE` builds")
    tests = json.loads(outcome.read_text())["tests"]
    alike = [t for t in tests if t["name"].startswith(test)]
    alike = [t for t in alike if t["name"] == test] or alike
    if len(alike) != 1:
        told = f"several: {', '.join(t['name'] for t in alike[:5])} ..." if alike else "none"
        raise KehuError(f"of the dbt tests, the name {test!r} begins {told}")
    [found] = alike
    root = settings.home / "dbt" / "target" / "compiled" / "kehu"
    path = next(root.rglob(Path(found["path"]).name), None)
    if path is None:
        raise KehuError(f"the test {test!r} was not run yet")
    return path.read_text()


def _tail(text: str, lines: int = 25) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
