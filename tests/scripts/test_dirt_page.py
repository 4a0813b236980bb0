"""docs/dirt.md: what stands on the page, and what keeps `make lint` from accepting it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import dirt  # noqa: E402

TEST = """
import pytest

@pytest.mark.dirt(rule=1, example="a | b", outcome="accepted")
@pytest.mark.parametrize("n", [1])
@pytest.mark.dirt(rule=2, example="１", outcome="repaired to 1")
def test_files(n): ...
"""
MODEL = """
unit_tests:
  - name: twins
    config:
      meta:
        dirt:
          - {rule: 3, example: "a *", outcome: excluded and counted}
  - name: plain
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of three rules in which nothing is missing."""
    monkeypatch.setattr(dirt, "RULES", {1: "Bytes", 2: "Width", 3: "Twins"})
    for folder in ("tests", "models", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(TEST)
    (tmp_path / "models" / "twins.yml").write_text(MODEL)
    (tmp_path / dirt.PAGE).write_text(dirt.render(tmp_path).text)
    return tmp_path


def test_the_page_lists_each_case_under_its_rule(root: Path) -> None:
    assert dirt.check(root) == []
    table = [line for line in (root / dirt.PAGE).read_text().splitlines() if line.startswith("| ")]
    assert table[1:] == [
        "| 1 | Bytes | a \\| b | accepted | [test_files](../tests/test_a.py) |",
        "| 2 | Width | １ | repaired to 1 | [test_files](../tests/test_a.py) |",
        "| 3 | Twins | a \\* | excluded and counted | [twins](../models/twins.yml) |",
    ]


def test_a_stale_page_and_a_rule_without_a_test_are_told(root: Path) -> None:
    (root / "models" / "twins.yml").unlink()
    assert dirt.check(root) == [
        "docs/dirt.md: rule 3 (Twins) has no test",
        "docs/dirt.md is stale: `make dirt` writes it",
    ]


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ('rule=9, example="x", outcome="accepted"', "rule 9 is not in the catalogue"),
        ('rule=1, example="x", outcome="nice"', "the outcome begins with one of repaired,"),
        ('rule=1, example="x"', "says rule, example and outcome"),
        ('rule=1, example=EXAMPLE, outcome="accepted"', "says rule, example and outcome"),
    ],
)
def test_marks_that_say_nothing_are_told(mark: str, told: str, root: Path) -> None:
    path = root / "tests" / "test_b.py"
    path.write_text(f"@pytest.mark.dirt({mark})\ndef test_b(): ...\n")
    [problem] = dirt.check(root)
    assert problem.startswith("tests/test_b.py: test_b: ") and told in problem
