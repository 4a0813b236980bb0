"""From text to types, by contract: SQL expressions that give the value or NULL, never a guess."""

from __future__ import annotations

from kehu.feeds import Column, Contract


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def text_of(source: str, column: Column) -> str:
    """The cell's text without surrounding blanks; NULL where it is empty or a null token."""
    blanks = "' ' || chr(9) || chr(13) || chr(12288)"
    text = f"nullif(trim({source}, {blanks}), '')"
    if column.null_values:
        tokens = ", ".join(literal(token) for token in column.null_values)
        text = f"case when {text} in ({tokens}) then null else {text} end"
    return text


def typed(text: str, column: Column, timezone: str) -> str:
    """The typed value of `text`, NULL where it is not exactly a value of the column's type."""
    match column.base:
        case "varchar":
            return f"case when length({text}) <= {column.args[0]} then {text} end"
        case "int":
            pattern = r"'[+-]?\d{1,10}'"
            return f"case when regexp_full_match({text}, {pattern}) then try_cast({text} as integer) end"
        case "flag":
            return f"case {text} when '0' then 0 when '1' then 1 end"
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
    if utc:
        local = f"timezone({literal(timezone)}, timezone('UTC', {local}))"
    return f"""case
        when regexp_full_match({plain}, '{shape}') then {local}
        when regexp_full_match({plain}, '{shape} ?(Z|[+-]\\d{{2}}(:?\\d{{2}})?)') then {zoned}
        when regexp_full_match({plain}, '\\d{{4}}-\\d{{2}}-\\d{{2}}') then {local}
        end"""


def typed_query(contract: Contract, present: dict[str, str], batch_id: str, timezone: str) -> str:
    """SQL over `src` (text columns, `_line`, `_span`): typed columns, and `_bad`.

    `present` maps each contract column that the file has to its column in `src`. `_bad` lists the
    columns whose text is not a value of their type; NULL where all are.
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
    wrong = {
        name: f"({quoted('t_' + name)} is not null and {quoted(name)} is null"
        f" or contains({quoted('t_' + name)}, chr(65533)))"
        for name in present
    }
    any_wrong = " or ".join(f"coalesce({w}, false)" for w in wrong.values()) or "false"
    each = ", ".join(f"case when {w} then {literal(n)} end" for n, w in wrong.items())
    blank = " and ".join(f"{quoted('t_' + name)} is null" for name in present) or "false"
    names = ", ".join(quoted(name) for name in contract.columns)
    return f"""
        with texts as (select _line, _span, {", ".join(texts)} from src),
        typed as (select *, {", ".join(values)} from texts where not ({blank}))
        select {literal(batch_id)} as _batch_id, _line, _span, {names},
            case when {any_wrong} then list_filter([{each}], lambda x: x is not null) end as _bad
        from typed"""
