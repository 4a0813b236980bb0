"""From text to types, by contract: SQL expressions that give the value or NULL, never a guess."""

from __future__ import annotations

from collections.abc import Sequence

from kehu.feeds import Column, Contract

BLANKS = "' ' || chr(9) || chr(13) || chr(12288)"  # no part of a value, where they surround it


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def text_of(source: str, column: Column) -> str:
    """The cell's text without surrounding blanks; NULL where it is empty or a null token."""
    # trim takes ten times as long as a look at both ends, and hardly any cell has blanks there
    blank = (
        f"{source} < '!' or ({source} >= '\u3000' and {source} < '\u3001') or suffix({source}, ' ') "
        f"or suffix({source}, chr(9)) or suffix({source}, chr(13)) or suffix({source}, chr(12288))"
    )
    text = f"case when {blank} then nullif(trim({source}, {BLANKS}), '') else {source} end"
    if column.null_values:
        tokens = ", ".join(literal(token) for token in column.null_values)
        text = f"case when {text} in ({tokens}) then null else {text} end"
    return text


def typed(text: str, column: Column, timezone: str) -> str:
    """The typed value of `text`, NULL where it is not exactly a value of the column's type."""
    match column.base:
        case "varchar":
            known = ", ".join(literal(value) for value in column.allowed)
            meant = "".join(
                f" when {text} = {literal(said)} then {literal(value)}"
                for said, value in column.values.items()
            )
            meant = f"when {text} in ({known}) then {text}{meant} " if meant else ""
            return f"case {meant}when length({text}) <= {column.args[0]} then {text} end"
        case "int":
            pattern = r"'[+-]?\d{1,10}'"
            return f"case when regexp_full_match({text}, {pattern}) then try_cast({text} as integer) end"
        case "flag":
            meant = "".join(f" when {literal(t)} then {v}" for t, v in column.values.items())
            return f"case {text} when '0' then 0 when '1' then 1{meant} end"
        case "decimal":
            precision, scale = column.args
            exact = f"[+-]?(\\d+(\\.\\d{{0,{scale}}}0*)?|\\.\\d{{1,{scale}}}0*)"
            return (
                f"case when regexp_full_match({text}, '{exact}') "
                f"then try_cast({text} as decimal({precision},{scale})) end"
            )
        case "date":
            return _date(text)
        case _:
            return _timestamp(text, column.utc, timezone)


def _date(text: str) -> str:
    """ISO dates, and 2017/7/9, 2017.7.9, 20170709, 2017年7月9日; midnight times are let through."""
    day = f"regexp_replace({text}, '[ T]00:00(:00(\\.0+)?)?$', '')"
    return f"""case
        when regexp_full_match({text}, '\\d{{4}}-\\d{{2}}-\\d{{2}}') then try_cast({text} as date)
        when regexp_full_match({day}, '\\d{{8}}') then try_cast(try_strptime({day}, '%Y%m%d') as date)
        when regexp_full_match({day}, '\\d{{4}}([-/.])\\d{{1,2}}[-/.]\\d{{1,2}}')
            or regexp_full_match({day}, '\\d{{4}}年\\d{{1,2}}月\\d{{1,2}}日')
            then try_cast(try_strptime(
                regexp_replace(regexp_replace({day}, '[/.年月]', '-', 'g'), '日', ''), '%Y-%m-%d') as date)
        end"""


def _timestamp(text: str, utc: bool, timezone: str) -> str:
    """ISO date and time, with / or T allowed; a stated zone, or a `utc` column, is brought to local time."""
    plain = f"replace(replace({text}, '/', '-'), 'T', ' ')"
    hour = "([01]?\\d|2[0-3])"  # 24:00 would become the next day
    shape = f"\\d{{4}}-\\d{{1,2}}-\\d{{1,2}} {hour}:\\d{{2}}(:\\d{{2}}(\\.\\d{{1,6}})?)?"
    joined = f"regexp_replace({plain}, ' (Z|[+-]\\d{{2}}:?\\d{{0,2}})$', '\\1')"
    zoned = f"timezone({literal(timezone)}, try_cast({joined} as timestamptz))"
    local = f"try_cast({plain} as timestamp)"
    written = f"try_cast({text} as timestamp)"
    if utc:
        local = f"timezone({literal(timezone)}, timezone('UTC', {local}))"
        written = f"timezone({literal(timezone)}, timezone('UTC', {written}))"
    return f"""case
        when regexp_full_match({text}, '{shape}') then {written}
        when regexp_full_match({plain}, '{shape}') then {local}
        when regexp_full_match({plain}, '{shape} ?(Z|[+-]\\d{{2}}(:?\\d{{2}})?)') then {zoned}
        when regexp_full_match({plain}, '\\d{{4}}-\\d{{2}}-\\d{{2}}') then {local}
        end"""


def typed_query(
    contract: Contract,
    present: dict[str, str],
    batch_id: str,
    timezone: str,
    source: str = "src",
    kept: Sequence[str] = (),
    *,
    blank_rows: bool = False,
) -> str:
    """SQL over `source` (text columns, `_line`, `_span`): typed columns, and `_bad`.

    `present` maps each contract column that the file has to its column in `source`. `_bad` lists the
    columns whose text is not a value of their type; NULL where all are. `kept` are columns of `source`
    to go on with. A row without any text is left out unless `blank_rows`.
    """
    wrong = {
        name: f"({quoted('t_' + name)} is not null and {quoted(name)} is null"
        f" or contains({quoted('t_' + name)}, chr(65533)))"
        for name in present
    }
    any_wrong = " or ".join(f"coalesce({w}, false)" for w in wrong.values()) or "false"
    each = ", ".join(f"case when {w} then {literal(n)} end" for n, w in wrong.items())
    names = ", ".join(quoted(name) for name in [*contract.columns, *kept])
    return f"""
        select {literal(batch_id)} as _batch_id, _line, _span, {names},
            case when {any_wrong} then list_filter([{each}], lambda x: x is not null) end as _bad
        from {typed_cells(contract, present, timezone, source, kept, blank_rows=blank_rows)}"""


def typed_cells(
    contract: Contract,
    present: dict[str, str],
    timezone: str,
    source: str = "src",
    kept: Sequence[str] = (),
    *,
    blank_rows: bool = False,
) -> str:
    """A relation over `source`: each column's value, and its text as `t_<column>`.

    Subqueries, since an optimiser that is switched off keeps what a CTE gives in memory as a whole.
    """
    texts = [
        f"{text_of(quoted(present[name]), column) if name in present else 'null::varchar'} "
        f"as {quoted('t_' + name)}"
        for name, column in contract.columns.items()
    ]
    values = [
        f"{typed(quoted('t_' + name), column, timezone)} as {quoted(name)}"
        if name in present
        else f"null::{column.sql_type} as {quoted(name)}"
        for name, column in contract.columns.items()
    ]
    blank = " and ".join(f"{quoted('t_' + name)} is null" for name in present) or "false"
    rows = "" if blank_rows else f" where not ({blank})"
    cells = ", ".join(["_line", "_span", *kept, *texts])
    return f"(select *, {', '.join(values)} from (select {cells} from {source}) as texts{rows}) as typed"
