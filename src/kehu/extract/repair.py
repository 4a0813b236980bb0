"""Repairs by contract: what real exports do to a value, undone where that is certain, and flagged.

Rows are typed in one pass that knows no repairs, and says of each row whether it is *suspect*: a text
that is no value of its type, a character outside of ASCII in a code, a missing key. Only suspect rows
take the second pass, with every repair that the contract declares; so clean rows pay for looking, not
for repairing. Both passes are SQL over columns; full-width forms (NFKC) are folded by Arrow between
them, because DuckDB has no NFKC.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kehu.extract.typing import BLANKS, literal, quoted, typed_cells, typed_query
from kehu.feeds import Column, Contract

NULL_TOKENS = (
    r"\N", "NULL", "NAN", "N/A", "#N/A", "无", "無", "暂无", "暫無", "-", "--", "—", "——",
)  # fmt: skip
# numbers that stand in forms where nobody was asked; each could not be told from a real one by its shape
PLACEHOLDER_PHONES = ("13800138000", "13900139000", "13012345678", "13812345678", "13912345678")
_SAME_EIGHT = ", ".join(literal(str(digit) * 8) for digit in range(10))
SUSPECTS_AT_A_TIME = 50_000
MOBILE = r"1[3-9]\d{9}"
SCIENTIFIC = r"[+-]?\d+(\.\d*)?[eE]\+\d+|[+-]?\d+\.\d*[eE]\d+"
LOST_ZEROS = r"\d{15}0{1,4}"
_PLACEHOLDERS = ", ".join(map(literal, PLACEHOLDER_PHONES))

# a line that adds up others, by its first cell without blanks: 合计, 本页小计：, 一店合计, TOTAL
_SUM = "合计|总计|小计|共计|累计|合計|總計|小計|共計|累計|GRANDTOTAL|SUBTOTAL|TOTAL"
TOTAL = (
    f"^({_SUM})([^A-Z\\p{{Han}}].*|金额|金額|数量|數量|条数|條數|行数|行數)?$|({_SUM})[:：]?$"
    "|^共[计計]?[0-9,，]+[条條笔筆行]"
)
COUNTED = "^(合计|总计|共计|合計|總計|共計|共)[:：]?([0-9,，]+)[条條笔筆行]"


def first_cell(text: str) -> str:
    """The first cell that holds something, of a line that is no record."""
    return rf"regexp_extract({text}, '^[\s,;|\x{{3000}}\"'']*([^,;|\t\"]*)', 1)"


def folded(text: str) -> str:
    """A cell as totals are told by: upper case, no blanks."""
    return rf"upper(regexp_replace({text}, '[\s\x{{3000}}]', '', 'g'))"


@dataclass(frozen=True)
class Step:
    """One repair of one column: the text after it, and the names under which it is flagged."""

    column: str
    name: str
    after: str  # SQL of the text after, over the text before
    flags: list[tuple[str, str]]  # SQL predicate over the text before → name of the repair


def _step(name: str, column: Column, at: str) -> tuple[str, list[tuple[str, str]]]:
    """SQL of the text after the repair `name` of the text `at`; flags beyond "it has changed"."""
    match name:
        case "strip_quotes":
            inner = f"regexp_replace({at}, '^=?\\s*\"(.*)\"$', '\\1')"
            bare = f"nullif(trim(regexp_replace({inner}, '^[''’]+', ''), {BLANKS}), '')"
            begins = f"{at} < '(' or {at} >= '=' and {at} < '>' or {at} >= '’' and {at} < '‚'"
            return f"case when {begins} then {bare} else {at} end", []
        case "null_tokens":
            tokens = ", ".join(literal(t) for t in NULL_TOKENS if t not in column.allowed)
            return f"case when upper({at}) in ({tokens}) then null else {at} end", []
        case "currency":
            return _currency(at), []
        case "excel_serial":
            return _excel_serial(at, column), []
        case "phone":
            return _phone(at)
        case "pad":
            short = f"strlen({at}) < {column.length} and regexp_full_match({at}, '\\d+')"
            return f"case when {short} then lpad({at}, {column.length}, '0') else {at} end", []
        case "digits":
            return at, [(f"regexp_full_match({at}, {literal(SCIENTIFIC)})", "scientific")]
        case "lost_zeros":
            return at, [(f"regexp_full_match({at}, {literal(LOST_ZEROS)})", "lost_zeros")]
        case _:
            return at, []


def _currency(at: str) -> str:
    """¥1,234.50, 35.90元, 1.2万, (35.90), 35.90-; anything else stays, and is no number.

    Thousands stand in threes or not at all: of 1,23 nobody knows what it was.
    """
    amount = r"(\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
    yuan, unit = r"(?:¥|RMB|CNY)?\s*", r"(?:万?)\s*(?:元|RMB|CNY)?"
    shapes = [
        (rf"([+-]?){yuan}{amount}{unit}", r"\1"),
        (rf"(?:¥|RMB|CNY)\s*([+-]){amount}{unit}", r"\1"),
        (rf"(\(){yuan}{amount}{unit}\)", "-"),
        (rf"(){yuan}{amount}{unit}-", "-"),
    ]
    cases = ""
    for shape, sign in shapes:
        digits = f"replace(regexp_replace({at}, '^{shape}$', '\\2'), ',', '')"
        signed = f"regexp_replace({at}, '^{shape}$', '{sign}')"
        thousands = f"(try_cast({digits} as decimal(30,8)) * 10000)::decimal(38,8)::varchar"
        cases += (
            f" when regexp_full_match({at}, '{shape}') then coalesce({signed} || "
            f"case when contains({at}, '万') then {thousands} else {digits} end, {at})"
        )
    plain = "[+-]?(\\d+(\\.\\d*)?|\\.\\d+)"
    return f"case when {at} is null or regexp_full_match({at}, '{plain}') then {at}{cases} else {at} end"


def _excel_serial(at: str, column: Column) -> str:
    """45482 → 2024-07-09: days since 1899-12-30, five digits (1927 to 2173); a fraction is a time."""
    if column.base == "date":
        shape, value = (
            "\\d{5}(\\.0*)?",
            f"date '1899-12-30' + trunc(try_cast({at} as double))::integer",
        )
        return f"case when regexp_full_match({at}, '{shape}') then ({value})::varchar else {at} end"
    seconds = f"round(try_cast({at} as double) * 86400)::bigint"
    value = f"timestamp '1899-12-30' + to_seconds({seconds})"
    return f"case when regexp_full_match({at}, '\\d{{5}}(\\.\\d*)?') then ({value})::varchar else {at} end"


def _phone(at: str) -> tuple[str, list[tuple[str, str]]]:
    """A mobile number in its eleven digits, else NULL with the reason: it must match nobody."""
    bare = f"regexp_replace({at}, '\\.0*$', '')"
    bare = f"regexp_replace({bare}, '[\\s()-]', '', 'g')"
    number = f"regexp_replace({bare}, '^(\\+86|0086|86|0)({MOBILE})$', '\\2')"
    is_mobile = f"regexp_full_match({number}, '{MOBILE}')"
    is_placeholder = f"({number} in ({_PLACEHOLDERS}) or right({number}, 8) in ({_SAME_EIGHT}))"
    is_landline = (
        f"regexp_full_match({bare}, '((\\+?86|0086)?0?(10|2\\d|[3-9]\\d\\d))?[2-9]\\d{{6,7}}')"
    )
    is_landline = f"({is_landline} and not {is_mobile})"
    is_masked = f"regexp_matches({at}, '[*＊xX#×•]')"
    good = f"case when {is_mobile} and not {is_placeholder} then {number} end"
    return good, [
        (is_masked, "masked"),
        (f"not {is_masked} and {is_mobile} and {is_placeholder}", "placeholder"),
        (f"not {is_masked} and {is_landline}", "landline"),
        (f"not {is_masked} and not {is_mobile} and not {is_landline}", "invalid"),
        (f"{good} <> {at}", "phone"),
    ]


def _is_suspect(contract: Contract, name: str, is_given: bool) -> str:
    """True where a cell can need a repair, or breaks its type; cheap where it does not.

    `t_name` is the cell's text, `name` its typed value.
    """
    column = contract.columns[name]
    value, text = quoted(name), quoted(f"t_{name}")
    if not is_given:
        return "false"
    conditions = [
        f"{value} is null" if column.required else f"({text} is not null and {value} is null)"
    ]
    if column.base == "varchar":
        if column.allowed:  # a declared value or synonym is plain, however it is written
            allowed = ", ".join(map(literal, column.allowed))
            return f"{conditions[0]} or {value} not in ({allowed})"
        if "nfkc" not in column.normalise:
            conditions.append(f"contains({text}, chr(65533))")
        for repair in column.normalise:
            match repair:
                case "nfkc":  # ideographs are what they are under NFKC
                    wide = r"'[^ -~\x{4e00}-\x{9fff}\x{3400}-\x{4dbf}]'"
                    more = f"strlen({text}) <> length({text})"
                    conditions.append(f"({more} and regexp_matches({text}, {wide}))")
                case "strip_quotes":
                    conditions.append(f"{text} < '(' or ({text} >= '=' and {text} < '>')")
                case "null_tokens":
                    upper = ", ".join(literal(t) for t in NULL_TOKENS)
                    conditions.append(f"(strlen({text}) < 7 and upper({text}) in ({upper}))")
                case "phone":
                    conditions.append(
                        f"not regexp_full_match({text}, '{MOBILE}') or {text} in ({_PLACEHOLDERS}) "
                        f"or right({text}, 8) in ({_SAME_EIGHT})"
                    )
                case "pad":
                    conditions.append(f"strlen({text}) < {column.length}")
                case "digits":
                    conditions.append(f"contains({text}, '+') or contains({text}, '.')")
                case "lost_zeros":
                    conditions.append(f"(strlen({text}) >= 16 and ends_with({text}, '0'))")
    return " or ".join(conditions)


def quick_query(
    contract: Contract, present: dict[str, str], batch_id: str, timezone: str, day: date
) -> str:
    """SQL over `src` (text columns, `_line`, `_span`): typed rows; `_texts` where a row is suspect.

    `present` maps each contract column that the file has to its column in `src`.
    """
    suspect = [_is_suspect(contract, n, n in present) for n in contract.columns]
    suspect += [f"({repair.when})" for repair in _row_repairs(contract, day)]
    # no coalesce: of conditions alone each looks only at the rows that those before have left
    any_suspect = " or ".join(f"({s})" for s in suspect if s != "false") or "false"
    cells = ", ".join(quoted(f"t_{n}") for n in present)
    names = ", ".join(quoted(name) for name in contract.columns)
    return f"""
        select {literal(batch_id)} as _batch_id, _line, _span, {names}, null::varchar[] as _bad,
            null::varchar[] as _repairs{_written(contract)},
            case when {any_suspect} then [{cells}]::varchar[] end as _texts
        from {typed_cells(contract, present, timezone)}"""


def _written(contract: Contract, value: str = "null") -> str:
    """The amount of the control sum as the source wrote it, where a repair of the row changed it."""
    if contract.control_sum is None:
        return ""
    return f", ({value})::{contract.columns[contract.control_sum].sql_type} as _written"


def _row_repairs(contract: Contract, day: date) -> list[RowRepairAt]:
    return [
        RowRepairAt(r.id, r.when.replace("{day}", day.isoformat()), r.set)
        for r in contract.row_repairs
    ]


@dataclass(frozen=True)
class RowRepairAt:
    """A repair over a row, for a delivery of a certain day."""

    id: str
    when: str
    set: dict[str, str]


def steps_of(contract: Contract, present: dict[str, str]) -> list[list[Step]]:
    """The repairs of texts after NFKC, in rounds: round k holds the k-th of each column.

    Texts before round k are in `r{k}_{column}`, those after the last in the round behind it.
    """
    rounds: list[list[Step]] = []
    for name in present:
        column = contract.columns[name]
        for k, repair in enumerate(
            n for n in column.normalise if n not in ("nfkc", "unknown_date")
        ):
            while len(rounds) <= k:
                rounds.append([])
            at = quoted(f"r{k}_{name}")
            after, flags = _step(repair, column, at)
            changed = f"{quoted(f'r{k + 1}_{name}')} is distinct from {at}"
            rounds[k].append(Step(name, repair, after, flags or [(changed, repair)]))
    return rounds


def slow_query(
    contract: Contract,
    present: dict[str, str],
    header: list[str],
    batch_id: str,
    timezone: str,
    day: date,
) -> str:
    """SQL over `suspects` (`_line`, `_span`, `_texts`, `r0_<column>`, `w_<column>`): repaired rows.

    `r0_` is the text after NFKC, `w_` whether that changed it. Gives the columns of `quick_query`, with
    `_bad`, `_repairs` and `_skip`, which says of a row that is no record what it is.
    """
    ctes = []
    source = "suspects"
    flags = [
        f"case when {quoted('w_' + n)} then {literal(f'{n}:nfkc')} end"
        for n in present
        if "nfkc" in contract.columns[n].normalise
    ]
    rounds = steps_of(contract, present)
    for k, steps in enumerate(rounds):
        by_column = {step.column: step for step in steps}
        after = [
            f"{by_column[n].after if n in by_column else quoted(f'r{k}_{n}')} as {quoted(f'r{k + 1}_{n}')}"
            for n in present
        ]
        ctes.append(f"round_{k} as (select *, {', '.join(after)} from {source})")
        source = f"round_{k}"
        flags += [
            f"case when {condition} then {literal(f'{step.column}:{name}')} end"
            for step in steps
            for condition, name in step.flags
        ]
    last = {name: f"r{len(rounds)}_{name}" for name in present}
    ctes.append(f"flagged as (select *, [{', '.join(flags)}]::varchar[] as _flags from {source})")
    kept = ["_texts", "_flags"]
    typed_rows = typed_query(contract, last, batch_id, timezone, "flagged", kept, blank_rows=True)
    ctes.append(f"typed_rows as ({typed_rows})")
    source = "typed_rows"
    repairs = _row_repairs(contract, day)
    names = list(contract.columns)
    for k, repair in enumerate(repairs):
        changed = {
            n: f"case when {repair.when} then ({v})::{contract.columns[n].sql_type} else {quoted(n)} end"
            for n, v in repair.set.items()
        }
        told = ", ".join(
            f"case when {repair.when} and {quoted(n)} is distinct from ({v}) "
            f"then {literal(f'{n}:{repair.id}')} end"
            for n, v in repair.set.items()
        )
        listed = ", ".join(f"{changed[n]} as {quoted(n)}" for n in changed)
        replaced = f"replace (list_concat(_flags, [{told}]) as _flags, {listed})"
        kept_amount = ""
        if contract.control_sum:
            replaced = f"exclude (_written) {replaced}" if k else replaced
            kept_amount = f", {'_written' if k else quoted(contract.control_sum)} as _written"
        ctes.append(f"repaired_{k} as (select * {replaced}{kept_amount} from {source})")
        source = f"repaired_{k}"
    written = ""
    if contract.control_sum:
        control = quoted(contract.control_sum)
        value = (
            f"case when _written is distinct from {control} then _written end"
            if repairs
            else "null"
        )
        written = _written(contract, value)
    listed = ", ".join(quoted(n) for n in names)
    return f"""
        with {", ".join(ctes)}
        select _batch_id, _line, _span, {listed}, _bad,
            nullif(list_filter(_flags, lambda f: f is not null), []) as _repairs{written},
            _texts, {_skip(contract, present, header)} as _skip
        from {source}"""


def _skip(contract: Contract, present: dict[str, str], header: list[str]) -> str:
    """'repeated_header' or 'total_line' for a row that is no record, else NULL."""
    heads = ", ".join(f"nullif(trim({literal(h)}, {BLANKS}), '')" for h in header)
    first = folded("list_filter(_texts, lambda t: t is not null)[1]")
    keyless = " and ".join(f"{quoted(n)} is null" for n in contract.key)
    required = [n for n, c in contract.columns.items() if c.required]
    unfit = " or ".join(f"{quoted(n)} is null" for n in required) or "false"
    decimals = [n for n in present if contract.columns[n].base == "decimal"]
    others = [n for n in present if contract.columns[n].base not in ("decimal", "int")]
    sums = " or ".join(f"{quoted(n)} is not null" for n in decimals) or "false"
    words = " and ".join(f"{quoted(n)} is null" for n in others) or "true"
    return f"""case
        when _texts = [{heads}]::varchar[] then 'repeated_header'
        when ({unfit}) and regexp_matches({first}, {literal(TOTAL)}) then 'total_line'
        when {keyless} and {words} and _bad is null and ({sums}) then 'total_line' end"""


def write_rows(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    present: dict[str, str],
    header: list[str],
    batch_id: str,
    timezone: str,
    day: date,
    folder: Path,
) -> None:
    """Type the text columns of `src` into `rows.parquet`; what is no record into `skipped.parquet`.

    `present` maps the contract columns that the file has, in the file's order, to columns of `src`;
    `header` are their headers as the file writes them. `day` is the day of the delivery.
    """
    rows = folder / "rows.parquet"
    quick = quick_query(contract, present, batch_id, timezone, day)
    with unoptimised(connection):
        _copy(connection, quick, rows)
    source = f"read_parquet({literal(str(rows))})"
    found = connection.execute(f"select 1 from {source} where _texts is not null limit 1")
    if not found.fetchall():
        return
    slow = slow_query(contract, present, header, batch_id, timezone, day)
    parts: list[Path] = []
    for suspects in _suspects(contract, present, rows):
        parts.append(folder / f"suspect-{len(parts)}.parquet")
        connection.register("suspects", suspects)
        with unoptimised(connection):
            _copy(connection, slow, parts[-1])
        connection.unregister("suspects")
    repaired = f"read_parquet([{', '.join(literal(str(part)) for part in parts)}])"
    skipped = f"from {repaired} where _skip is not null"
    if connection.execute(f"select 1 {skipped} limit 1").fetchall():
        amount = quoted(contract.control_sum) if contract.control_sum else "null::decimal(18,2)"
        _copy(
            connection,
            f"select _line, _skip as kind, _texts as texts, {amount} as amount {skipped} order by _line",
            folder / "skipped.parquet",
        )
    first = rows.with_name("quick.parquet")
    rows.rename(first)
    _copy(
        connection,
        f"""select * exclude (_texts) from read_parquet({literal(str(first))}) where _texts is null
        union all by name
        select * exclude (_texts, _skip) from {repaired} where _skip is null""",
        rows,
    )
    for path in (first, *parts):
        path.unlink()


@contextmanager
def unoptimised(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Run queries as they are written.

    Those of a contract are hundreds of expressions over each row: to look for a better plan takes four
    times as long as to read a small file, and finds none.
    """
    connection.execute("pragma disable_optimizer")
    try:
        yield
    finally:
        connection.execute("pragma enable_optimizer")


def keep_broken(connection: duckdb.DuckDBPyConnection, broken: pa.Table, folder: Path) -> int:
    """Write `broken.parquet`; returns its rows. A total line that is no record is skipped instead.

    `broken` has `_line`, `raw_text` and `detail`.
    """
    connection.register("broken", broken)
    first = first_cell("raw_text")
    is_total = f"regexp_matches({folded(first)}, {literal(TOTAL)})"
    path = folder / "skipped.parquet"
    if connection.execute(f"select 1 from broken where {is_total} limit 1").fetchall():
        earlier = folder / "skipped_rows.parquet"
        before = ""
        if path.exists():
            path.rename(earlier)
            before = f" union all by name select * from read_parquet({literal(str(earlier))})"
        _copy(
            connection,
            f"""select * from (
                select _line, 'total_line' as kind, [raw_text] as texts, null::decimal(18,2) as amount
                from broken where {is_total}{before}
            ) order by _line""",
            path,
        )
        earlier.unlink(missing_ok=True)
    _copy(
        connection,
        f"select _line, raw_text, detail from broken where not ({is_total})",
        folder / "broken.parquet",
    )
    return count_rows(connection, folder / "broken.parquet")


def count_rows(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Rows of a Parquet file; 0 where there is none."""
    if not path.exists():
        return 0
    source = f"read_parquet({literal(str(path))})"
    return int(connection.execute(f"select count(*) from {source}").fetchall()[0][0])


def _copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    connection.execute(f"copy ({query}) to {literal(str(path))} (format parquet)")


def _suspect_schema(contract: Contract, present: dict[str, str]) -> pa.Schema:
    fields = [
        pa.field("_line", pa.int64()),
        pa.field("_span", pa.int32()),
        pa.field("_texts", pa.list_(pa.string())),
    ]
    fields += [pa.field(f"r0_{name}", pa.string()) for name in present]
    fields += [pa.field(f"w_{name}", pa.bool_()) for name in _folding(contract, present)]
    return pa.schema(fields)


def _folding(contract: Contract, present: dict[str, str]) -> list[str]:
    return [name for name in present if "nfkc" in contract.columns[name].normalise]


def _suspects(contract: Contract, present: dict[str, str], rows: Path) -> Iterator[pa.Table]:
    """The texts of the suspect rows, those of NFKC columns folded; some thousand rows at a time."""
    schema = _suspect_schema(contract, present)
    folding = set(_folding(contract, present))
    held: list[pa.RecordBatch] = []
    with pq.ParquetFile(rows) as file:
        for batch in file.iter_batches(columns=["_line", "_span", "_texts"]):
            kept = batch.filter(pc.is_valid(batch["_texts"]))
            texts = kept["_texts"]
            cells, changed = [], []
            for i, name in enumerate(present if kept.num_rows else ()):
                cell = pc.list_element(texts, i)
                if name in folding:
                    plain = pc.utf8_trim_whitespace(pc.utf8_normalize(cell, form="NFKC"))
                    changed.append(pc.not_equal(plain, cell))
                    cell = plain
                cells.append(cell)
            if kept.num_rows:
                arrays = [kept["_line"], kept["_span"], texts, *cells, *changed]
                typed = [a.cast(f.type) for a, f in zip(arrays, schema, strict=True)]
                held.append(pa.RecordBatch.from_arrays(typed, schema=schema))
            if sum(b.num_rows for b in held) >= SUSPECTS_AT_A_TIME:
                yield pa.Table.from_batches(held, schema=schema)
                held = []
    if held:
        yield pa.Table.from_batches(held, schema=schema)
