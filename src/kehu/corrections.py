"""What an operator does by hand about quarantined rows: export them, hand them back, leave them out.

A decision is written on the archive's card of its batch, so that a rebuild comes to the same rows, and
marked as waiting until the batch was loaded with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
from pydantic import BaseModel

from kehu import warehouse
from kehu.clock import now
from kehu.errors import KehuError
from kehu.extract import batch as batches
from kehu.extract import correct
from kehu.extract.delivery import Archived, Correction, card_of, write_card
from kehu.extract.reader import DelimitedFile, detect_encoding
from kehu.extract.typing import literal, quoted, typed
from kehu.feeds import Contract, normalise_header
from kehu.settings import Settings

LINE, RULE, PROMISE, RAW = "_line", "_rule", "_promise", "_raw"


class Released(BaseModel):
    """What `release` made of an operator's file."""

    lines: int
    cells: int
    unchanged: int
    rewritten: list[str] = []  # cells that a spreadsheet had changed on its own, and were left


# --- waiting for a load -----------------------------------------------------------------------


def _waiting(settings: Settings) -> Path:
    return settings.home / "decided"


def waiting(settings: Settings) -> list[str]:
    """Batches about which something was decided that is not loaded yet."""
    return sorted(path.name for path in _waiting(settings).glob("*"))


def settle(settings: Settings, batch: str, loaded: list[Correction]) -> None:
    """The batch was loaded with these decisions; what was decided meanwhile goes on waiting."""
    mark = _waiting(settings) / batch
    if mark.exists() and card_of(settings, batch).corrections == loaded:
        mark.unlink(missing_ok=True)


@contextmanager
def _card(settings: Settings, batch: str) -> Iterator[Archived]:
    """The batch's card, alone; what is changed in it is kept, and waits for a load."""
    with batches.alone(settings, batch):
        card = card_of(settings, batch)
        yield card
        # the mark first: a mark without a decision is a replay too many, a decision without one is lost
        _waiting(settings).mkdir(parents=True, exist_ok=True)
        (_waiting(settings) / batch).touch()
        write_card(card)


# --- what is open -----------------------------------------------------------------------------


class _Open:
    """The rows of one batch that stand in quarantine undecided, and what was decided of it so far."""

    def __init__(self, settings: Settings, batch: str) -> None:
        card_of(settings, batch)  # a batch that never came is said to be unknown
        with warehouse.read_warehouse(settings) as connection:
            known = connection.execute(
                "select status, message from ops.batch where batch_id = ?", [batch]
            ).fetchall()
            self.rows = connection.execute(
                "select line_no, rule_id, rule_ids, promise, raw_text from quarantine.row "
                "where batch_id = ? and decision is null order by line_no",
                [batch],
            ).to_arrow_table()
            self.loaded = connection.execute(
                'select line_no, action, who, "at" from ops.decision '
                "where batch_id = ? and is_current",
                [batch],
            ).to_arrow_table()
        if not known:
            raise KehuError(f"{batch} was not judged yet; `kehu night --as-of DATE` judges it")
        self.batch = batch
        if not len(self.rows) and known[0][0] == "REFUSED":
            raise KehuError(
                f"{batch}: no row of it is in quarantine, the whole file was refused: {known[0][1]}"
            )

    def require(self, card: Archived, lines: list[int]) -> dict[int, str]:
        """The rule of each of these lines; KehuError where one is not open, or decided meanwhile."""
        rules = dict(
            zip(self.rows["line_no"].to_pylist(), self.rows["rule_id"].to_pylist(), strict=True)
        )
        loaded = {(r["line_no"], r["action"], r["who"], r["at"]) for r in self.loaded.to_pylist()}
        standing = {
            r["line_no"]: r
            for r in correct.history(card.corrections).to_pylist()
            if r["is_current"]
        }
        for line in lines:
            held = standing.get(line)
            told = held and f"{held['action'].lower()} by {held['who']} at {held['at']}"
            if held and (line, held["action"], held["who"], held["at"]) not in loaded:
                raise KehuError(
                    f"{self.batch}: line {line} was {told}, which is not loaded yet; first load it "
                    f"(kehu replay {self.batch}) or take it back (kehu quarantine undo {self.batch} "
                    f"--line {line} --reason '...')"
                )
            if line not in rules:
                raise KehuError(
                    f"{self.batch}: line {line} "
                    + (f"was {told}" if told else "is not in quarantine")
                    + f"; what is: kehu quarantine show {self.batch}"
                )
        return {line: rules[line] for line in lines}


def _texts(
    connection: duckdb.DuckDBPyConnection, settings: Settings, contract: Contract, card: Archived
) -> None:
    """Temp table `texts`: the rows of the archived file as written, with what was released laid over.

    Only the rows named in the table `wanted(line_no)`; `_line` and one text column for each column.
    """
    folder = settings.home / "tmp" / f"texts-{os.getpid()}-{card.batch_id}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        meta = batches.described(card, contract)
        batches.write_texts(settings, contract, meta, folder)
        rows = f"read_parquet({literal(str(folder / 'rows.parquet'))})"
        connection.execute(
            f"create temp table source as select * from {rows} "
            "where _line in (select line_no from wanted)"
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    connection.register("earlier", correct.current(card.corrections, "RELEASED"))
    connection.execute(
        f"""create temp table texts as
        select w.line_no as _line, {correct.laid_over(contract, card.corrections, "e", "s")}
        from wanted as w left join source as s on s._line = w.line_no
        left join earlier as e on e.line_no = w.line_no"""
    )


# --- export -----------------------------------------------------------------------------------


def export(settings: Settings, contract: Contract, batch: str, target: Path) -> int:
    """Write the open rows of a batch as CSV for a spreadsheet, readable by the operator alone.

    Returns how many. The first columns say where the row stands and what it broke; then come the columns
    of the contract, as the source wrote them. A record that is none has its raw text in `_raw`.
    """
    if target.exists():
        raise KehuError(f"{target} exists already; give another name with --to")
    rows = _Open(settings, batch).rows
    card = card_of(settings, batch)
    with batches.scratch(settings) as connection:
        connection.register("wanted", rows)
        _texts(connection, settings, contract, card)
        names = ", ".join(f"t.{quoted(n)}" for n in contract.columns)
        table = connection.execute(
            f"""select w.line_no as {LINE}, array_to_string(w.rule_ids, ', ') as {RULE},
                w.promise as {PROMISE}, {names},
                case when list_contains(w.rule_ids, 'record:(line)') then w.raw_text end as {RAW}
            from wanted as w join texts as t on t._line = w.line_no order by 1"""
        ).to_arrow_table()
    if table[RAW].null_count == len(table):
        table = table.drop_columns([RAW])
    target.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write("\ufeff".encode())  # by which a spreadsheet knows that it is UTF-8
        pa_csv.write_csv(table, file)
    return len(table)


# --- release ----------------------------------------------------------------------------------


def release(
    settings: Settings,
    contract: Contract,
    batch: str,
    file: Path,
    reason: str,
    who: str,
    *,
    exact: bool = False,
) -> Released:
    """Hand corrected rows of an export back; rows in which nothing was changed stay in quarantine.

    A cell that a spreadsheet rewrote on its own (`00012` as `12`, `2017-03-31` as `2017/3/31`) counts as
    unchanged, unless `exact`. KehuError where the file is not an export of this batch, or a line of it
    is not in quarantine any more.
    """
    _need(reason)
    opened = _Open(settings, batch)
    with _card(settings, batch) as card, batches.scratch(settings) as connection:
        given = _read_given(file, contract)
        connection.register("given", given)
        lines = _given_lines(connection, file)
        connection.register("wanted", pa.table({"line_no": pa.array(lines, pa.int64())}))
        _texts(connection, settings, contract, card)
        columns = [name for name in contract.columns if name in given.column_names]
        _compare(connection, settings, contract, columns, exact=exact)
        changed = connection.execute(
            f"""select _line, {", ".join(f"{quoted('new ' + n)} as {quoted(n)}" for n in columns)}
            from compared where is_changed order by _line"""
        ).to_arrow_table()
        released = [int(line) for line in changed["_line"].to_pylist()]
        if not released:
            raise KehuError(
                f"{file}: no cell differs from what the source wrote; correct the cells that "
                f"{RULE} names, and leave {LINE} as it is"
            )
        rules = opened.require(card, released)
        kept = [n for n in columns if changed[n].null_count < len(changed)]
        card.corrections.append(
            Correction(
                action="RELEASED",
                who=who,
                at=now(settings).replace(microsecond=0),
                reason=reason,
                lines=released,
                rules=[rules[line] for line in released],
                cells={name: changed[name].to_pylist() for name in kept},
            )
        )
        cells, rewritten = connection.execute(
            "select sum(count_changed)::bigint, list_sort(flatten(list(rewritten))) from compared"
        ).fetchall()[0]
    return Released(
        lines=len(released),
        cells=int(cells),
        unchanged=len(lines) - len(released),
        rewritten=rewritten or [],
    )


def _need(reason: str) -> None:
    if not reason.strip():
        raise KehuError("a decision needs --reason: the ledger keeps who, when and why")


def _read_given(file: Path, contract: Contract) -> pa.Table:
    """The operator's file as text columns, named as in the contract; `_at` is the line of the file."""
    if not file.is_file():
        raise KehuError(f"{file}: is no file")
    if file.suffix.lower() not in (".csv", ".txt", ".tsv"):
        raise KehuError(f"{file}: save it as CSV; its name ends in {file.suffix!r}")
    encoding = detect_encoding(file, None)
    if encoding.lossy:
        raise KehuError(f"{file}: is neither UTF-8 nor GB18030; save it as 'CSV UTF-8'")
    for delimiter in (",", ";", "\t"):  # what spreadsheets put, by the language of the machine
        read = DelimitedFile(file, None, encoding, delimiter, str(file))
        headers = [normalise_header(header) for header in read.header]
        if LINE in headers:
            break
    else:
        raise KehuError(f"{file}: has no column {LINE}; is it from `kehu quarantine export`?")
    table = pa.Table.from_batches(list(read.batches()), read.schema)
    broken = read.broken_table()
    if len(broken):
        first = broken.slice(0, 1).to_pylist()[0]
        raise KehuError(f"{file}: line {first['_line']}: {first['detail']}")
    named: dict[str, pa.ChunkedArray] = {"_at": table["_line"]}
    for i, header in enumerate(headers):
        name = header if header.startswith("_") else contract.headers.get(header)
        if name is None or (name.startswith("_") and name not in (LINE, RULE, PROMISE, RAW)):
            if not header and all(not text.as_py() for text in table[f"c{i}"].unique()):
                continue  # a column that a spreadsheet added, and nobody filled
            raise KehuError(f"{file}: line 1: the column {read.header[i]!r} is not in the export")
        if name in named:
            raise KehuError(f"{file}: line 1: two columns are {name}")
        named[name] = table[f"c{i}"]
    return pa.table(named)


def _given_lines(connection: duckdb.DuckDBPyConnection, file: Path) -> list[int]:
    """The lines that the file speaks of; makes the temp table `numbered`."""
    connection.execute(
        f"""create temp table numbered as
        select *, try_cast(trim({quoted(LINE)}) as bigint) as _number from given
        where coalesce(trim({quoted(LINE)}), '') <> ''"""
    )
    for found, told in (
        ("where _number is null", "has not the number of a line"),
        ("qualify count(*) over (partition by _number) > 1", "stands twice"),
    ):
        wrong = connection.execute(
            f"select _at, {quoted(LINE)} from numbered {found} order by _at limit 1"
        ).fetchall()
        if wrong:
            raise KehuError(f"{file}: line {wrong[0][0]}: {LINE} {wrong[0][1]!r} {told}")
    rows = connection.execute("select _number from numbered order by 1").fetchall()
    return [int(line) for (line,) in rows]


def _compare(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    contract: Contract,
    columns: list[str],
    *,
    exact: bool,
) -> None:
    """Temp table `compared`: by line, the new text of each column where it was changed, and counts.

    What was released before and is not changed now stays as it was released.
    """
    earlier = {
        str(row[0])
        for row in connection.execute(
            "select column_name from (describe select * from earlier)"
        ).fetchall()
    }
    new, changed, rewritten = [], [], []
    for name in columns:
        was = f"coalesce(t.{quoted(name)}, '')"
        given = f"coalesce(trim(g.{quoted(name)}, ' ' || chr(9) || chr(13) || chr(12288)), '')"
        differs = f"{was} <> {given}"
        by_itself = (
            "false"
            if exact
            else f"coalesce({_rewritten(was, given, contract, name, settings.timezone)}, false)"
        )
        before = f"e.{quoted(correct.cell(name))}" if correct.cell(name) in earlier else "null"
        new.append(
            f"case when {differs} and not ({by_itself}) then {given} else {before} end "
            f"as {quoted('new ' + name)}"
        )
        changed.append(f"({differs} and not ({by_itself}))::integer")
        rewritten.append(
            f"case when {differs} and {by_itself} then t._line || ' {name}: ' || {was} || ' → ' "
            f"|| {given} end"
        )
    connection.execute(
        f"""create temp table compared as
        select t._line, {", ".join(new)}, {" + ".join(changed)} as count_changed,
            count_changed > 0 as is_changed,
            list_filter([{", ".join(rewritten)}], lambda x: x is not null) as rewritten
        from numbered as g join texts as t on t._line = g._number
        left join earlier as e on e.line_no = t._line"""
    )


def _rewritten(was: str, given: str, contract: Contract, name: str, timezone: str) -> str:
    """SQL: whether a spreadsheet, opened and saved, makes `given` out of `was`.

    It takes text for numbers and dates: leading zeros and trailing decimals go, long numbers become
    6.22848E+15 or lose the digits behind the 15th, dates and times take the machine's own form.
    """
    column = contract.columns[name]
    number = r"'[+-]?[0-9]+([.][0-9]+)?'"
    scientific = r"'([+-]?[0-9])([.]([0-9]+))?E[+]?([0-9]+)'"
    digits = f"length(regexp_extract({given}, {scientific}, 3))"
    power = f"try_cast(regexp_extract({given}, {scientific}, 4) as integer)"
    amount = f"try_cast(replace({was}, ',', '') as double)"
    kept = (
        f"regexp_full_match({given}, {scientific}) and abs({amount} - try_cast({given} as double)) "
        f"<= 0.5000001 * pow(10, {power} - {digits})"
    )
    same_number = (
        f"regexp_full_match(replace({was}, ',', ''), {number}) and regexp_full_match({given}, {number}) "
        f"and try_cast(replace({was}, ',', '') as decimal(38, 10)) = try_cast({given} as decimal(38, 10))"
    )
    cut = (
        f"regexp_full_match({was}, '[0-9]{{16,}}') and length({was}) = length({given}) "
        f"and {given} = left({was}, 15) || repeat('0', length({was}) - 15)"
    )
    source = f"try_cast(replace({was}, '/', '-') as timestamp)"
    hours = ("", " %H:%M", " %H:%M:%S")
    day_first, month_first = (
        f"try_strptime({given}, [{', '.join(literal(d + h) for d in days for h in hours)}])"
        for days in (
            ("%Y/%m/%d", "%Y-%m-%d", "%Y年%m月%d日", "%d/%m/%Y", "%d.%m.%Y"),
            ("%m/%d/%Y",),
        )
    )
    dated = (
        f"({source} in ({day_first}, {month_first}) or date_trunc('minute', {source}) in "
        f"({day_first}, {month_first})) "
        f"and (contains({given}, ':') or {source} = date_trunc('day', {source}))"
    )
    rules = [f"({rule})" for rule in (kept, same_number, cut)]
    if column.base != "varchar":
        old, fresh = (typed(text, column, timezone) for text in (was, given))
        rules.append(f"({old}) = ({fresh})")
    if column.base in ("date", "timestamp"):
        rules.append(f"({dated})")
    return " or ".join(rules)


# --- discard, undo ----------------------------------------------------------------------------


def discard(
    settings: Settings,
    batch: str,
    reason: str,
    who: str,
    *,
    lines: list[int] | None = None,
    rule: str | None = None,
    every: bool = False,
) -> int:
    """Leave open rows of a batch out for good: those lines, those of one rule, or all; returns how many."""
    _need(reason)
    if sum([bool(lines), rule is not None, every]) != 1:
        raise KehuError("say which rows: --line N (as often as needed), --rule RULE, or --all")
    opened = _Open(settings, batch)
    with _card(settings, batch) as card:
        chosen = sorted(set(lines or []))
        if not lines:
            found = opened.rows.to_pylist()
            chosen = [
                r["line_no"]
                for r in found
                if every or rule in (r["rule_id"], str(r["rule_id"]).partition(":")[0])
            ]
        if not chosen:
            told = f"no open row breaks {rule}" if rule else "no row is in quarantine undecided"
            raise KehuError(f"{batch}: {told}; what is: kehu quarantine show {batch}")
        rules = opened.require(card, chosen)
        _append(settings, card, "DISCARDED", rules, reason, who)
    return len(chosen)


def undo(settings: Settings, batch: str, lines: list[int], reason: str, who: str) -> int:
    """Take back what was decided of these lines; they are judged again as the source wrote them."""
    _need(reason)
    if not lines:
        raise KehuError("say which rows: --line N (as often as needed)")
    with _card(settings, batch) as card:
        standing = {
            r["line_no"]: r["rule_id"]
            for r in correct.history(card.corrections).to_pylist()
            if r["is_current"]
        }
        missing = [line for line in lines if line not in standing]
        if missing:
            raise KehuError(f"{batch}: nothing was decided of line {missing[0]}")
        _append(settings, card, "UNDONE", {n: standing[n] for n in sorted(set(lines))}, reason, who)
    return len(set(lines))


def _append(
    settings: Settings, card: Archived, action: str, rules: dict[int, str], reason: str, who: str
) -> None:
    card.corrections.append(
        Correction.model_validate(
            {
                "action": action,
                "who": who,
                "at": now(settings).replace(microsecond=0),
                "reason": reason,
                "lines": list(rules),
                "rules": list(rules.values()),
            }
        )
    )
