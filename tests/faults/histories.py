"""Random fault histories: the same files as in a clean history, but nothing goes as it should.

Files come late, early, twice, under other names, cut off and then whole; processes are killed with
SIGKILL at random moments and started again, groups of feeds run in any order, archived batches are
replayed, the clock is an hour slow. When everything has arrived and one run has come to its end, the
warehouse must hold what it holds after the clean history: every row of raw, pii and quarantine, the
owner of each store-day, and for every file rows in = accepted + quarantined + superseded + skipped +
refused.

All of that happens before dbt, because marts are a function of those rows (bulk = nightly = full
refresh = any order, tests/night/test_same_marts.py), and a night with dbt takes half a minute. In
`make test-faults` each 50th history goes on to whole nights, killed in dbt and in publish, whose marts
are compared row by row as well; in `make test` that part is tests/night/test_crashes.py.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
from faults import child
from faults.harness import Ended, Installation, group_of, spread
from faults.retailer import LAST, Retailer
from history import Drop
from nights import differences, marts_of

GROUPS = ("masters", "transactions", "surveys", "complaints")
ALL = ("all",)
NIGHT = ("night", "--as-of", LAST.isoformat())
# seconds of a step, until one has been seen
USUAL = {"plan": 0.05, "extract": 0.1, "gate": 0.4, "load": 0.4}


@dataclass
class Tally:
    """What happened in the histories of a test: for its closing line, and to assert that enough did."""

    histories: int = 0
    runs: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def ended(self, ended: Ended) -> None:
        self.runs += 1
        if ended.killed:
            self.kills[group_of(ended.landed)] += 1

    def told(self) -> str:
        kills = ", ".join(f"{step} {count}" for step, count in self.kills.most_common())
        events = ", ".join(f"{event} {count}" for event, count in self.events.most_common())
        return (
            f"{self.histories} histories in {self.seconds:.0f} s: {self.runs} processes, "
            f"{sum(self.kills.values())} killed ({kills}); {events}"
        )


def live_cleanly(retailer: Retailer, root: Path) -> Installation:
    """Three nights, each file in its time, nothing disturbed."""
    house = Installation(root)
    third = -(-len(retailer.drops) // 3)
    for night in range(3):
        for drop in retailer.drops[night * third : (night + 1) * third]:
            drop.write(house.landing)
        house.environment["KEHU_NOW"] = f"2024-02-{10 + night}T02:30:00"
        house.must(child.take_in, ALL, LAST)
    return house


@dataclass
class _Laid:
    """One file on its way into the landing folder."""

    drop: Drop
    name: str
    has_manifest: bool
    size: int | None = None


class Disturbed:
    """One random history over the files of a retailer."""

    def __init__(self, retailer: Retailer, seed: int, root: Path, tally: Tally) -> None:
        self.dice = random.Random(f"disturbed {seed}")
        self.house = Installation(root)
        self.tally = tally
        self.clock = datetime(2024, 2, 10, 2, 30)
        self.nights = self._plan(retailer.drops)

    def _plan(self, drops: list[Drop]) -> list[list[_Laid]]:
        """Which files land before which run."""
        dice, events = self.dice, self.tally.events
        count = dice.choice((1, 2, 2, 3))
        nights: list[list[_Laid]] = [[] for _ in range(count)]
        placed: dict[int, int] = {}
        for number, drop in enumerate(drops):
            in_time = number * count // len(drops)
            night = in_time if dice.random() < 0.6 else dice.randrange(count)
            events["out of order"] += night != in_time
            placed[number] = night
            nights[night].append(_Laid(drop, drop.name, drop.has_manifest))
        for number in dice.sample(range(len(drops)), dice.randint(0, 3)):
            drop = drops[number]
            night = dice.randrange(placed[number], count)
            bare = dice.random() < 0.3
            name = f"{dice.choice(('again', 'zz', '0'))}_{drop.name}"
            nights[night].append(_Laid(drop, name, drop.has_manifest and not bare))
            events["copies"] += 1
        for number in dice.sample(range(len(drops)), dice.randint(0, 2)):
            drop, night = drops[number], placed[number]
            if night and drop.has_manifest:  # cut on the way, and sent whole later
                size = dice.randrange(len(drop.data))
                early = dice.randrange(night)
                nights[early].append(_Laid(drop, drop.name, True, size))
                events["cut files"] += 1
        for laid in nights:
            dice.shuffle(laid)
        return nights

    def live(self) -> Installation:
        """All of it, and a last run that nobody disturbs."""
        dice = self.dice
        for laid in self.nights:
            for item in laid:
                item.drop.write(
                    self.house.landing, item.name, has_manifest=item.has_manifest, size=item.size
                )
            for _ in range(dice.choice((0, 1, 1, 2))):
                self._killed_run()
            if laid is not self.nights[-1] and dice.random() < 0.4:
                self._run()
            if dice.random() < 0.15:
                self._replay()
        self._run()
        return self.house

    def _tick(self) -> None:
        self.clock += timedelta(hours=self.dice.choice((1, 2, 24)))
        now = self.clock
        if self.dice.random() < 0.15:  # the hour that comes twice in autumn
            now -= timedelta(minutes=55)
            self.tally.events["slow clocks"] += 1
        self.house.environment["KEHU_NOW"] = now.isoformat()

    def _groups(self) -> tuple[str, ...]:
        if self.dice.random() < 0.7:
            return ALL
        return tuple(self.dice.sample(GROUPS, len(GROUPS)))

    def _run(self) -> None:
        self._tick()
        self.tally.ended(self.house.must(child.take_in, ALL, LAST))

    def _killed_run(self) -> None:
        self._tick()
        groups = self._groups()
        files = sum(1 for _ in self.house.landing.glob("*/*.csv"))
        aim = self.dice.choice(("deed", "deed", "plan", "extract", "gate", "load", "load"))
        if aim == "deed":
            deed = self.dice.randint(1, 30 + 15 * files)
            ended = self.house.kill_at_deed(deed, child.take_in, groups, LAST)
        else:
            wait = spread(self.dice, self.house.seconds_of(aim, USUAL[aim]))
            ended = self.house.kill_in(aim, wait, child.take_in, groups, LAST)
        assert ended.exit in (0, -9), ended.said
        self.tally.ended(ended)

    def _replay(self) -> None:
        """An operator has archived batches judged again; the process may be killed, too."""
        known = sorted(path.stem for path in self.house.home.glob("archive/*/??/*-*.json"))
        if not known:
            return
        self._tick()
        batches = self.dice.sample(known, min(len(known), self.dice.randint(1, 3)))
        self.tally.events["replays"] += 1
        if self.dice.random() < 0.5:
            deed = self.dice.randint(1, 60)
            self.tally.ended(self.house.kill_at_deed(deed, child.replay, batches, LAST))
        else:
            self.tally.ended(self.house.must(child.replay, batches, LAST))


def killed_nights(house: Installation, seed: int, tally: Tally) -> None:
    """Whole nights that die in dbt, in the scores or in publish, and a last one that does not."""
    dice = random.Random(f"nights {seed}")
    for step in dice.sample(("dbt:core", "score", "dbt:marts", "publish"), 2):
        wait = spread(dice, house.seconds_of(step, 2.0))
        ended = house.kill_in(step, wait, child.kehu, *NIGHT)
        assert ended.exit in (0, -9), ended.said
        tally.ended(ended)
    house.must(child.kehu, *NIGHT)


# what may differ: which of several files that hold the same row brought it, and when things happened
LINEAGE = {"_batch_id", "_line"}


def state_differences(clean: Path, home: Path) -> list[str]:
    """Every row that two warehouses do not agree on, and every file whose rows do not add up."""
    with duckdb.connect() as connection:
        for name, folder in (("l", clean), ("r", home)):
            connection.execute(f"attach '{folder / 'warehouse.duckdb'}' as {name} (read_only)")
        found: list[str] = []
        tables = {
            side: connection.execute(
                """select table_schema, table_name from information_schema.tables
                where table_catalog = ? and table_schema in ('raw', 'pii')
                and table_type = 'BASE TABLE' order by all""",
                [side],
            ).fetchall()
            for side in ("l", "r")
        }
        if tables["l"] != tables["r"] or not tables["l"]:
            found.append(f"tables: {tables['l']} and {tables['r']}")
        for schema, table in tables["l"]:
            is_sales = table == "sales_line"
            left = [
                str(name)
                for (name,) in connection.execute(
                    """select column_name from information_schema.columns
                    where table_catalog = 'l' and table_schema = ? and table_name = ?""",
                    [schema, table],
                ).fetchall()
                if is_sales or name not in LINEAGE
            ]
            columns = ", ".join(f'"{name}"' for name in left)
            found += _compared(
                connection, f"{schema}.{table}", f"select {columns} from {{}}.{schema}.{table}"
            )
        found += _compared(
            connection,
            "quarantine.row",
            """select * exclude (path) from {0}.quarantine.row
            where batch_id in (select batch_id from l.ops.batch)""",
        )
        found += _compared(
            connection,
            "ops.store_day",
            """select * exclude (arrived_at, status),
                case when status in ('CURRENT', 'HELD') then status else 'OLD' end
            from {0}.ops.store_day""",
        )
        found += _compared(
            connection,
            "ops.batch",
            """select batch_id, feed, sha256, bytes, generated_at, is_simulated, encoding,
                unknown_columns, status = 'REFUSED', refused_by, rows_in, rows_quarantined, rows_refused,
                control_sum
            from {0}.ops.batch where batch_id in (select batch_id from l.ops.batch)""",
        )
        return found + _unbalanced(connection, home)


def _compared(connection: duckdb.DuckDBPyConnection, what: str, query: str) -> list[str]:
    found = []
    for one, other in (("l", "r"), ("r", "l")):
        rows = connection.execute(
            f"{query.format(one)} except all {query.format(other)}"
        ).fetchall()
        if rows:
            side = "clean" if one == "l" else "disturbed"
            found.append(f"{what}: {len(rows)} rows only in the {side} history, as {rows[0]}")
    return found


def _unbalanced(connection: duckdb.DuckDBPyConnection, home: Path) -> list[str]:
    """What a warehouse says against itself, its landing folder or what it wrote for the gate."""
    feeds = [
        str(name)
        for (name,) in connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = 'r' and table_schema = 'raw' and table_name <> 'sales_line'"
        ).fetchall()
    ]
    loaded = " union all ".join(
        f"select '{f}' as feed, _batch_id as batch_id, count(*) as n from r.raw.{f} group by all"
        for f in feeds
    )
    checks = {
        "rows in = accepted + quarantined + superseded + skipped + refused": """
            select path from r.ops.batch where rows_in <> rows_loaded + rows_quarantined
                + rows_superseded + rows_skipped + rows_refused""",
        # cut off, or the copy of an empty file without the manifest that says which day was empty
        "a file that the clean history has not is refused whole": """
            select path from r.ops.batch where batch_id not in (select batch_id from l.ops.batch)
            and (status not in ('REFUSED', 'UNVERIFIED') or rows_refused <> rows_in)""",
        "quarantined rows are counted": """
            select path from r.ops.batch as b where status <> 'REFUSED' and rows_quarantined <>
            (select count(*) from r.quarantine.row as q where q.batch_id = b.batch_id)""",
        "the current rows of a store-day are its owner's": """
            select * from (select store_code, business_date, _batch_id as batch_id, count(*) as n
                from r.raw.sales_line group by all)
            full join (select store_code, business_date, batch_id, count_rows as n
                from r.ops.store_day where status = 'CURRENT' and count_rows > 0)
            using (store_code, business_date, batch_id, n)
            where store_code is null or n is null or batch_id is null""",
        "each store-day has one owner": """
            select store_code, business_date from r.ops.store_day where status = 'CURRENT'
            group by all having count(*) > 1""",
        "loaded rows of a versioned feed are those in raw": f"""
            select b.path from r.ops.batch as b left join ({loaded}) as n using (batch_id)
            where b.feed <> 'sales_line' and b.rows_loaded <> coalesce(n.n, 0)""",
        "a batch stands once in the ledger": """
            select batch_id from r.ops.batch group by all having count(*) > 1""",
    }
    found = [
        f"{what}: not so for {rows[:3]}"
        for what, query in checks.items()
        if (rows := connection.execute(query).fetchall())
    ]
    landing = home.parent / "landing"
    landed = {
        path.relative_to(landing).as_posix()
        for path in landing.glob("*/*")
        if not path.name.endswith(".manifest.json")
    }
    known = {
        path
        for (path,) in connection.execute("select distinct path from r.ops.delivery").fetchall()
    }
    if landing.exists() and landed != known:
        found.append(f"deliveries: {sorted(landed ^ known)} only landed or only known")
    for name, table in (("ledger", "batch"), ("delivery", "delivery"), ("store_day", "store_day")):
        path = home / "reference" / f"{name}.parquet"
        rows = connection.execute(
            f"""(select * from r.ops.{table} except all from '{path}') union all
            (select * from '{path}' except all from r.ops.{table})"""
        ).fetchall()
        if rows:
            found.append(f"{path.name}: differs from ops.{table} in {len(rows)} rows")
    return found


class Histories:
    """Lives random histories by their seed; retailers and their clean histories are made once.

    To the first retailer of small ones everything happens.
    """

    def __init__(self, root: Path, of_each_retailer: int, *, small: bool = False) -> None:
        self.root = root
        self.of_each = of_each_retailer
        self.small = small
        self.tally = Tally()
        self._clean: dict[int, tuple[Retailer, Installation]] = {}

    def clean(self, seed: int) -> tuple[Retailer, Installation]:
        number = seed // self.of_each
        if number not in self._clean:
            everything = self.small and number == 0
            retailer = Retailer(number, small=self.small, every_event=everything)
            house = live_cleanly(retailer, self.root / f"clean{number}")
            self._clean[number] = retailer, house
        return self._clean[number]

    def live(self, seed: int, *, to_the_marts: bool = False) -> list[str]:
        """Live the history of a seed; returns what differs from the clean one."""
        retailer, clean = self.clean(seed)
        root = self.root / f"disturbed{seed}"
        house = Disturbed(retailer, seed, root, self.tally).live()
        found = [f"history {seed}: {d}" for d in state_differences(clean.home, house.home)]
        self.tally.histories += 1
        if to_the_marts:
            built = self._built(clean)
            house.environment["KEHU_NOW"] = built.environment["KEHU_NOW"]
            killed_nights(house, seed, self.tally)
            found += [
                f"history {seed}: {d}"
                for d in differences(marts_of(built.home), marts_of(house.home))
            ]
            self.tally.events["compared to the marts"] += 1
        if not found:
            shutil.rmtree(root)
        return found

    def _built(self, clean: Installation) -> Installation:
        """A copy of a clean history with its marts: dbt writes tables into the warehouse as well."""
        built = Installation(
            clean.root.with_name(f"{clean.root.name}-built"), {"KEHU_NOW": "2024-03-01T02:30:00"}
        )
        if not built.root.exists():
            shutil.copytree(clean.root, built.root, symlinks=True)
            built.must(child.kehu, *NIGHT)
        return built
