"""The promises of the project to those who pick it up."""

from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path

import pytest
import yaml

import kehu

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = {
    name.lower(): version
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", LOCK, flags=re.MULTILINE)
}


def declared(group: str | None = None) -> list[str]:
    """Names of the runtime dependencies, or of an extra's."""
    project = PROJECT["project"]
    wanted = project["optional-dependencies"][group] if group else project["dependencies"]
    return [re.split(r"[<>=!~ ;\[]", requirement)[0].lower() for requirement in wanted]


def test_lock_holds_every_declared_dependency() -> None:
    assert {*declared(), *declared("demo"), *declared("dev")} <= PINNED.keys()


def test_lock_pins_with_hashes() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9._-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 100
    assert [b.splitlines()[0] for b in blocks if "--hash=sha256:" not in b] == []


def test_lock_names_no_index_and_no_machine() -> None:
    assert re.findall(r"https?://|file:|--index-url|--find-links|^-e |^/", LOCK, re.MULTILINE) == []


def test_lock_obeys_the_pins_of_the_project() -> None:
    pins = dict(re.findall(r'"([a-z0-9-]+)==([0-9.]+)"', (ROOT / "pyproject.toml").read_text()))
    assert {name: PINNED[name] for name in pins} == pins


def test_versions_are_one() -> None:
    dbt = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert PROJECT["project"]["version"] == kehu.__version__ == dbt["version"]
    assert f"## [{kehu.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("group", [None, "dev"])
def test_every_dependency_is_explained(group: str | None) -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    listed = {name.lower() for name in re.findall(r"^\| `([^`]+)`", page, flags=re.MULTILINE)}
    assert set(declared(group)) <= listed


def test_dependency_page_names_the_locked_versions() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| ([^ |]+) \|", page, flags=re.MULTILINE)
    assert rows
    assert {n: v for n, v in rows if PINNED[n.lower()] != v} == {}


MARKDOWN = sorted(
    path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")]
)


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_named_in_the_docs_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.MULTILINE))
    assert {a or b for a, b in named} <= targets


def test_readme_shows_what_a_newcomer_needs_first() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:90])
    for needed in ("make demo", "make test", "kehu query", "mart_customer_value", "simulated"):
        assert needed in first_screen


def test_continuous_integration_runs_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text()


def test_pre_commit_runs_what_make_lint_runs() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = re.search(r"^lint:.*?\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert lint
    commands = re.findall(r"\$\(BIN\)/(.+)", lint[1])
    entries = [hook["entry"].removeprefix(".venv/bin/") for hook in hooks]
    assert [c.removesuffix(" .") for c in commands] == entries


def test_params_are_explained_in_the_seed() -> None:
    with (ROOT / "seeds" / "param.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows if not row["source"].strip()] == []


def test_no_secret_and_no_machine_path_is_tracked() -> None:
    suspicious = re.compile(r"/(home|root|Users)/\w|BEGIN [A-Z ]*PRIVATE KEY|AKIA[0-9A-Z]{16}")
    found = [
        str(path.relative_to(ROOT))
        for folder in ("src", "scripts", "dags", "models", "dbt_project", "docs", "expectations")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".yml", ".md", ".json"}
        and suspicious.search(path.read_text())
    ]
    assert found == []


def test_what_holds_the_invariants_exists() -> None:
    """Each test that the contributor's table of invariants names: dbt tests, files, functions."""
    page = (ROOT / "docs" / "contributor.md").read_text()
    table = page.split("## What must always hold")[1].split("\n## ")[0]
    named = set(re.findall(r"`([\w./]+)`", table))
    assert len(named) > 15
    models = "".join(p.read_text() for p in (ROOT / "models").rglob("*.yml"))
    tests = "".join(p.read_text() for p in (ROOT / "tests").rglob("test_*.py"))
    for name in named:
        assert (
            (ROOT / name).exists()
            or (ROOT / "dbt_project" / "tests" / f"{name}.sql").exists()
            or f"- name: {name}\n" in models
            or f"def {name}(" in tests
        ), name
