"""No check is an ornament: each rule and each expectation has a mutation that makes exactly it fail.

Three tables: row rules (derived from the contracts), expectations on feeds, expectations on marts.
A check without a mutation fails `test_every_...`.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from houses import AS_OF, CONTRACTS, VALID, House, Row, failing_rows, make_house, valid

from kehu.feeds import Contract
from kehu.gate.expect import CheckResult, Judged, read_suite, run_suites, validate_feeds
from kehu.gate.rules import RowRule, row_rules, version_key
from kehu.settings import PROJECT
from kehu.warehouse import open_marts

SUITES = PROJECT / "expectations" / "suites"
FEEDS = sorted(CONTRACTS)

# --- rules over rows --------------------------------------------------------------------------

WRONG_TYPE = {
    "int": "1.5",
    "flag": "2",
    "decimal": "1.23456789",
    "date": "2017-02-30",
    "timestamp": "2017-03-31 25:00:00",
}

# (feed, check id) → cells that break it
WRONG_ROW: dict[tuple[str, str], Row] = {
    ("sales_line", "sign"): {"qty": "-1"},
    ("sales_line", "clock"): {"sold_at": "2017-04-02 10:00:00"},
    ("survey_answer", "started_before_submitted"): {"started_at": "2017-03-30 09:05:01"},
    ("survey_answer", "answered"): {"answer_num": "", "answer_code": "", "answer_text": ""},
    ("complaint", "updated_after_received"): {"updated_at": "2017-03-30 09:59:59"},
    ("survey_question", "scale"): {"scale_max": "0"},
    ("survey_question", "wave"): {"wave_end": "2016-12-31"},
}

# (feed, check id) → rows of one group that break it together
WRONG_GROUP: dict[tuple[str, str], list[Row]] = {
    ("sales_line", "receipt_constant"): [{}, {"line_no": "2", "card_no": "K2"}],
    ("sales_line", "receipt_sum"): [{"net_amount": "9.97"}, {"line_no": "2", "net_amount": "9.97"}],
    ("complaint_event", "events_in_order"): [
        {},
        {"seq": "2", "occurred_at": "2017-03-30 09:59:59"},
    ],
}


# (feed, lookup id) → the other feed's row, and cells that break the rule beside it
WRONG_LOOKUP: dict[tuple[str, str], tuple[Row, Row]] = {
    ("survey_answer", "scale"): ({"scale_max": "10"}, {"answer_num": "11"}),
}

# (feed, repair id) → cells that it must mend, and the flags that say so
REPAIRED: dict[tuple[str, str], tuple[Row, list[str]]] = {
    ("sales_line", "sign"): (
        {"receipt_type": "RETURN"},
        [
            f"{n}:sign"
            for n in ("qty", "gross_amount", "discount_amount", "net_amount", "cost_amount")
        ],
    ),
    ("member", "unknown_date"): ({"birth_date": "1900-01-01"}, ["birth_date:unknown_date"]),
}


def break_rule(contract: Contract, rule: RowRule) -> Row:
    """Cells that break exactly this rule."""
    column = contract.columns[rule.column]
    match rule.id:
        case "type":
            wrong = (
                "x" * (column.args[0] + 1) if column.base == "varchar" else WRONG_TYPE[column.base]
            )
            return {rule.column: wrong}
        case "required":
            return {rule.column: ""}
        case "allowed":
            return {rule.column: "?"}
        case "range":
            below = "<" in rule.violated
            assert column.min is not None or column.max is not None
            bound = column.min if below else column.max
            return {rule.column: str(int(bound or 0) + (-1 if below else 1))}
        case "digits":
            return {rule.column: "6.22848E+15"}
        case _:
            return WRONG_ROW[contract.feed, rule.id]


def own(contract: Contract, name: str, changes: Row | None = None) -> Row:
    """A right row of its own key, and of its own receipt, complaint or response, changed."""
    first = contract.incomplete_group[-1] if contract.incomplete_group else contract.key[0]
    return valid(contract.feed, **({first: name} | (changes or {})))


@dataclass
class Wrong:
    """Rows of a file that break one rule, and the rule ids that each must be quarantined for."""

    name: str
    rows: list[Row]
    rules: list[list[str]]


def row_mutations(contract: Contract) -> list[Wrong]:
    """One entry for every rule of a contract."""
    found = []
    for i, rule in enumerate(row_rules(contract)):
        row = own(contract, f"W{i}", break_rule(contract, rule))
        found.append(Wrong(f"{rule.full_id} ({rule.description})", [row], [[rule.full_id]]))
    last = version_key(contract)[-1]
    twin = own(contract, "TWIN")
    found.append(Wrong("duplicate", [twin, twin], [[], [f"duplicate:{last}"]]))
    payload = next(
        n
        for n, c in reversed(contract.columns.items())
        if not c.required and n not in version_key(contract)
    )
    other = own(contract, "CONF", {payload: ""})
    conflict = [f"key_conflict:{last}"]
    found.append(Wrong("key_conflict", [own(contract, "CONF"), other], [conflict, conflict]))
    for check in contract.group_checks:
        rows = [
            own(contract, f"G-{check.id}"[:20], changes)
            for changes in WRONG_GROUP[contract.feed, check.id]
        ]
        found.append(Wrong(check.id, rows, [[f"{check.id}:{check.column}"]] * len(rows)))
    return found


@pytest.mark.parametrize("feed", FEEDS)
def test_every_row_rule_quarantines_its_row_and_no_other(feed: str, house: House) -> None:
    contract = CONTRACTS[feed]
    rows: list[Row] = []
    expected: dict[int, tuple[str, list[str]]] = {}
    for i, wrong in enumerate(row_mutations(contract)):
        rows.append(own(contract, f"V{i}"))
        for row, rules in zip(wrong.rows, wrong.rules, strict=True):
            rows.append(row)
            if rules:
                expected[len(rows) + 1] = (wrong.name, rules)
    path = house.drop(feed, rows)
    text = (house.settings.landing / path).read_text(encoding="utf-8").splitlines()
    text.append("a line that is no record")
    expected[len(text)] = ("record", ["record:(line)"])
    path = house.drop(feed, "\n".join(text) + "\n")
    _, folder = house.extract(path)
    split = house.judge(path)[path].split
    assert split is not None
    found = {line: (rules, raw) for line, rules, raw in house.quarantined(folder)}
    for line, (name, rules) in expected.items():
        assert line in found, f"{name}: line {line} was accepted: {text[line - 1]}"
        assert found[line] == (rules, text[line - 1]), name
    assert set(found) == set(expected)
    accepted = duckdb.execute(f"select _line from '{folder}/accepted.parquet'").fetchall()
    assert {line for (line,) in accepted} == set(range(2, len(text) + 1)) - set(expected)
    assert (split.rows_in, split.quarantined) == (len(text) - 1, len(expected))


@pytest.mark.parametrize("feed", FEEDS)
def test_right_rows_pass_every_rule(feed: str, house: House) -> None:
    path = house.drop(feed, [own(CONTRACTS[feed], f"V{i}") for i in range(3)])
    _, folder = house.extract(path)
    split = house.judge(path)[path].split
    assert split is not None
    assert (split.accepted, split.quarantined, house.quarantined(folder)) == (3, 0, [])


def test_every_check_of_a_contract_has_a_mutation() -> None:
    rows = {(c.feed, check.id) for c in CONTRACTS.values() for check in c.checks}
    groups = {(c.feed, check.id) for c in CONTRACTS.values() for check in c.group_checks}
    assert set(WRONG_ROW) == rows
    assert set(WRONG_GROUP) == groups
    assert set(WRONG_LOOKUP) == {(c.feed, x.id) for c in CONTRACTS.values() for x in c.lookups}
    assert set(REPAIRED) == {(c.feed, x.id) for c in CONTRACTS.values() for x in c.row_repairs}


@pytest.mark.parametrize(("feed", "lookup"), sorted(WRONG_LOOKUP))
def test_every_lookup_quarantines_its_row_and_no_other(
    feed: str, lookup: str, house: House
) -> None:
    contract = CONTRACTS[feed]
    rule = next(x for x in contract.lookups if x.id == lookup)
    other, wrong = WRONG_LOOKUP[feed, lookup]
    known = house.drop(rule.feed, [valid(rule.feed, **other)])
    rows = [own(contract, f"V{i}") for i in range(30)]
    path = house.drop(feed, [*rows, own(contract, "W", wrong)])
    _, folder = house.extract(path)
    house.judge(known, path)
    found = {line: rules for line, rules, _ in house.quarantined(folder)}
    assert found == {32: [f"{lookup}:{rule.column}"]}


@pytest.mark.parametrize(("feed", "repair"), sorted(REPAIRED))
def test_every_repair_of_a_row_mends_its_row_and_no_other(
    feed: str, repair: str, house: House
) -> None:
    contract = CONTRACTS[feed]
    cells, flags = REPAIRED[feed, repair]
    path = house.drop(feed, [own(contract, "V"), own(contract, "W", cells)])
    _, folder = house.extract(path)
    assert house.judge(path)[path].passed
    flagged = duckdb.execute(f"select _repairs from '{folder}/accepted.parquet' order by _line")
    assert flagged.fetchall() == [(None,), (flags,)]


# --- expectations on feeds --------------------------------------------------------------------


@dataclass
class Mutation:
    """A batch as the expectations see it: accepted rows by SQL over `base`, and its description."""

    feed: str
    fails: set[str]  # ids of the checks that must fail, without the feed's name
    rows: str = "select * from base"
    described: dict[str, Any] = field(default_factory=dict)


def many(count: int, changed: int, change: str) -> str:
    """`count` rows, the first `changed` of them changed."""
    return (
        f"select base.* replace (n::integer as line_no, {change.format(when=f'n <= {changed}')}) "
        f"from base, range(1, {count} + 1) as r(n)"
    )


def of_day(day: str, counts: dict[str, int]) -> str:
    """Rows of one day: so many for each store."""
    parts = [
        f"select base.* replace ('{store}' as store_code, date '{day}' as business_date, "
        f"n::integer as line_no) from base, range(1, {count} + 1) as r(n)"
        for store, count in counts.items()
    ]
    return " union all ".join(parts)


# what the warehouse holds already: Tuesdays, Wednesdays and Thursdays before AS_OF, a Friday
KNOWN_STORES = [f"V{n}" for n in range(1, 10)]
VOLUMES = [
    *[(d, "V1", 200) for d in ("2017-02-21", "2017-02-28", "2017-03-07", "2017-03-14")],
    *[(d, "V1", 200) for d in ("2017-03-01", "2017-03-08", "2017-03-15", "2017-03-22")],
    *[
        (d, store, count)
        for d in ("2017-03-02", "2017-03-09", "2017-03-16", "2017-03-23")
        for store, count in (("V2", 100), ("V3", 300))
    ],
    ("2017-03-30", "V3", 300),
]
SUNDAYS = ("2017-02-26", "2017-03-05", "2017-03-12", "2017-03-19")
SATURDAYS = ("2017-02-25", "2017-03-04", "2017-03-11", "2017-03-18")
# store → receipts, net amount, lines with a card, return lines of each of its Saturdays of 100 lines
PROFILES = {
    "V5": (1, 1000, 60, 0),
    "V6": (1, 1000, 100, 0),
    "V7": (1, 1000, 100, 0),
    "V8": (20, 1000, 100, 0),
}


def of_saturday(store: str, count: int, *changes: str) -> str:
    """Lines of the Saturday after those, with cells changed; `n` counts the lines."""
    changed = ", ".join(
        [f"'{store}' as store_code", "date '2017-03-25' as business_date", *changes]
    )
    return f"select base.* replace ({changed}) from base, range(1, {count} + 1) as r(n)"


LINE, RECEIPT = "n::integer as line_no", "'R' || n as receipt_no"

CARD = "case when {when} then 'K9' else card_no end as card_no"
PRODUCT = "case when {when} then 'P9' else sku_code end as sku_code"

FEED_MUTATIONS: dict[str, Mutation] = {
    "as it should be: 5 % unknown cards": Mutation("sales_line", set(), many(20, 1, CARD)),
    "unknown cards": Mutation("sales_line", {"unknown_cards"}, many(20, 2, CARD)),
    "as it should be: 2 % unknown products": Mutation("sales_line", set(), many(50, 1, PRODUCT)),
    "unknown products": Mutation("sales_line", {"unknown_products"}, many(50, 2, PRODUCT)),
    "unknown store": Mutation(
        "sales_line", {"unknown_stores"}, "select * replace ('S9' as store_code) from base"
    ),
    "control sum": Mutation(
        "sales_line",
        {"control_sum"},
        described={"has_manifest": True, "manifest_control_sum": "10.01", "control_sum": "10.00"},
    ),
    "as it should be: control sum": Mutation(
        "sales_line",
        set(),
        described={"has_manifest": True, "manifest_control_sum": "10.0", "control_sum": "10.00"},
    ),
    "as it should be: an amount that can not be parsed, so no sum": Mutation(
        "sales_line",
        set(),
        described={"manifest_control_sum": "10.01", "control_sum": "10.00", "control_unparsed": 1},
    ),
    "few lines of a day": Mutation(
        "sales_line",
        {"day_volume", "chain_day_volume", "store_day_volume"},
        of_day("2017-03-29", {"V1": 59}),
    ),
    "few lines of an older day": Mutation(
        "sales_line",
        {"day_volume_older", "chain_day_volume", "store_day_volume"},
        of_day("2017-03-21", {"V1": 59}),
    ),
    "fewer lines of a day than its stores have": Mutation(
        "sales_line",
        {"chain_day_volume", "store_day_volume"},
        of_day("2017-03-26", {"V4": 50}),
    ),
    "no cards in a store": Mutation(
        "sales_line",
        {"store_day_cards"},
        of_saturday("V5", 100, LINE, "null::varchar as card_no"),
    ),
    "returns in a store": Mutation(
        "sales_line",
        {"store_day_returns"},
        of_saturday(
            "V6", 100, LINE, "case when n <= 30 then 'RETURN' else 'SALE' end as receipt_type"
        ),
    ),
    "cents in a store": Mutation(
        "sales_line",
        {"store_day_value"},
        of_saturday("V7", 100, LINE, "(net_amount * 100)::decimal(18, 2) as net_amount"),
    ),
    "one line of each receipt": Mutation(
        "sales_line",
        {"store_day_basket"},
        of_saturday("V8", 100, RECEIPT, "timestamp '2017-03-25' + to_minutes(n) as sold_at"),
    ),
    "receipts twice under other numbers": Mutation(
        "sales_line",
        {"doubled_receipts"},
        of_saturday("V9", 20, RECEIPT, "timestamp '2017-03-25' + to_minutes(n // 4) as sold_at"),
    ),
    "as it should be: fewer than twenty receipts, all alike": Mutation(
        "sales_line", set(), of_saturday("V9", 19, RECEIPT)
    ),
    "few lines of a store": Mutation(
        "sales_line", {"store_day_volume"}, of_day("2017-03-30", {"V2": 19})
    ),
}

for _feed, _contract in CONTRACTS.items():
    _typed = next(n for n, c in _contract.columns.items() if c.base != "varchar")
    _last = next(n for n, c in reversed(_contract.columns.items()) if n != "void_flag")
    FEED_MUTATIONS |= {
        f"{_feed}: as it should be": Mutation(_feed, set(), described={"manifest_rows": 1}),
        f"{_feed}: key twice": Mutation(
            _feed, {"key_unique"}, "select * from base union all select * from base"
        ),
        f"{_feed}: rows of the manifest": Mutation(
            _feed, {"control_sum"}, described={"has_manifest": True, "manifest_rows": 2}
        ),
        f"{_feed}: column lost": Mutation(
            _feed, {"columns_and_types"}, f"select * exclude ({_last}) from base"
        ),
        f"{_feed}: column of another type": Mutation(
            _feed,
            {"columns_and_types"},
            f"select * replace ('x'::varchar as {_typed}) from base",
        ),
    }
    for _rule in row_rules(_contract):
        if _rule.id in ("required", "allowed", "range"):
            _cell = break_rule(_contract, _rule)[_rule.column]
            _value = "null" if _rule.id == "required" else f"'{_cell}'"
            _type = _contract.columns[_rule.column].sql_type
            FEED_MUTATIONS[f"{_feed}: {_rule.full_id} {_rule.description}"] = Mutation(
                _feed,
                {"value_ranges"},
                f"select * replace ({_value}::{_type} as {_rule.column}) from base",
            )

SEVERITY = {
    "key_unique": "critical",
    "control_sum": "critical",
    "columns_and_types": "critical",
    "value_ranges": "critical",
    "day_volume": "critical",
    "day_volume_older": "warning",
    "store_day_volume": "warning",
    "chain_day_volume": "warning",
    "store_day_cards": "warning",
    "store_day_returns": "warning",
    "store_day_value": "warning",
    "store_day_basket": "warning",
    "doubled_receipts": "warning",
    "unknown_cards": "warning",
    "unknown_products": "warning",
    "unknown_stores": "warning",
    "freshness": "warning",
}


@pytest.fixture(scope="module")
def judged_house(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, dict[str, Judged]]:
    """A house with one accepted row of each feed, and the batch that it makes."""
    house = make_house(tmp_path_factory.mktemp("mutations"))
    bases: dict[str, Judged] = {}
    for feed in FEEDS:
        path = house.drop(feed, [valid(feed)])
        meta, folder = house.extract(path)
        house.judge(path)
        bases[feed] = Judged(
            batch_id=meta.batch_id,
            feed=feed,
            path=path,
            accepted_path=folder / "accepted.parquet",
            rows_in=1,
            accepted=1,
            quarantined=0,
            has_manifest=False,
            manifest_rows=None,
            manifest_control_sum=None,
            control_sum=None,
            control_unparsed=0,
            is_empty_declared=False,
        )
    return house, bases


def write_reference(house: House) -> None:
    house.settings.reference.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            "create table volume(business_date date, store_code varchar, count_rows bigint, "
            "count_receipts bigint, net_amount decimal(38, 2), count_card_lines bigint, "
            "count_return_lines bigint)"
        )
        rows = [(*volume, None, None, None, None) for volume in VOLUMES]
        rows += [(day, store, 100, *p) for day in SATURDAYS for store, p in PROFILES.items()]
        rows += [(day, "V4", 100, None, None, None, None) for day in SUNDAYS]
        connection.executemany("insert into volume values (?, ?, ?, ?, ?, ?, ?)", rows)
        connection.execute(f"copy volume to '{house.settings.reference}/volume.parquet'")
        connection.execute("create table known(kind varchar, code varchar)")
        connection.executemany("insert into known values ('store', ?)", [[s] for s in KNOWN_STORES])
        connection.execute(f"copy known to '{house.settings.reference}/known.parquet'")


@pytest.fixture(scope="module")
def feed_results(
    judged_house: tuple[House, dict[str, Judged]],
) -> tuple[dict[str, dict[str, CheckResult]], list[CheckResult]]:
    """Failed checks of every mutated batch, and the results that concern no batch: one run for all."""
    house, bases = judged_house
    write_reference(house)
    batches = []
    folder = house.settings.home / "mutated"
    folder.mkdir()
    with duckdb.connect() as connection:
        for feed, base in bases.items():
            connection.execute(f"create table {feed}_base as from '{base.accepted_path}'")
        for i, (name, mutation) in enumerate(FEED_MUTATIONS.items()):
            path = folder / f"{i}.parquet"
            base = bases[mutation.feed]
            rows = mutation.rows.replace("from base", f"from {mutation.feed}_base as base")
            connection.execute(
                f"copy (select * replace (? as _batch_id) from ({rows})) to '{path}'", [name]
            )
            described = {"batch_id": name, "accepted_path": path} | mutation.described
            batches.append(base.model_copy(update=described))
    results = validate_feeds(house.settings, CONTRACTS, FEEDS, batches, AS_OF, "mutations")
    failed: dict[str, dict[str, CheckResult]] = {name: {} for name in FEED_MUTATIONS}
    for result in results:
        if result.batch_id is not None:
            assert not result.success
            failed[result.batch_id][result.check_id] = result
    return failed, [r for r in results if r.batch_id is None]


@pytest.mark.parametrize("name", sorted(FEED_MUTATIONS))
def test_a_mutated_batch_fails_its_expectation_and_no_other(
    name: str, feed_results: tuple[dict[str, dict[str, CheckResult]], list[CheckResult]]
) -> None:
    mutation = FEED_MUTATIONS[name]
    found = feed_results[0][name]
    assert set(found) == {f"{mutation.feed}.{check}" for check in mutation.fails}
    for check in mutation.fails:
        result = found[f"{mutation.feed}.{check}"]
        assert (result.feed, result.severity) == (mutation.feed, SEVERITY[check])
        assert result.observed
        assert "errored" not in result.observed


def test_what_concerns_no_batch_passes_on_fresh_data(
    feed_results: tuple[dict[str, dict[str, CheckResult]], list[CheckResult]],
) -> None:
    assert {r.check_id for r in feed_results[1]} == {
        f"{feed}.freshness"
        for feed in ("sales_line", "survey_answer", "complaint", "complaint_event")
    }
    assert all(r.success for r in feed_results[1])


STALE: dict[str, date] = {  # newest row of VALID + the days that the suite allows + 1
    "sales_line": date(2017, 4, 1),
    "survey_answer": date(2017, 4, 14),
    "complaint": date(2017, 4, 7),
    "complaint_event": date(2017, 4, 7),
}


@pytest.mark.parametrize("feed", sorted(STALE))
def test_freshness_warns_from_the_first_day_after_its_limit(
    feed: str, judged_house: tuple[House, dict[str, Judged]]
) -> None:
    house, bases = judged_house
    query = next(
        e for e in read_suite(SUITES / f"{feed}.json") if e["meta"]["id"] == f"{feed}.freshness"
    )
    assert (query["severity"], query["meta"]["judges"]) == ("warning", "feed")
    fresh = date.fromordinal(STALE[feed].toordinal() - 1)
    assert not failing_rows(house, feed, "freshness", [bases[feed]], fresh)
    assert failing_rows(house, feed, "freshness", [bases[feed]], STALE[feed])


def test_every_expectation_of_a_feed_has_a_mutation() -> None:
    covered = {f"{m.feed}.{check}" for m in FEED_MUTATIONS.values() for check in m.fails}
    covered |= {f"{feed}.freshness" for feed in STALE}
    written = {e["meta"]["id"]: e for feed in FEEDS for e in read_suite(SUITES / f"{feed}.json")}
    assert covered == set(written)
    assert {i: e["severity"] for i, e in written.items()} == {
        i: SEVERITY[i.split(".")[1]] for i in written
    }


def test_an_expectation_that_errors_fails_for_every_batch_of_its_feed(
    judged_house: tuple[House, dict[str, Judged]], tmp_path: Path
) -> None:
    house, bases = judged_house
    project = tmp_path / "project"
    shutil.copytree(SUITES, project / "expectations" / "suites")
    shutil.copytree(PROJECT / "seeds", project / "seeds")
    path = project / "expectations" / "suites" / "store.json"
    suite = json.loads(path.read_text())
    broken = {
        "type": "unexpected_rows_expectation",
        "kwargs": {"unexpected_rows_query": "select _batch_id, no_such_column from {batch}"},
        "meta": {"id": "store.broken"},
        "severity": "critical",
        "description": "can not be run",
    }
    path.write_text(json.dumps({"name": "store", "expectations": [*suite["expectations"], broken]}))
    settings = house.settings.model_copy(update={"project": project})
    two = [bases["store"], bases["store"].model_copy(update={"batch_id": "other"})]
    results = validate_feeds(settings, CONTRACTS, ["store"], two, AS_OF, "broken")
    errored = [r for r in results if not r.success and r.check_id == "store.broken"]
    assert {r.batch_id for r in errored} == {bases["store"].batch_id, "other"}
    assert all("errored" in r.observed and r.severity == "critical" for r in errored)


# --- expectations on marts --------------------------------------------------------------------

DAY = "'2017-03-31'"
MONTH = f"customer_id = 'm:1' and as_of_date = {DAY}"

# table → check → statement that breaks one row of it
MART_MUTATIONS: dict[str, dict[str, list[str]]] = {
    "core.fct_sales_line": {
        "key_unique": ["insert into {t} select * from {t} where line_no = 2"],
        "one_version": ["update {t} set source_version = 'v0' where line_no = 2"],
        "keys_known": [
            "update {t} set store_key = 404 where line_no = 2",
            "update {t} set product_key = 404 where line_no = 2",
            "update {t} set receipt_key = 404 where line_no = 2",
        ],
    },
    "core.fct_receipt": {
        "key_unique": ["insert into {t} select * replace ('S2' as store_code) from {t}"],
        "sums_of_lines": [
            "update {t} set count_lines = 3",
            "update {t} set net_amount = net_amount + 0.01",
            "update {t} set gross_amount = 0",
            "delete from {t}",
            "delete from core.fct_sales_line",
        ],
    },
    "core.fct_customer_month": {
        "key_unique": [f"insert into {{t}} select * from {{t}} where {MONTH}"],
        "class_values": [
            f"update {{t}} set lifecycle_stage = 'SLEEPING' where {MONTH}",
            f"update {{t}} set excluded_reason = 'X' where {MONTH}",
        ],
        "nothing_after_as_of": [f"update {{t}} set last_visit_on = '2017-04-01' where {MONTH}"],
        "newest_as_of": [f"delete from {{t}} where as_of_date = {DAY}", "delete from {t}"],
        "stage_agrees": [
            f"update {{t}} set churn_status = 'CHURNED' where {MONTH}",
            f"update {{t}} set churned_on = '2017-03-01' where {MONTH}",
        ],
        "known_dates": [f"update {{t}} set as_of_date = '2017-03-30' where {MONTH}"],
    },
    "marts.mart_customer_value": {
        "key_unique": [f"insert into {{t}} select * from {{t}} where {MONTH}"],
        "class_values": [
            f"update {{t}} set {column} = 'X' where {MONTH}"
            for column in ("pyramid_tier", "abc_class", "abc_count_class", "value_class")
        ],
        "nothing_after_as_of": [f"update {{t}} set first_visit_on = '2017-04-01' where {MONTH}"],
        "newest_as_of": [f"delete from {{t}} where as_of_date = {DAY}"],
        "population": [
            f"delete from {{t}} where {MONTH}",
            "delete from {t} where as_of_date = '2017-02-28'",
        ],
        "tiers_sum": [
            f"update {{t}} set {column} = null where {MONTH}"
            for column in ("pyramid_tier", "abc_class", "abc_count_class", "value_class")
        ],
        "scores": [
            f"update {{t}} set r_score = 6 where {MONTH}",
            f"update {{t}} set m_score = null where {MONTH}",
            f"update {{t}} set rfm_segment = null where {MONTH}",
        ],
        "excluded_unscored": [f"update {{t}} set excluded_reason = 'ERASED' where {MONTH}"],
    },
    "marts.mart_loyalty": {
        "key_unique": [f"insert into {{t}} select * from {{t}} where {MONTH}"],
        "class_values": [
            f"update {{t}} set behaviour_class = 'X' where {MONTH}",
            f"update {{t}} set loyalty_type = null where {MONTH}",
        ],
        "nothing_after_as_of": [f"update {{t}} set survey_date = '2017-04-01' where {MONTH}"],
        "newest_as_of": [f"delete from {{t}} where as_of_date = {DAY}"],
        "population": [f"delete from {{t}} where {MONTH}"],
        "asked": [f"update {{t}} set is_surveyed = false where {MONTH}"],
        "index_range": [
            f"update {{t}} set behaviour_index = 100.5 where {MONTH}",
            f"update {{t}} set behaviour_index = null where {MONTH}",
        ],
    },
    "marts.mart_churn": {
        "key_unique": [f"insert into {{t}} select * from {{t}} where {MONTH}"],
        "class_values": [f"update {{t}} set lifecycle_stage = 'GONE' where {MONTH}"],
        "nothing_after_as_of": [f"update {{t}} set returned_on = '2017-04-01' where {MONTH}"],
        "newest_as_of": [f"delete from {{t}} where as_of_date = {DAY}"],
        "population": [f"delete from {{t}} where {MONTH}"],
        "stage_agrees": [f"update {{t}} set lifecycle_stage = 'PROSPECT' where {MONTH}"],
    },
    "marts.mart_churn_rate": {
        "key_unique": [
            "insert into {t} select * replace (0 as active_start, 0 as churned, 0 as retained, "
            "0 as churned_start, 0 as won_back, null as churn_rate, null as retention_rate, "
            "null as winback_rate) from {t} where store_code = 'ALL' and pyramid_tier = 'ALL'"
        ],
        "newest_as_of": ["update {t} set as_of_date = '2017-02-28'"],
        "base": [
            "update {t} set retained = retained + 1 where store_code = 'ALL' and pyramid_tier = 'ALL'",
            "update {t} set retention_rate = 0.5 where store_code = 'ALL' and pyramid_tier = 'ALL'",
            "update {t} set won_back = churned_start + 1 where store_code = 'S1'",
        ],
        "interval": [
            "update {t} set churn_rate_lo = churn_rate + 0.01 where store_code = 'S1'",
            "update {t} set repurchase_rate = 1.1 where store_code = 'S1'",
            "update {t} set winback_rate_hi = 0 where store_code = 'S1'",
        ],
        "tiers_sum": [
            "delete from {t} where store_code = 'S1' and pyramid_tier = 'ALL'",
            "delete from {t} where store_code = 'S1' and pyramid_tier = 'TOP'",
        ],
    },
    "marts.mart_data_quality": {
        "key_unique": ["insert into {t} select * from {t}"],
        "counts": [
            "update {t} set count_failed = -1",
            "update {t} set count_failed = count_checked + 1",
            "update {t} set is_passed = true",
            "update {t} set sample_batch_id = null",
        ],
    },
    "marts.mart_load": {
        "key_unique": ["insert into {t} select * from {t}"],
        "rows_in": [
            *(
                f"update {{t}} set count_{part} = count_{part} + 1"
                for part in (
                    "rows_in", "accepted", "quarantined", "replaced", "superseded", "skipped", "refused"
                )
            ),
            "update {t} set count_skipped = null",
        ],
    },
    "marts.mart_freshness": {
        "key_unique": ["insert into {t} select * from {t}"],
        "missing": [
            "update {t} set count_missing = -1",
            "update {t} set count_missing = count_expected + 1",
            "update {t} set missing_days = null",
            "update {t} set first_missing_on = null",
            "update {t} set freshness_status = 'OK'",
        ],
    },
}  # fmt: skip

# a statement on one table may be seen from another as well: those failures are right, not noise
ALSO: dict[str, set[str]] = {
    "core.fct_sales_line.key_unique": {"fct_receipt.sums_of_lines"},
    "core.fct_receipt.key_unique": {"fct_receipt.sums_of_lines"},
    "core.fct_receipt.sums_of_lines": {"fct_sales_line.keys_known"},
    "core.fct_customer_month.key_unique": {
        "mart_customer_value.population", "mart_loyalty.population", "mart_churn.population",
    },
    "core.fct_customer_month.newest_as_of": {
        "mart_customer_value.population", "mart_loyalty.population", "mart_churn.population",
    },
    "core.fct_customer_month.known_dates": {
        "mart_customer_value.population", "mart_loyalty.population", "mart_churn.population",
        "fct_customer_month.nothing_after_as_of",
    },
    "core.fct_customer_month.class_values": {"fct_customer_month.stage_agrees"},
    "marts.mart_customer_value.key_unique": {"mart_customer_value.population"},
    "marts.mart_customer_value.newest_as_of": {"mart_customer_value.population"},
    "marts.mart_loyalty.key_unique": {"mart_loyalty.population"},
    "marts.mart_loyalty.newest_as_of": {"mart_loyalty.population"},
    "marts.mart_churn.key_unique": {"mart_churn.population"},
    "marts.mart_churn.newest_as_of": {"mart_churn.population"},
    "marts.mart_churn_rate.key_unique": set(),
}  # fmt: skip

SPARK_TO_DUCKDB = {"string": "varchar"}


def make_marts(path: Path) -> None:
    """A marts file with the tables that the suites read, as the models declare them, and right rows."""
    declared: dict[str, dict[str, str]] = {}
    for file in (PROJECT / "models").rglob("*.yml"):
        for model in yaml.safe_load(file.read_text(encoding="utf-8")).get("models", []):
            declared[model["name"]] = {
                c["name"]: SPARK_TO_DUCKDB.get(c["data_type"], c["data_type"])
                for c in model.get("columns", [])
                if "data_type" in c
            }
    with duckdb.connect() as connection:
        connection.execute(f"attach '{path}' as made")
        connection.execute("use made")
        connection.execute("create schema core; create schema marts")
        tables = [*MART_MUTATIONS, "core.dim_as_of", "core.dim_store", "core.dim_product"]
        for table in tables:
            columns = ", ".join(f"{n} {t}" for n, t in declared[table.split(".")[1]].items())
            connection.execute(f"create table {table} ({columns})")

        def insert(table: str, **values: Any) -> None:
            marks = ", ".join("?" for _ in values)
            connection.execute(
                f"insert into {table} ({', '.join(values)}) values ({marks})", list(values.values())
            )

        insert("core.dim_store", store_key=1)
        insert("core.dim_product", product_key=1)
        insert(
            "core.fct_receipt", receipt_key=1, store_key=1, store_code="S1", customer_id="m:1",
            business_date="2017-03-31", count_lines=2, net_amount="20.00", gross_amount="24.00",
        )  # fmt: skip
        for line in (1, 2):
            insert(
                "core.fct_sales_line", store_key=1, product_key=1, receipt_key=1, store_code="S1",
                business_date="2017-03-31", till_no="1", receipt_no="R1", line_no=line,
                net_amount="10.00", gross_amount="12.00", source_version="v1",
            )  # fmt: skip
        for as_of in ("2017-02-28", "2017-03-31"):
            latest = as_of == "2017-03-31"
            insert("core.dim_as_of", as_of_date=as_of, is_latest=latest)
            for customer, stage, status, churned, excluded in (
                ("m:1", "STABLE", "ACTIVE", None, None),
                ("m:2", "LAPSED", "CHURNED", "2017-02-01", None),
                ("m:3", "PROSPECT", "NEVER_BOUGHT", None, None),
                ("m:4", "STABLE", "ACTIVE", None, "STAFF_CARD"),
            ):
                visits = {"first_visit_on": "2017-01-01", "last_visit_on": "2017-02-01"}
                month = {
                    "customer_id": customer, "as_of_date": as_of, "excluded_reason": excluded,
                    **(visits if status != "NEVER_BOUGHT" else {}),
                }  # fmt: skip
                stages = {"lifecycle_stage": stage, "churn_status": status, "churned_on": churned}
                insert("core.fct_customer_month", **month, **stages)
                insert("marts.mart_churn", **month, **stages)
                scored = customer in ("m:1", "m:2")
                scores = dict.fromkeys(("r_score", "f_score", "m_score"), 3) | {
                    "value_rank": 1, "rfm_segment": "LOYAL", "pyramid_tier": "TOP",
                    "abc_class": "A", "abc_count_class": "A", "value_class": "HIGH",
                }  # fmt: skip
                insert("marts.mart_customer_value", **month, **(scores if scored else {}))
                asked = customer == "m:1"
                behaviour = {"behaviour_index": "50", "behaviour_class": "LOW"}
                insert(
                    "marts.mart_loyalty", customer_id=customer, as_of_date=as_of, is_surveyed=asked,
                    attitude_score="6" if asked else None, loyalty_type="TRUE" if asked else "UNKNOWN",
                    **(behaviour if scored else {}),
                )  # fmt: skip
        for store in ("ALL", "S1", "S2"):
            for tier in ("ALL", "TOP", "NONE"):
                base = (2 if tier == "ALL" else 1) * (2 if store == "ALL" else 1)
                rates = {
                    f"{rate}{end}": value
                    for rate in ("churn_rate", "repurchase_rate", "winback_rate")
                    for end, value in (("", "0"), ("_lo", "0"), ("_hi", "0.8"))
                }
                rates |= {"winback_rate": "0.5", "winback_rate_lo": "0.1"}
                insert(
                    "marts.mart_churn_rate", as_of_date="2017-03-31", store_code=store,
                    pyramid_tier=tier, active_start=base, churned=0, retained=base,
                    retention_rate="1", repurchase_base=base, repurchase_buyers=0,
                    churned_start=base, won_back=0, **rates,
                )  # fmt: skip
        insert(
            "marts.mart_data_quality", checked_on="2017-03-31", feed="sales_line",
            rule_id="type:qty", rule_kind="ROW", count_checked=9, count_failed=1, is_passed=False,
            sample_batch_id="b",
        )  # fmt: skip
        rows = dict.fromkeys(("accepted", "quarantined", "replaced", "superseded", "skipped"), 2)
        insert(
            "marts.mart_load", batch_id="b", count_rows_in=10, count_refused=0,
            **{f"count_{part}": count for part, count in rows.items()},
        )  # fmt: skip
        insert(
            "marts.mart_freshness", feed="sales_line", store_code="S1", freshness_status="GAPS",
            count_expected=3, count_missing=1, missing_days="2017-03-30",
            first_missing_on="2017-03-30",
        )  # fmt: skip


def mart_suites() -> dict[str, list[dict[str, Any]]]:
    return {p.stem: read_suite(p) for p in sorted(SUITES.glob("*.*.json"))}


@pytest.fixture(scope="module")
def made_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("marts") / "kehu.duckdb"
    make_marts(path)
    return path


def test_right_marts_pass_every_expectation_and_broken_ones_fail_by_great_expectations(
    made_marts: Path, tmp_path: Path
) -> None:
    results = run_suites(made_marts, mart_suites())
    assert [r.check_id for r in results if not r.success] == []
    assert {r.check_id for r in results} == {
        e["meta"]["id"] for suite in mart_suites().values() for e in suite
    }
    # one row of every table spoilt: every suite finds its own, under its schema-qualified name
    broken = tmp_path / "kehu.duckdb"
    shutil.copy(made_marts, broken)
    first = {table: next(iter(checks)) for table, checks in MART_MUTATIONS.items()}
    with open_marts(broken, read_only=False) as connection:
        for table, check in first.items():
            connection.execute(MART_MUTATIONS[table][check][0].format(t=table))
    failed = {(r.feed, r.check_id) for r in run_suites(broken, mart_suites()) if not r.success}
    assert {(table, f"{table.split('.')[1]}.{check}") for table, check in first.items()} <= failed


@pytest.mark.parametrize(
    ("table", "check"), [(t, c) for t, checks in MART_MUTATIONS.items() for c in checks]
)
def test_a_spoilt_row_of_a_mart_fails_its_expectation(
    table: str, check: str, made_marts: Path, tmp_path: Path
) -> None:
    identity = f"{table.split('.')[1]}.{check}"
    for i, statement in enumerate(MART_MUTATIONS[table][check]):
        path = tmp_path / f"{i}.duckdb"
        shutil.copy(made_marts, path)
        with open_marts(path, read_only=False) as connection:
            connection.execute(statement.format(t=table))
            failed = {
                e["meta"]["id"]
                for name, suite in mart_suites().items()
                for e in suite
                if connection.execute(
                    e["kwargs"]["unexpected_rows_query"].replace("{batch}", name)
                ).fetchall()
            }
        assert identity in failed, statement
        assert failed - ALSO.get(f"{table}.{check}", set()) == {identity}, statement


def test_every_expectation_of_a_mart_has_a_mutation() -> None:
    covered = {f"{t.split('.')[1]}.{c}" for t, checks in MART_MUTATIONS.items() for c in checks}
    written = [e for suite in mart_suites().values() for e in suite]
    assert covered == {e["meta"]["id"] for e in written}
    assert {e["severity"] for e in written} == {"critical"}
    assert set(VALID) == set(CONTRACTS)
