"""docs.html: what is taken out of it, and that nothing in it can ask a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kehu import lineage
from kehu.settings import Settings


def _manifest() -> dict[str, Any]:
    node = {
        "original_file_path": "models/marts/mart_x.sql",
        "compiled_path": "/home/somebody/kehu/var/dbt/target/compiled/mart_x.sql",
        "created_at": 1.5,
        "compiled_code": None,
        "depends_on": {"macros": ["macro.kehu.mine", "macro.dbt.theirs"], "nodes": []},
    }
    return {
        "metadata": {
            "project_name": "kehu",
            "user_id": "u-1",
            "invocation_id": "i-1",
            "env": {"WHO": "somebody"},
            "send_anonymous_usage_stats": True,
        },
        "nodes": {"model.kehu.mart_x": node},
        "macros": {
            "macro.kehu.mine": {"package_name": "kehu"},
            "macro.dbt.theirs": {"package_name": "dbt"},
        },
    }


def test_run_and_machine_are_taken_out(tmp_path: Path) -> None:
    compiled = tmp_path / "compiled" / "kehu" / "models" / "marts"
    compiled.mkdir(parents=True)
    (compiled / "mart_x.sql").write_text("select 1")
    found = lineage.cleaned(_manifest(), tmp_path)
    assert "somebody" not in repr(found) and "u-1" not in repr(found) and "i-1" not in repr(found)
    assert found["metadata"]["send_anonymous_usage_stats"] is False
    assert list(found["macros"]) == ["macro.kehu.mine"]
    assert found["nodes"]["model.kehu.mart_x"] == {
        "original_file_path": "models/marts/mart_x.sql",
        "compiled_code": "select 1",
        "depends_on": {"macros": ["macro.kehu.mine"], "nodes": []},
    }


def test_a_folder_that_is_named_is_seen(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    text = f"compiled {tmp_path}/real/var/x.sql"
    assert lineage.told(text, [link]) == [str(tmp_path / "real")]
    assert lineage.told("compiled models/x.sql", [link, Path("/")]) == []


def test_a_page_that_would_load_something_does_not() -> None:
    page = (
        '<html><head><link rel="shortcut icon" href="${require(\'./favicon.ico\')}"/></head>'
        '<svg><use xlink:href="{{ getIcon(item.type) }}"></use></svg></html>'
    )
    text = lineage.offline(page)
    assert "default-src 'none'" in text.partition("</head>")[0]
    assert "favicon" not in text and " xlink:href" not in text


def test_another_version_of_the_project_has_another_page(tmp_path: Path) -> None:
    settings = Settings(project=tmp_path, home=tmp_path / "var")
    model = tmp_path / "models" / "marts" / "mart_x.yml"
    model.parent.mkdir(parents=True)
    model.write_text("description: One.")
    first = lineage.cached(settings)
    assert lineage.cached(settings) == first
    model.write_text("description: Another.")
    assert lineage.cached(settings) != first
    assert not lineage.place(settings, tmp_path), "none was made"
