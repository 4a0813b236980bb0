"""Row rules, derived from the contract: they split a batch into accepted and quarantined rows.

Everything is SQL over the batch's Parquet. A clean batch costs three aggregates and no copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import duckdb
from pydantic import BaseModel

from kehu.extract import correct
from kehu.extract.batch import BatchMeta, raw_texts
from kehu.extract.repair import COUNTED, folded
from kehu.extract.typing import literal, quoted
from kehu.feeds import Contract, Lookup
from kehu.files import same_file


@dataclass(frozen=True)
class RowRule:
    """A rule over one row. `violated` is an SQL predicate, true where the row breaks it."""

    id: str
    column: str
    violated: str
    description: str

    @property
    def full_id(self) -> str:
        return f"{self.id}:{self.column}"


class Split(BaseModel):
    """What the row rules made of a batch."""

    rows_in: int
    accepted: int
    quarantined: int
    discarded: int = 0  # of the quarantined: left out for good by an operator
    skipped: int = 0  # total lines and repeated headers: no records
    control_sum: Decimal | None = None  # over accepted and quarantined rows, as delivered
    control_sum_written: Decimal | None = None  # the same before signs were repaired
    control_unparsed: int = 0  # rows whose control amount can not be read


def row_rules(contract: Contract) -> list[RowRule]:
    """All rules over single rows that the contract implies, in the order in which they are named."""
    rules: list[RowRule] = []
    for name, column in contract.columns.items():
        at = quoted(name)
        if "phone" not in column.normalise:  # which leaves a number or nothing
            rules.append(
                RowRule("type", name, f"list_contains(_bad, {literal(name)})", f"is {column.type}")
            )
        if column.required:
            rules.append(
                RowRule(
                    "required",
                    name,
                    f"{at} is null and not coalesce(list_contains(_bad, {literal(name)}), false)",
                    "is given",
                )
            )
        if "digits" in column.normalise:
            rules.append(
                RowRule(
                    "digits",
                    name,
                    f"list_contains(_repairs, {literal(f'{name}:scientific')})",
                    "has all its digits; scientific notation has lost some, so nobody can tell which "
                    "number it was: export the column as text",
                )
            )
        if column.length is not None:
            rules.append(
                RowRule(
                    "length",
                    name,
                    f"length({at}) <> {column.length}",
                    f"has {column.length} characters",
                )
            )
        if column.allowed:
            values = ", ".join(literal(value) for value in column.allowed)
            rules.append(
                RowRule(
                    "allowed",
                    name,
                    f"{at} not in ({values})",
                    f"is one of {', '.join(column.allowed)}",
                )
            )
        if column.min is not None:
            rules.append(
                RowRule("range", name, f"{at} < {column.min}", f"is at least {column.min:g}")
            )
        if column.max is not None:
            rules.append(
                RowRule("range", name, f"{at} > {column.max}", f"is at most {column.max:g}")
            )
        if column.pattern:
            rules.append(
                RowRule(
                    "pattern",
                    name,
                    f"not regexp_full_match({at}, {literal(column.pattern)})",
                    f"matches {column.pattern}",
                )
            )
    rules += [
        RowRule(check.id, check.column, f"not ({check.sql})", check.description)
        for check in contract.checks
    ]
    return rules


def version_key(contract: Contract) -> list[str]:
    """The columns that must be unique in a batch: the key, with the version where rows have one."""
    return contract.key + ([contract.version] if contract.version else [])


def split(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    meta: BatchMeta,
    folder: Path,
    known: Mapping[str, str] | None = None,
) -> Split:
    """Write `accepted.parquet` and, where rows are rejected, `quarantine.parquet`.

    `known` maps a feed that lookups name to SQL of all versions of its rows; without it, lookups judge
    nothing.
    """
    rows = f"read_parquet({literal(str(folder / 'rows.parquet'))})"
    accepted = folder / "accepted.parquet"
    quarantine = folder / "quarantine.parquet"
    accepted.unlink(missing_ok=True)
    quarantine.unlink(missing_ok=True)
    control = quoted(contract.control_sum) if contract.control_sum else "null"
    written = f"coalesce(_written, {control})" if contract.control_sum else "null"
    total = connection.execute(
        f"select count(*), sum({control}), count(*) filter (where {control} is null), sum({written}) "
        f"from {rows}"
    ).fetchall()[0]
    result = Split(
        rows_in=total[0] + meta.rows_broken + meta.rows_skipped,
        skipped=meta.rows_skipped,
        control_sum_written=total[3] if contract.control_sum else None,
        accepted=total[0],
        quarantined=0,
        control_sum=_control_sum(contract, meta, total[1]),
        control_unparsed=(total[2] if contract.control_sum else 0) + meta.rows_broken,
    )
    discarded = correct.current(meta.corrections, "DISCARDED")
    if meta.rows_broken + len(discarded) == 0 and _is_clean(
        connection, contract, rows, known or {}
    ):
        same_file(folder / "rows.parquet", accepted)
        return result
    connection.register("discarded", discarded)
    _judge(connection, contract, rows, known or {})
    _write_accepted(connection, contract, accepted)
    _write_quarantine(connection, contract, meta, folder, quarantine)
    counted = connection.execute("select count(*) from judged where _rule is null").fetchall()[0][0]
    rejected = result.rows_in - result.skipped - counted
    return result.model_copy(
        update={"accepted": counted, "quarantined": rejected, "discarded": len(discarded)}
    )


def _control_sum(contract: Contract, meta: BatchMeta, total: Decimal | None) -> Decimal | None:
    """What the file's control column came to when it was delivered, whatever was corrected since."""
    if contract.control_sum is None or (total is None and not meta.control_shift):
        return None
    return (total or Decimal(0)) + meta.control_shift


def _is_clean(
    connection: duckdb.DuckDBPyConnection, contract: Contract, rows: str, known: Mapping[str, str]
) -> bool:
    rules = [rule.violated for rule in row_rules(contract) if rule.id != "type"]
    violated = " or ".join(f"coalesce({rule}, false)" for rule in ["_bad is not null", *rules])
    if connection.execute(f"select 1 from {rows} where {violated} limit 1").fetchall():
        return False
    key = ", ".join(quoted(name) for name in version_key(contract))
    if connection.execute(
        f"select 1 from {rows} group by {key} having count(*) > 1 limit 1"
    ).fetchall():
        return False
    if any(
        connection.execute(f"select 1 {_unfit(contract, lookup, rows, known)} limit 1").fetchall()
        for lookup in contract.lookups
        if lookup.feed in known
    ):
        return False
    return not any(
        connection.execute(
            f"select 1 from {rows} group by {', '.join(quoted(c) for c in check.by)} "
            f"having not coalesce({check.sql}, true) limit 1"
        ).fetchall()
        for check in contract.group_checks
    )


def _unfit(contract: Contract, lookup: Lookup, rows: str, known: Mapping[str, str]) -> str:
    """The rows that a lookup condemns: counterparts are known, and none of their versions fits."""
    matched = " and ".join(f"this.{quoted(n)} = ref.{quoted(n)}" for n in lookup.by)
    versions = f"({known[lookup.feed]}) as ref"
    return (
        f"from (select this.* from {rows} as this semi join {versions} on {matched}) as this "
        f"anti join {versions} on {matched} and coalesce({lookup.sql}, true)"
    )


def _judge(
    connection: duckdb.DuckDBPyConnection, contract: Contract, rows: str, known: Mapping[str, str]
) -> None:
    """Temp table `judged`: every row with `_rules`, all rules that it breaks, and `_rule`, the first."""
    cases = ", ".join(
        f"case when {rule.violated} then {literal(rule.full_id)} end"
        for rule in row_rules(contract)
    )
    connection.execute(
        f"""create or replace temp table judged as
        select *, list_filter([{cases}], lambda x: x is not null) as _rules,
            null::varchar as _rule, false as _is_incomplete, null::varchar as _decision
        from {rows}"""
    )
    for lookup in contract.lookups:
        if lookup.feed in known:
            full = literal(f"{lookup.id}:{lookup.column}")
            connection.execute(
                f"update judged set _rules = list_append(_rules, {full}) from "
                f"(select this._line as wrong {_unfit(contract, lookup, rows, known)}) as w "
                "where judged._line = w.wrong"
            )
    connection.execute("update judged set _rule = _rules[1] where len(_rules) > 0")
    # what an operator left out is out, whatever the rules say now; the others are judged without it
    connection.execute(
        """update judged set _decision = 'DISCARDED', _rule = d.rule_id, _rules = [d.rule_id]
        from discarded as d where judged._line = d.line_no"""
    )
    key_names = version_key(contract)
    key = ", ".join(quoted(name) for name in key_names)
    every = ", ".join(quoted(name) for name in contract.columns)
    connection.execute(
        f"""create or replace temp table repeated as
        select _line, row_number() over (partition by {key}, hash({every}) order by _line) > 1 as is_copy,
            min(hash({every})) over (partition by {key}) <> max(hash({every})) over (partition by {key})
                as is_conflict
        from judged where _rule is null
        qualify count(*) over (partition by {key}) > 1"""
    )
    for rule, condition in (("key_conflict", "is_conflict"), ("duplicate", "is_copy")):
        full = literal(f"{rule}:{key_names[-1]}")
        connection.execute(
            f"update judged set _rule = {full}, _rules = [{full}] from repeated as r "
            f"where judged._line = r._line and r.{condition} and judged._rule is null"
        )
    for check in contract.group_checks:
        by = ", ".join(quoted(c) for c in check.by)
        same = " and ".join(
            f"judged.{quoted(c)} is not distinct from g.{quoted(c)}" for c in check.by
        )
        full = literal(f"{check.id}:{check.column}")
        # a copy is no loss: the row that it repeats is still there
        connection.execute(
            f"""update judged set _rule = {full}, _rules = [{full}]
            from (
                select {by} from judged
                where coalesce(_rule not like 'duplicate:%', true) and _decision is null
                group by {by}
                having count(_rule) = 0 and not coalesce({check.sql}, true)
            ) as g
            where {same} and judged._rule is null"""
        )
    if contract.incomplete_group:
        by = ", ".join(quoted(c) for c in contract.incomplete_group)
        same = " and ".join(
            f"judged.{quoted(c)} = g.{quoted(c)}" for c in contract.incomplete_group
        )
        connection.execute(
            f"""update judged set _is_incomplete = true
            from (
                select distinct {by} from judged
                where _rule not like 'duplicate:%' and _decision is null
            ) as g
            where {same} and judged._rule is null"""
        )


def _write_accepted(connection: duckdb.DuckDBPyConnection, contract: Contract, path: Path) -> None:
    incomplete = ", _is_incomplete" if contract.incomplete_group else ""
    names = ", ".join(quoted(name) for name in contract.columns)
    connection.execute(
        f"""copy (
            select _batch_id, _line, _span, {names}, _bad, _repairs{incomplete}
            from judged where _rule is null
        ) to {literal(str(path))} (format parquet)"""
    )


def _write_quarantine(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    meta: BatchMeta,
    folder: Path,
    path: Path,
) -> None:
    """One row per rejected record: where it stands, what it breaks, its raw text, its amount."""
    connection.execute(
        "create or replace temp table rejected as select _line, _span from judged where _rule is not null"
    )
    texts = raw_texts(connection, meta, "rejected", contract.encoding)
    control = quoted(contract.control_sum) if contract.control_sum else "null::decimal(18,2)"
    is_sales = contract.replace == "store_day"
    store, day = ("j.store_code", "j.business_date") if is_sales else ("null", "null")
    described = ", ".join(
        f"({literal(rule.full_id)}, {literal(f'{rule.column} {rule.description}')})"
        for rule in row_rules(contract)
    )
    groups = "".join(
        f", ({literal(f'{identity}:{column}')}, {literal(description)})"
        for identity, column, description in [
            *((c.id, c.column, c.description) for c in contract.group_checks),
            *((c.id, c.column, c.description) for c in contract.lookups),
        ]
    )
    key = version_key(contract)
    connection.execute(
        f"""copy (
        with described(rule_id, promise) as (
            select rule_id, string_agg(promise, '; ') from (values {described}{groups},
                ('duplicate:{key[-1]}', 'a row stands once in a batch'),
                ('key_conflict:{key[-1]}', {literal(f"rows agree where they share {', '.join(key)}")})
            ) as v(rule_id, promise) group by rule_id
        )
        select {literal(meta.batch_id)} as batch_id, {literal(contract.feed)} as feed,
            {literal(meta.path)} as path, j._line as line_no, j._rule as rule_id, j._rules as rule_ids,
            split_part(j._rule, ':', 2) as column_name,
            coalesce(d.promise, j._rule) as promise, 'critical' as severity,
            t.raw_text, j.{control} as control_amount, {store} as store_code, {day}::date as business_date,
            j._decision as decision
        from judged as j
        left join {texts} as t on t._line = j._line
        left join described as d on d.rule_id = j._rule
        where j._rule is not null
        union all
        select {literal(meta.batch_id)}, {literal(contract.feed)}, {literal(meta.path)}, _line,
            'record:(line)', ['record:(line)'], '(line)', 'the line is a record: ' || detail, 'critical',
            raw_text, null, null, null,
            case when _line in (select line_no from discarded) then 'DISCARDED' end
        from read_parquet({literal(str(folder / "broken.parquet"))})
        order by line_no
        ) to {literal(str(path))} (format parquet)""".replace("j.null::", "null::")
    )


@dataclass(frozen=True)
class TotalLine:
    """A total line of a file that says something else than its rows."""

    line: int
    what: str
    told: Decimal
    of_all: Decimal
    since_last: Decimal

    def __str__(self) -> str:
        return (
            f"line {self.line} says {self.told} for {self.what}; the rows above it come to "
            f"{self.of_all}, those since the total line before to {self.since_last}"
        )


def wrong_totals(
    connection: duckdb.DuckDBPyConnection, contract: Contract, folder: Path
) -> tuple[list[TotalLine], list[TotalLine]]:
    """Total lines that disagree with the rows above them: in the control sum, in the number of rows.

    A total agrees if it is that of all rows above it, or of those since the last total line (a page's).
    Amounts count as written or as repaired. Where an amount above can not be read, nothing is said.
    """
    skipped = folder / "skipped.parquet"
    if not skipped.exists():
        return [], []
    control = quoted(contract.control_sum) if contract.control_sum else "null::decimal(18,2)"
    written = f"coalesce(_written, {control})" if contract.control_sum else control
    rows = f"read_parquet({literal(str(folder / 'rows.parquet'))})"
    broken = f"read_parquet({literal(str(folder / 'broken.parquet'))})"
    counted = f"regexp_extract({folded('t')}, {literal(COUNTED)}, 2)"
    connection.execute(
        f"""create or replace temp table totals as
        with told as (
            select _line, amount::decimal(38,8) as amount, try_cast(replace(replace(list_filter(
                    list_transform(texts, lambda t: {counted}), lambda t: t <> '')[1],
                ',', ''), '，', '') as decimal(38,8)) as rows_told,
                coalesce(lag(_line) over (order by _line), 0) as line_before
            from read_parquet({literal(str(skipped))}) where kind = 'total_line'
        ),
        row as (
            select _line, {control} as amount, {written} as written from {rows}
            union all select _line, null, null from {broken}
        ),
        page as (  -- what stands between two total lines
            select t._line, count(r._line) as count_rows, coalesce(sum(r.amount), 0) as amount,
                coalesce(sum(r.written), 0) as written,
                count(*) filter (where r._line is not null and r.amount is null) as count_unread
            from told as t left join row as r on r._line > t.line_before and r._line < t._line
            group by t._line
        ),
        summed as (
            select t._line, t.amount as told, t.rows_told, p.* exclude (_line),
                sum(p.count_rows) over w as all_rows, sum(p.amount) over w as all_amount,
                sum(p.written) over w as all_written, sum(p.count_unread) over w as all_unread
            from told as t join page as p on p._line = t._line
            window w as (order by t._line)
        )
        select * from summed"""
    )
    sums = connection.execute(
        """select _line, told, all_written, written from totals
        where all_unread = 0 and told not in (all_amount, all_written, amount, written)
        order by _line"""
    ).fetchall()
    counts = connection.execute(
        """select _line, rows_told, all_rows, count_rows from totals
        where rows_told not in (all_rows, count_rows) order by _line"""
    ).fetchall()
    return (
        [TotalLine(r[0], contract.control_sum or "", *map(_plain, r[1:])) for r in sums],
        [TotalLine(r[0], "the number of rows", *map(_plain, r[1:])) for r in counts],
    )


def _plain(number: Decimal | int) -> Decimal:
    """Without the zeros that the type of a sum adds."""
    text = f"{Decimal(number):f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
