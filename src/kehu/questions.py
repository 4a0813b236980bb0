"""The questions of a customer manager: one SQL file each, with what it asks in its head."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from kehu.errors import KehuError

FOLDER = Path("dbt_project") / "analyses" / "questions"
_NAME = re.compile(r"q(\d+)_\w+\.sql")


@dataclass(frozen=True)
class Question:
    """A question with its query; `trap` says what a naive query would get wrong."""

    number: int
    title: str
    title_zh: str
    trap: str
    definitions: tuple[str, ...]
    sql: str
    path: Path


def read_questions(project: Path) -> dict[int, Question]:
    """All questions of a project by number; KehuError where a head lacks a part."""
    found: dict[int, Question] = {}
    for path in sorted((project / FOLDER).glob("q*.sql")):
        question = read_question(path)
        if question.number in found:
            raise KehuError(f"{path}: {found[question.number].path.name} has the same number")
        found[question.number] = question
    return dict(sorted(found.items()))


def read_waiting(project: Path) -> dict[int, tuple[str, str]]:
    """The questions that the README lists without a file: what they ask, and why nothing answers yet."""
    page = project / FOLDER / "README.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    rows = re.findall(r"^\| (\d+) \| ([^\[|]+?) \| ([^|]+?) \|$", text, re.MULTILINE)
    return {int(number): (title, reason) for number, title, reason in rows}


def read_question(path: Path) -> Question:
    """One file; its head is `-- 7. title`, `-- 中文：…`, `-- Trap: …`, `-- Definitions: P13, P17`.

    A part goes on in the next lines until the next one begins.
    """
    sql = path.read_text(encoding="utf-8")
    name = _NAME.fullmatch(path.name)
    lines = []
    for line in sql.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    head = " ".join(lines)
    parts = re.fullmatch(r"(\d+)\. (.+?) 中文：(.+?) Trap: (.+?) Definitions: ([\w, ]+)", head)
    if name is None or parts is None or name[1].lstrip("0") != parts[1]:
        raise KehuError(
            f"{path}: the head must read `-- N. question`, `-- 中文：…`, `-- Trap: …`, "
            "`-- Definitions: X1, X2`, with the number of the file name"
        )
    definitions = tuple(key.strip() for key in parts[5].split(","))
    return Question(int(parts[1]), parts[2], parts[3], parts[4], definitions, sql, path)
