"""The rulebook: every rule that contracts and suites imply, as rows of `ops.rule`.

The marts of quality need to know what was checked, also where nothing failed (definition Q1: rules
are rows). The load writes the book; nothing is judged by it.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
from pydantic import BaseModel

from kehu.errors import KehuError
from kehu.feeds import Contract
from kehu.gate.expect import read_suite
from kehu.gate.rules import row_rules, version_key
from kehu.settings import Settings

# dimensions of ISO/IEC 25012 by the first part of a row rule's id, or the last of a check's
DIMENSIONS = {
    "required": "COMPLETENESS",
    "type": "VALIDITY",
    "allowed": "VALIDITY",
    "range": "VALIDITY",
    "pattern": "VALIDITY",
    "digits": "ACCURACY",
    "length": "VALIDITY",
    "record": "VALIDITY",
    "value_ranges": "VALIDITY",
    "columns_and_types": "VALIDITY",
    "duplicate": "UNIQUENESS",
    "key_conflict": "UNIQUENESS",
    "key_unique": "UNIQUENESS",
    "freshness": "TIMELINESS",
    "day_volume": "COMPLETENESS",
    "day_volume_older": "COMPLETENESS",
    "store_day_volume": "COMPLETENESS",
}
OTHERWISE = "CONSISTENCY"


class Rule(BaseModel):
    """One rule of one feed."""

    feed: str
    rule_id: str
    rule_kind: str  # ROW, BATCH or FEED: what is counted when it is checked
    dimension: str
    column_name: str | None
    severity: str
    description: str


def rules_of(settings: Settings, contract: Contract) -> list[Rule]:
    """Every rule over rows, batches and the feed, one for each id."""
    feed = contract.feed
    found: dict[str, Rule] = {}

    def add(
        identity: str, kind: str, column: str | None, severity: str, says: str, dimension: str
    ) -> None:
        if identity in found:  # two ends of a range are one rule
            says = f"{found[identity].description}; {says}"
        found[identity] = Rule(
            feed=feed, rule_id=identity, rule_kind=kind, dimension=dimension, column_name=column,
            severity=severity, description=says,
        )  # fmt: skip

    for rule in row_rules(contract):
        says = f"{rule.column} {rule.description}"
        dimension = DIMENSIONS.get(rule.id, OTHERWISE)
        add(rule.full_id, "ROW", rule.column, "critical", says, dimension)
    last = version_key(contract)[-1]
    shared = ", ".join(version_key(contract))
    for identity, says in (
        ("duplicate", "a row stands once in a batch"),
        ("key_conflict", f"rows agree where they share {shared}"),
    ):
        add(f"{identity}:{last}", "ROW", last, "critical", says, DIMENSIONS[identity])
    for identity, column, says in (
        *((c.id, c.column, c.description) for c in contract.group_checks),
        *((c.id, c.column, c.description) for c in contract.lookups),
    ):
        add(f"{identity}:{column}", "ROW", column, "critical", says, OTHERWISE)
    add("record:(line)", "ROW", None, "critical", "the line is a record", DIMENSIONS["record"])
    for expectation in _expectations(settings, feed):
        meta = expectation["meta"]
        kind = "FEED" if meta.get("judges") == "feed" else "BATCH"
        name = meta["id"].rpartition(".")[2]
        dimension = meta.get("dimension") or DIMENSIONS.get(name, OTHERWISE)
        add(meta["id"], kind, None, expectation["severity"], expectation["description"], dimension)
    return list(found.values())


def _expectations(settings: Settings, feed: str) -> list[dict[str, Any]]:
    """Those of the feed's suite; none where it is missing or broken: its own gate says so and fails."""
    suite = settings.suite_files().get(feed)
    try:
        return read_suite(suite) if suite else []
    except KehuError:
        return []


def write_rulebook(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contracts: dict[str, Contract],
    as_of: date,
) -> None:
    """Make `ops.feed` and `ops.rule` say what holds now; a rule keeps the night it is known from."""
    rules = [r.model_dump() for c in contracts.values() for r in rules_of(settings, c)]
    feeds = [
        {
            "feed": c.feed,
            "feed_group": c.group,
            "has_pii": bool(c.pii_columns),
            "is_by_store": c.replace == "store_day",
        }
        for c in contracts.values()
    ]
    connection.execute("begin")
    connection.register("feed_rows", pa.Table.from_pylist(feeds))
    connection.register("rule_rows", pa.Table.from_pylist(rules))
    connection.execute("delete from ops.feed")
    connection.execute("insert into ops.feed by name select * from feed_rows")
    connection.execute(
        """create or replace temp table book as
        select r.*, least(coalesce(k.known_from, ?::date), ?::date) as known_from
        from rule_rows as r left join ops.rule as k using (feed, rule_id)""",
        [as_of, as_of],
    )
    connection.execute("delete from ops.rule")
    connection.execute("insert into ops.rule by name select * from book")
    connection.execute("drop table book")
    connection.unregister("feed_rows")
    connection.unregister("rule_rows")
    connection.execute("commit")
