"""A source in a contract: a mistake is told with file and line before anything is asked of a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from kehu.errors import ContractError
from kehu.feeds import read_contract
from kehu.settings import PROJECT

FEEDS = PROJECT / "expectations" / "feeds"
WITHOUT_WATERMARK = "select * from member"
RIGHT = "select * from member where updated_at >= :since"


def contract(folder: Path, feed: str, source: str) -> tuple[Path, int]:
    """A contract with a source; its file, and the line where the source stands."""
    text = (FEEDS / f"{feed}.yml").read_text(encoding="utf-8")
    path = folder / f"{feed}.yml"
    path.write_text(f"{text}source:\n{source}", encoding="utf-8")
    return path, text.count("\n") + 1


@pytest.mark.parametrize(
    ("feed", "source", "line", "words"),
    [
        ("member", f"  query: {RIGHT}\n  watermark: updated_at", 0, "connection: Field required"),
        ("member", f"  connection: e-rp\n  query: {WITHOUT_WATERMARK}", 1, "source.connection"),
        ("member", "  connection: erp\n  query: ' ; '", 2, "is empty"),
        (
            "member",
            f"  connection: erp\n  query: {RIGHT}\n  watermark: gone",
            3,
            "'gone', which is",
        ),
        ("member", f"  connection: erp\n  query: {RIGHT}\n  watermark: name", 3, "is varchar"),
        (
            "member",
            f"  connection: erp\n  query: {WITHOUT_WATERMARK}\n  watermark: updated_at",
            2,
            "add `where updated_at >= :since`",
        ),
        ("member", f"  connection: erp\n  query: {RIGHT}", 2, ":since needs a watermark"),
        (
            "member",
            f"  connection: erp\n  query: {RIGHT.replace('>=', '>')}\n  watermark: updated_at",
            2,
            "rows of the very same time would be lost",
        ),
        (
            "member",
            f"  connection: erp\n  query: {WITHOUT_WATERMARK}\n  look_back_days: 3",
            3,
            "says nothing without a watermark",
        ),
        (
            "member",
            f"  connection: erp\n  query: {RIGHT}\n  watermark: updated_at\n  look_back_days: -1",
            4,
            "greater than or equal to 0",
        ),
        (
            "sales_line",
            "  connection: erp\n  query: select * from s where sold_at >= :since\n  watermark: sold_at",
            3,
            "must be business_date where store-days replace each other",
        ),
        (
            "member",
            f"  connection: erp\n  query: {WITHOUT_WATERMARK}\n  password: x",
            3,
            "password",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, feed: str, source: str, line: int, words: str
) -> None:
    path, first = contract(tmp_path, feed, source)
    with pytest.raises(ContractError) as caught:
        read_contract(path)
    assert str(caught.value).startswith(f"{path}:{first + line}: field source")
    assert words in str(caught.value)


def test_a_right_source_is_read(tmp_path: Path) -> None:
    query = "  query: |\n    select *, a::date\n    from s where business_date >= :since;\n"
    path, _ = contract(
        tmp_path, "sales_line", f"  connection: erp\n{query}  watermark: business_date"
    )
    source = read_contract(path).source
    assert source is not None
    assert source.query.endswith(":since")  # the semicolon would end what the query is put into
    assert source.look_back_days == 3


def test_a_source_is_no_reason_to_type_batches_again(tmp_path: Path) -> None:
    path, _ = contract(tmp_path, "member", f"  connection: erp\n  query: {WITHOUT_WATERMARK}")
    assert read_contract(path).digest == read_contract(FEEDS / "member.yml").digest
