"""Reading the question files: what their head says, and what is wrong with a head."""

from __future__ import annotations

from pathlib import Path

import pytest

from kehu.errors import KehuError
from kehu.questions import FOLDER, read_question, read_questions, read_waiting
from kehu.settings import PROJECT

HEAD = "-- 7. What now,\n--   and where?\n-- 中文：怎么办？\n-- Trap: none.\n-- Definitions: P13, P17\n"


def test_all_questions_of_the_project() -> None:
    found = read_questions(PROJECT)
    assert list(found) == [*range(1, 14), 20]
    assert found[3].definitions == ("S3", "V4")
    assert found[3].title.startswith("Do 20 % of the customers") and found[3].title.endswith("?")
    assert found[3].title_zh.endswith("？")
    assert found[3].sql.rstrip().endswith("store_code = 'ALL'")


def test_a_head_over_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "q07_now.sql"
    path.write_text(HEAD + "select 1\n", encoding="utf-8")
    question = read_question(path)
    assert (question.number, question.title) == (7, "What now, and where?")
    assert (question.trap, question.definitions) == ("none.", ("P13", "P17"))


@pytest.mark.parametrize("name", ["q08_now.sql", "now.sql"])
def test_the_number_is_that_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(HEAD + "select 1\n", encoding="utf-8")
    with pytest.raises(KehuError, match="the head must read"):
        read_question(path)


def test_a_head_without_a_part_and_a_number_twice(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "q07_now.sql").write_text(HEAD + "select 1\n", encoding="utf-8")
    (folder / "q07_then.sql").write_text(HEAD + "select 1\n", encoding="utf-8")
    with pytest.raises(KehuError, match="has the same number"):
        read_questions(tmp_path)
    (folder / "q07_then.sql").write_text(HEAD.replace("Trap:", "But:"), encoding="utf-8")
    with pytest.raises(KehuError, match="the head must read"):
        read_questions(tmp_path)


def test_the_questions_that_wait_say_for_what() -> None:
    waiting = read_waiting(PROJECT)
    assert sorted([*waiting, *read_questions(PROJECT)]) == list(range(1, 21))
    assert waiting[17] == ("Stuck prize winners", "no feed `prize_claim`")


def test_a_project_without_a_list_has_none_that_wait(tmp_path: Path) -> None:
    assert read_waiting(tmp_path) == {}
