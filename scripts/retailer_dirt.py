"""Dirt as real exports have it, mixed into right rows, with the truth of each line beside.

The truth is told by the specification of the feeds, not by a program that reads them: a kind of dirt
knows what it did to a cell, and so what a reader owes: to take the row as it stands (accepted), to
take it with the value mended (repaired), to keep it out with a reason (quarantined), or to pass over
it (skipped: it is no record). `rule` is the number in the catalogue of dirt; 0 stands for promises of
the contract that the catalogue does not number (required cells, allowed values, whole records).

At most one thing is wrong with a receipt, so that the truth of each line is beyond doubt. Lines of
files with few rows are only dirtied in ways that can be repaired, since a reader may refuse a file of
which too much is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from retailer_world import Bools, Ints, Sheet, as_text, replaced, size_of, taken

ACCEPTED, REPAIRED, QUARANTINED, SKIPPED = range(4)
FATES = ["accepted", "repaired", "quarantined", "skipped"]
BAD_BYTE = (
    "\x01"  # stands in a text for a byte that no encoding has; put in when the file is written
)
QUARANTINE_MOST = 0.04  # of a file's rows
FEW_ROWS = 60

Spoil = Callable[[str, int], str]
_WIDE = str.maketrans({chr(c): chr(c + 0xFEE0) for c in range(0x21, 0x7F)} | {" ": "\u3000"})
_NULL_TOKENS = [r"\N", "NULL", "无", "-", "暂无"]
RECEIPT = ("store_code", "business_date", "till_no", "receipt_no")


@dataclass(frozen=True)
class Kind:
    """One kind of dirt in one or several columns of a feed.

    `spoil` turns the right text of a cell into the dirty one. `fits` is a regular expression of the
    cells that can be spoilt so. `value` is what the reader should read where it is not the right text.
    `only` narrows the rows: column → regular expression. `whole` spoils the cell on every line of the
    receipt (or complaint). `act` does what cells can not: see `Dirt._act`.
    """

    name: str
    rule: int
    fate: int
    columns: tuple[str, ...] = ()
    spoil: Spoil | None = None
    fits: str = "."
    value: str | None = None
    only: tuple[tuple[str, str], ...] = ()
    whole: bool = False
    act: str = ""
    weight: float = 1.0


def _cycle(*texts: str) -> Spoil:
    return lambda _, i: texts[i % len(texts)]


def _wide(text: str, _: int) -> str:
    return text.translate(_WIDE)


def _slashes(text: str, i: int) -> str:
    year, month, day = text[:10].split("-")
    m, d = str(int(month)), str(int(day))
    shapes = [f"{year}/{m}/{d}", f"{year}年{m}月{d}日", f"{year}{month}{day}", f"{year}.{m}.{d}"]
    return shapes[i % 4]


def _no_date(text: str, i: int) -> str:
    year, month, day = text[:10].split("-")
    shapes = [
        f"{year[2:]}-{month}-{day}",
        f"{int(month)}/{int(day)}/{year}",
        f"{year}-02-30",
        f"{year}-13-01",
    ]
    return shapes[i % 4] + text[10:]


def _serial(text: str, _: int) -> str:
    return str((date.fromisoformat(text) - date(1899, 12, 30)).days)


def _thousands(text: str, i: int) -> str:
    whole, _, cents = text.partition(".")
    grouped = f"{int(whole):,}.{cents}"
    return [grouped, f"¥{grouped}", f"￥{grouped}", f"{grouped}元"][i % 4]


def _wan(text: str, _: int) -> str:
    fen = int(text.replace(".", ""))
    return f"{fen / 1_000_000:.6f}".rstrip("0").rstrip(".") + "万"


def _negative(text: str, i: int) -> str:
    plain = text.lstrip("-")
    return [f"({plain})", f"{plain}-", f"（{plain}）"][i % 3]


def _vague(text: str, i: int) -> str:
    whole = text.lstrip("-").partition(".")[0]
    return [f"{whole[0]}万{whole[-1]}", f"约{whole}", f"{whole[0]},{whole[-1]}3", f"{whole}左右"][
        i % 4
    ]


def _scientific(text: str, _: int) -> str:
    return f"{float(text):.5E}"


def _phone(text: str, i: int) -> str:
    shapes = [f"+86 {text}", f"0086-{text}", f"{text}.0", f"{text[:3]} {text[3:7]} {text[7:]}",
              f"{text[:3]}-{text[3:7]}-{text[7:]}", f"86{text}"]  # fmt: skip
    return shapes[i % len(shapes)]


def _no_phone(text: str, i: int) -> str:
    return [f"{text[:3]}****{text[7:]}", "13800138000", "12345", "11111111111"][i % 4]


MONEY = ("gross_amount", "discount_amount", "net_amount")
CODES_ZH = {
    "receipt_type": {"SALE": "销售", "RETURN": "退货", "EXCHANGE": "换货"},
    "status": {"COMPLETED": "已完成", "SUSPENDED": "挂单"},
    "channel": {"STORE": "门店", "O2O": "到家", "GROUPBUY": "团购"},
    "void_flag": {"0": "否", "1": "是"},
    "gender": {"F": "女", "M": "男"},
}


def _chinese(column: str) -> Spoil:
    return lambda text, _: CODES_ZH[column][text]


def _codes(column: str, rule: int = 24) -> Kind:
    listed = "|".join(CODES_ZH[column])
    return Kind(f"chinese_{column}", rule, ACCEPTED, (column,), _chinese(column), f"^({listed})$")


def _each(
    name: str, rule: int, fate: int, columns: tuple[str, ...], spoil: Spoil, **more: Any
) -> list[Kind]:
    """The same dirt in each of several columns."""
    return [Kind(f"{name}:{column}", rule, fate, (column,), spoil, **more) for column in columns]


KINDS: dict[str, list[Kind]] = {
    "sales_line": [
        *_each(
            "wide",
            2,
            REPAIRED,
            (
                "sku_code",
                "card_no",
                "qty",
                "net_amount",
                "business_date",
                "sold_at",
                "till_no",
                "receipt_no",
                "line_no",
                "store_code",
                "cashier_no",
                "gross_amount",
            ),
            _wide,
            weight=0.4,
        ),
        *_each(
            "yen",
            3,
            REPAIRED,
            MONEY,
            lambda t, i: [f"¥{t}", f"￥{t}", f"{t}元"][i % 3],
            fits=r"^\d",
        ),
        *_each(
            "thousands", 3, REPAIRED, ("gross_amount", "net_amount"), _thousands, fits=r"^\d{4,}\."
        ),
        Kind("wan", 3, REPAIRED, ("gross_amount", "net_amount"), _wan, fits=r"^\d{5,}\.00$"),
        *_each("negative", 3, REPAIRED, ("gross_amount", "net_amount"), _negative, fits=r"^-"),
        *_each("vague_amount", 3, QUARANTINED, MONEY, _vague, fits=r"^\d"),
        *_each("date", 4, ACCEPTED, ("business_date", "orig_business_date"), _slashes),
        Kind("time_slashes", 4, ACCEPTED, ("sold_at",), lambda t, _: t.replace("-", "/")),
        *_each("no_date", 4, QUARANTINED, ("business_date", "sold_at"), _no_date),
        Kind(
            "no_date:orig_business_date",
            4,
            QUARANTINED,
            ("orig_business_date",),
            _no_date,
            weight=0.3,
        ),
        Kind("serial", 4, QUARANTINED, ("business_date",), _serial),
        Kind("scientific_card", 6, QUARANTINED, ("card_no",), _scientific, fits=r"^\d{12}$"),
        Kind(
            "lost_zeros",
            6,
            REPAIRED,
            ("card_no",),
            lambda _, i: f"{622848_000_000_000 + i:015d}{'0' * (1 + i % 4)}",
            fits="^$",
            value="*",
            only=(("_lines", "^1$"),),
            weight=0.5,
        ),
        *_each(
            "apostrophe", 8, REPAIRED, ("sku_code", "card_no", "receipt_no"), lambda t, _: f"'{t}"
        ),
        *_each(
            "formula", 8, REPAIRED, ("sku_code", "till_no", "receipt_no"), lambda t, _: f'="{t}"'
        ),
        *_each(
            "trailing_tab",
            8,
            ACCEPTED,
            ("sku_code", "net_amount", "promo_code"),
            lambda t, _: f"{t}\t",
        ),
        *_each(
            "null_token",
            8,
            REPAIRED,
            ("promo_code", "cost_amount", "card_no", "orig_receipt_no"),
            _cycle(*_NULL_TOKENS),
            fits="^$",
        ),
        *_each("null_required", 8, QUARANTINED, ("sku_code", "net_amount"), _cycle(*_NULL_TOKENS)),
        Kind(
            "positive_return",
            10,
            REPAIRED,
            ("qty", "gross_amount", "discount_amount", "net_amount"),
            lambda t, _: t.removeprefix("-"),
            only=(("receipt_type", "^RETURN$"), ("qty", "^-")),
            fits="",
        ),
        Kind(
            "return_sign_conflict",
            10,
            QUARANTINED,
            ("net_amount",),
            lambda t, _: t.removeprefix("-"),
            fits="^-",
            only=(("receipt_type", "^RETURN$"),),
        ),
        Kind(
            "sale_sign_conflict",
            10,
            QUARANTINED,
            ("qty",),
            lambda t, _: f"-{t}",
            fits=r"^[1-9]",
            only=(("receipt_type", "^SALE$"),),
        ),
        Kind("duplicate", 14, QUARANTINED, act="copy"),
        Kind(
            "key_conflict", 14, QUARANTINED, ("cashier_no",), lambda t, _: f"9{t[1:]}", act="rival"
        ),
        *_each(
            "eaten_zeros",
            7,
            REPAIRED,
            ("sku_code", "store_code"),
            lambda t, _: t.lstrip("0"),
            fits="^0+[1-9]",
        ),
        Kind(
            "clock",
            17,
            QUARANTINED,
            ("sold_at",),
            lambda t, i: f"{['1970-01-01', '2000-01-01'][i % 2]} {t[11:]}",
            whole=True,
            weight=0.2,
        ),
        Kind(
            "receipt_sum",
            18,
            QUARANTINED,
            ("net_amount",),
            lambda t, i: f"{int(t.partition('.')[0]) + 1 + i % 7}.{t.partition('.')[2]}",
            fits=r"^\d",
            act="group",
            weight=0.2,
        ),
        Kind(
            "receipt_card",
            18,
            QUARANTINED,
            ("card_no",),
            lambda t, _: f"9{t[1:]}",
            fits=r"^\d{12}$",
            act="group",
            only=(("_lines", "^([2-9]|\\d\\d)"),),
            weight=0.2,
        ),
        Kind(
            "text:promo_code",
            19,
            ACCEPTED,
            ("promo_code",),
            _cycle('满"200"减,20', "会员日,双倍", "换行\n促销"),
            value="*",
            weight=0.7,
        ),
        Kind(
            "text:remark",
            19,
            ACCEPTED,
            ("_remark",),
            _cycle('顾客说"要发票",电子', "第一行\n第二行", "含,逗号", '"'),
            fits="",
            value="*",
            weight=1.0,
        ),
        *(_codes(column) for column in ("receipt_type", "status", "channel", "void_flag")),
        *_each(
            "unknown_code",
            0,
            QUARANTINED,
            ("receipt_type", "status", "channel", "void_flag"),
            _cycle("XYZ", "？", "9"),
        ),
        *_each(
            "missing",
            0,
            QUARANTINED,
            ("sku_code", "qty", "net_amount", "line_no", "store_code"),
            lambda t, i: "",
        ),
        Kind("not_a_number", 0, QUARANTINED, ("qty",), _cycle("两个", "1.2.3", "abc", "1e3")),
        Kind("too_long", 0, QUARANTINED, ("sku_code",), lambda t, _: t * 4),
        Kind("too_few_fields", 0, QUARANTINED, act="short"),
        Kind("too_many_fields", 0, QUARANTINED, act="long"),
        Kind(
            "undecodable",
            1,
            QUARANTINED,
            ("cashier_no", "sku_code"),
            lambda t, _: f"{t[:3]}{BAD_BYTE}{t[4:]}",
            act="one",
        ),
        Kind("total_line", 9, SKIPPED, act="total", weight=0.15),
        Kind("repeated_header", 9, SKIPPED, act="header", weight=0.15),
    ],
    "member": [
        Kind("phone_shape", 5, REPAIRED, ("phone",), _phone, weight=3),
        Kind("phone_useless", 5, REPAIRED, ("phone",), _no_phone, value="", weight=2),
        Kind("wide:phone", 2, REPAIRED, ("phone",), _wide),
        Kind("wide:member_id", 2, REPAIRED, ("member_id",), _wide),
        Kind("date", 4, ACCEPTED, ("birth_date",), _slashes),
        Kind("serial", 4, REPAIRED, ("enrolled_on",), _serial),
        Kind(
            "unknown_birth",
            17,
            REPAIRED,
            ("birth_date",),
            _cycle("1900-01-01", "1970-01-01"),
            value="",
        ),
        Kind("no_date", 4, QUARANTINED, ("enrolled_on",), _no_date),
        Kind("null_token", 8, REPAIRED, ("email",), _cycle(*_NULL_TOKENS), fits="^$"),
        Kind(
            "text:address",
            19,
            ACCEPTED,
            ("address",),
            _cycle('中山路1号"南楼",3室', "人民路2号\n后门", "同上", "新华街（老邮局旁）"),
            value="*",
        ),
        _codes("gender"),
        Kind("unknown_code", 0, QUARANTINED, ("customer_type",), _cycle("XYZ")),
        Kind("missing", 0, QUARANTINED, ("enrolled_on",), lambda t, i: ""),
        Kind("total_line", 9, SKIPPED, act="total", weight=0.1),
        Kind("repeated_header", 9, SKIPPED, act="header", weight=0.1),
    ],
    "member_card": [
        Kind("scientific_card", 6, QUARANTINED, ("card_no",), _scientific),
        Kind("apostrophe", 8, REPAIRED, ("card_no",), lambda t, _: f"'{t}"),
        Kind("wide", 2, REPAIRED, ("card_no",), _wide),
        Kind("date", 4, ACCEPTED, ("issued_on",), _slashes),
        Kind("null_token", 8, REPAIRED, ("replaced_by",), _cycle(*_NULL_TOKENS), fits="^$"),
    ],
    "product": [
        Kind("null_token", 8, REPAIRED, ("delisted_on",), _cycle(*_NULL_TOKENS), fits="^$"),
        Kind("wide", 2, REPAIRED, ("sku_code",), _wide),
        Kind("apostrophe", 8, REPAIRED, ("sku_code",), lambda t, _: f"'{t}"),
        Kind("date", 4, ACCEPTED, ("launched_on",), _slashes),
        Kind("serial", 4, REPAIRED, ("launched_on",), _serial),
    ],
    "survey_answer": [
        Kind("wide", 2, REPAIRED, ("answer_num",), _wide),
        Kind("missing", 0, QUARANTINED, ("question_id",), lambda t, i: ""),
        Kind("nothing_answered", 0, QUARANTINED, ("answer_num",), lambda t, i: ""),
        Kind(
            "off_scale",
            23,
            QUARANTINED,
            ("answer_num",),
            _cycle("11.000", "-1.000"),
            fits=r"^[0-9]\.",
            only=(("question_id", "^(GW-CSAT|GW-NPS|SQ-..-[EP])$"),),
        ),
        Kind(
            "text:answer",
            19,
            ACCEPTED,
            ("answer_text",),
            _cycle('服务"好",价格贵', "第一\n第二"),
            value="*",
        ),
    ],
    "complaint": [
        Kind("phone_shape", 5, REPAIRED, ("contact_phone",), _phone),
        Kind("phone_useless", 5, REPAIRED, ("contact_phone",), _no_phone, value=""),
        Kind(
            "text:description",
            19,
            ACCEPTED,
            ("description",),
            _cycle('说"假一赔十",没赔', "很生气\n要赔偿"),
            value="*",
        ),
        Kind("unknown_code", 0, QUARANTINED, ("channel",), _cycle("FAX")),
        Kind("severity", 0, QUARANTINED, ("severity",), _cycle("5", "0")),
    ],
    "complaint_event": [
        Kind(
            "text:note",
            19,
            ACCEPTED,
            ("note",),
            _cycle('顾客说"算了",结案', "多次拨打\n无人接听"),
            fits="",
            value="*",
        ),
        Kind("unknown_code", 0, QUARANTINED, ("event",), _cycle("PHONED")),
        Kind("level", 0, QUARANTINED, ("level",), _cycle("6")),
    ],
}
GROUPS = {"sales_line": RECEIPT}


@dataclass
class Spoilt:
    """A sheet as it is written, and what a reader owes for each record.

    `raw` and `right` have one row per record. `inserted` are whole lines that are no records: after
    which row, text by column, kind.
    """

    raw: Sheet
    right: Sheet
    fate: Ints
    kind: Ints  # place in `kinds`, -1 where nothing was done
    kinds: list[Kind]
    broken: dict[int, str] = field(default_factory=dict)  # row → "short" or "long"
    incomplete: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))
    inserted: list[tuple[int, Sheet, int]] = field(default_factory=list)
    unreadable: Bools = field(default_factory=lambda: np.zeros(0, dtype=bool))  # the net amount
    changed: list[tuple[str, Ints]] = field(
        default_factory=list
    )  # column → rows that were spoilt in it


def clean(sheet: Sheet) -> Spoilt:
    """The sheet as it is."""
    n = size_of(sheet)
    return Spoilt(
        raw=dict(sheet),
        right=sheet,
        fate=np.zeros(n, dtype=np.int64),
        kind=np.full(n, -1),
        kinds=[],
        incomplete=np.zeros(n, dtype=bool),
        unreadable=np.zeros(n, dtype=bool),
    )


def spoil(
    feed: str,
    sheet: Sheet,
    share: float,
    rng: np.random.Generator,
    without: frozenset[str] = frozenset(),
) -> Spoilt:
    """Spoil about `share` of the rows by all kinds of dirt of the feed; kinds in `without` are left out."""
    kinds = [k for k in KINDS.get(feed, []) if k.name not in without]
    if not kinds or share <= 0 or size_of(sheet) == 0:
        return clean(sheet)
    return _Work(feed, sheet, share, rng, kinds).done()


class _Work:
    def __init__(
        self, feed: str, sheet: Sheet, share: float, rng: np.random.Generator, kinds: list[Kind]
    ) -> None:
        self.feed, self.share, self.rng, self.kinds = feed, share, rng, kinds
        self.sheet = {name: as_text(column) for name, column in sheet.items()}
        self.rows = size_of(sheet)
        self.group = self._groups()
        self.lines = np.bincount(self.group)[self.group]
        self.used = np.zeros(int(self.group[-1]) + 1, dtype=bool)
        self.left = int(QUARANTINE_MOST * self.rows) if self.rows >= FEW_ROWS else 0
        self.fits: dict[tuple[str, str], Bools] = {}

    def _groups(self) -> Ints:
        key = GROUPS.get(self.feed)
        if key is None:
            return np.arange(self.rows)
        first = np.zeros(self.rows, dtype=bool)
        for name in key:
            column = self.sheet[name]
            change = pc.not_equal(column[1:], column[:-1])
            first[1:] |= change.to_numpy(zero_copy_only=False)
        first[0] = True
        return np.cumsum(first) - 1

    def _matching(self, column: str, pattern: str) -> Bools:
        if not pattern:
            return np.ones(self.rows, dtype=bool)
        if column == "_lines":
            found = [bool(re.search(pattern, str(n))) for n in range(int(self.lines.max()) + 1)]
            return np.asarray(found)[self.lines]
        if (column, pattern) not in self.fits:
            match = pc.match_substring_regex(self.sheet[column], pattern)
            self.fits[column, pattern] = match.to_numpy(zero_copy_only=False)
        return self.fits[column, pattern]

    def _choose(self, kind: Kind, count: int) -> Ints:
        """Rows of receipts to which nothing has been done yet, one of each."""
        free = ~self.used[self.group]
        for column in kind.columns:
            if column in self.sheet:
                free &= self._matching(column, kind.fits)
        for column, pattern in kind.only:
            free &= self._matching(column, pattern)
        rows = np.flatnonzero(free)
        # twice as many as wanted are enough, since some fall on the same receipt
        rows = self.rng.permutation(rows)[: 4 * count + 20]
        rows = rows[np.sort(np.unique(self.group[rows], return_index=True)[1])][:count]
        if kind.fate == QUARANTINED:
            whole = kind.whole or kind.act == "group"
            cost = np.cumsum(self.lines[rows] if whole else np.full(len(rows), 2))
            rows = rows[cost <= self.left]
            self.left -= int(cost[len(rows) - 1]) if len(rows) else 0
        self.used[self.group[rows]] = True
        return rows

    def done(self) -> Spoilt:
        total = sum(kind.weight for kind in self.kinds)
        plan: list[tuple[int, Ints]] = []
        # the rare ones first: a big receipt should not be gone when 1.2万 looks for one
        for place in self.rng.permutation(len(self.kinds)).tolist():
            kind = self.kinds[place]
            wanted = self.share * self.rows * kind.weight / total
            count = int(wanted + self.rng.random())
            if kind.rule == 3 and kind.name.startswith(("wan", "thousands", "negative")):
                count = max(count, int(wanted > 3))
                plan.insert(0, (place, self._choose(kind, count)))
            elif count:
                plan.append((place, np.full(count, -1)))
        plan = [
            (p, r if len(r) == 0 or r[0] >= 0 else self._choose(self.kinds[p], len(r)))
            for p, r in plan
        ]
        return self._apply([(p, r) for p, r in plan if len(r)])

    def _apply(self, plan: list[tuple[int, Ints]]) -> Spoilt:
        # copies and rivals are rows of their own, behind the one that they repeat
        extra = [(p, r) for p, r in plan if self.kinds[p].act in ("copy", "rival")]
        behind = np.concatenate([r for _, r in extra]) if extra else np.zeros(0, dtype=np.int64)
        far = self.rng.random(len(behind)) < 0.3  # some copies stand at the end of the file
        position = np.concatenate([np.arange(self.rows), np.where(far, self.rows, behind) + 0.5])
        order = np.argsort(position, kind="stable")
        source = np.concatenate([np.arange(self.rows), behind])[order]
        is_extra = order >= self.rows
        at = np.zeros(self.rows, dtype=np.int64)  # where a row stands now
        at[source[~is_extra]] = np.flatnonzero(~is_extra)
        right = taken(self.sheet, source) if len(behind) else dict(self.sheet)
        result = clean(right)
        result.raw["_remark"] = pa.array(np.full(len(source), ""))
        result.kinds = self.kinds
        group = self.group[source]
        extra_at = np.zeros(len(behind), dtype=np.int64)
        extra_at[order[is_extra] - self.rows] = np.flatnonzero(is_extra)
        extra_of = (
            dict(
                zip(
                    (p for p, _ in extra),
                    np.split(extra_at, np.cumsum([len(r) for _, r in extra])[:-1]),
                    strict=True,
                )
            )
            if extra
            else {}
        )
        cells: dict[str, list[tuple[Ints, list[str], list[str] | None]]] = {}
        for place, rows in plan:
            kind = self.kinds[place]
            here = at[rows]
            if kind.act in ("total", "header"):
                result.inserted += [
                    (int(row), self._no_record(kind, i), place) for i, row in enumerate(here)
                ]
                continue
            if kind.act in ("copy", "rival"):
                spoilt = extra_of[place]
                result.fate[spoilt], result.kind[spoilt] = QUARANTINED, place
                if kind.act == "copy":
                    continue
                result.fate[here], result.kind[here] = QUARANTINED, place
                self._mark_incomplete(result, group, here)
                here = spoilt
            elif kind.act in ("short", "long"):
                result.broken |= dict.fromkeys(here.tolist(), kind.act)
                result.unreadable[here] = True
            elif kind.whole or kind.act == "group":
                members = np.flatnonzero(np.isin(group, group[here]))
                result.fate[members], result.kind[members] = QUARANTINED, place
                here = members if kind.whole else here
            if kind.act != "rival":
                result.fate[here], result.kind[here] = kind.fate, place
            self._spoil_cells(result, kind, here, cells)
            if (
                kind.fate == QUARANTINED and not kind.whole and kind.act == ""
            ) or kind.act == "one":
                self._mark_incomplete(result, group, here, kind)
        self._put_cells(result, cells)
        result.incomplete &= result.fate < QUARANTINED
        self._add_up(result)
        return result

    def _mark_incomplete(
        self, result: Spoilt, group: Ints, rows: Ints, kind: Kind | None = None
    ) -> None:
        """What is left of a receipt is flagged, where the lost line still says which receipt it was of."""
        if self.feed == "sales_line" and not (kind and set(kind.columns) & set(RECEIPT)):
            result.incomplete |= np.isin(group, group[rows])

    def _spoil_cells(
        self,
        result: Spoilt,
        kind: Kind,
        rows: Ints,
        cells: dict[str, list[tuple[Ints, list[str], list[str] | None]]],
    ) -> None:
        if kind.spoil is None:
            return
        columns = kind.columns
        if kind.act == "one":  # one of the columns
            pick = self.rng.integers(0, len(columns), len(rows))
            parts = [(c, rows[pick == i]) for i, c in enumerate(columns)]
        else:
            parts = [(c, rows) for c in columns]
        shape = self.rng.integers(0, 1 << 30, len(rows)).tolist()
        for column, where in parts:
            before = result.raw[column].take(pa.array(where)).to_pylist()
            after = [kind.spoil(text, i) for text, i in zip(before, shape, strict=False)]
            spoilt = np.asarray([a != b for a, b in zip(before, after, strict=True)], dtype=bool)
            result.changed.append((column, where[spoilt]))
            right: list[str] | None = None
            if kind.value is not None:
                right = after if kind.value == "*" else [kind.value] * len(after)
            cells.setdefault(column, []).append((where, after, right))
            if column == "net_amount" and kind.rule in (3, 8, 0) and kind.fate == QUARANTINED:
                result.unreadable[where] = True
            elif kind.fate == QUARANTINED and column == "net_amount":
                # it can be read, and is what the file says
                cells[column][-1] = (where, after, after)

    def _put_cells(
        self, result: Spoilt, cells: dict[str, list[tuple[Ints, list[str], list[str] | None]]]
    ) -> None:
        for column, parts in cells.items():
            rows = np.concatenate([p[0] for p in parts])
            texts = [text for p in parts for text in p[1]]
            order = np.argsort(rows)
            result.raw = replaced(
                result.raw, rows, {column: pa.array(texts, pa.string()).take(pa.array(order))}
            )
            mended = [(p[0], p[2]) for p in parts if p[2] is not None]
            if mended and column in result.right:
                rows = np.concatenate([r for r, _ in mended])
                values = pa.array([text for _, v in mended for text in v], pa.string())
                result.right = replaced(
                    result.right, rows, {column: values.take(pa.array(np.argsort(rows)))}
                )

    def _no_record(self, kind: Kind, i: int) -> Sheet:
        """A line that is no record, as texts by column; a header is written by who knows its names."""
        if kind.act == "header":
            return {}
        names = list(self.sheet)
        word = ["合计", "总计", "小计：", "合 计", "共计"][i % 5]
        return dict.fromkeys(names, "") | {names[0]: word}

    def _add_up(self, result: Spoilt) -> None:
        """Fill in the total lines, from the rows above: as a source does that adds up what it writes."""
        net = result.right.get("net_amount")
        so_far = None
        if net is not None:
            texts = pc.if_else(pc.equal(net, ""), "0.00", net)
            so_far = np.cumsum(pc.cast(pc.replace_substring(texts, ".", ""), pa.int64()).to_numpy())
        first = next(iter(self.sheet))
        for after, line, _ in result.inserted:
            if not line:
                continue
            if so_far is None or line[first] == "共计":
                line[first] = f"共计 {after + 1:,} 条"
            else:
                fen = int(so_far[after])
                line["net_amount"] = (
                    f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"
                )


def first_lines(inserted: list[tuple[int, Sheet, int]], spans: Ints) -> tuple[Ints, Ints]:
    """Physical lines of the records and of the inserted lines, below a header of one line."""
    after = np.asarray([row for row, _, _ in inserted], dtype=np.int64)
    position = np.concatenate([np.arange(len(spans)), after + 0.7])
    order = np.argsort(position, kind="stable")
    every = np.concatenate([spans, np.ones(len(after), dtype=np.int64)])[order]
    line = np.zeros(len(order), dtype=np.int64)
    line[order] = 2 + np.cumsum(every) - every
    return line[: len(spans)], line[len(spans) :]
