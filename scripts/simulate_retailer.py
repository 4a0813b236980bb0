"""Simulate a whole supermarket chain: the drops of all nine feeds, dirty as real exports are.

    scripts/simulate_retailer.py --landing landing --scale 0.02 --from 2024-01-01 --to 2024-03-31
    scripts/simulate_retailer.py --landing landing                                  # a year, in full
    scripts/simulate_retailer.py --landing landing --dirt 0.02 --truth truth        # 2 % dirty rows

Seven stores and 140,000 members in Nanjing (`--scale 1`): people with rates, habits and lifetimes of
their own, baskets of a Chinese supermarket, flyers, coupons, gifts, bags, returns, cancelled and
suspended receipts, weekdays and the Spring Festival, what goes wrong at visits, the complaints,
questionnaires and departures that follow, a competitor who opens half way. See
`scripts/retailer_world.py` and `scripts/retailer_service.py`. Everything is invented, and every
manifest says so; nothing of it comes from Kehu or knows what Kehu counts.

Files. Three till systems export: A (four stores) as GB18030 with Chinese headers, B (two stores) as
UTF-8 with a byte-order mark in gzip, C (one store) as Excel's "Unicode text" in UTF-16. The time before
the last `--nightly` days comes as one file a month, then one a night. Most files have a manifest. On
the way some store-days come late, one is sent again with a changed line, one file comes twice, and
days on which a store was closed come as files with only a header.

Dirt (`--dirt SHARE`). About that share of the rows is spoilt by the kinds of `scripts/retailer_dirt.py`,
and some files come cut, with a wrong control sum, without a required column or too dirty, each followed
by its right version. `--truth FOLDER` tells for every record of every file what a reader owes:

    <feed>.parquet   file, line (physical, from 1), fate {accepted|repaired|quarantined|skipped}, rule
                     (number in the catalogue of dirt; 0 = none of it), kind, columns (the spoilt ones),
                     is_incomplete, and each column of the feed as it is right, as text, NULL for none
    files.parquet    file, feed, fate {accepted|refused|skipped}, rows, accepted, quarantined, skipped,
                     replaced (accepted rows that a later version of their store-day replaces), note

The same options give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import time
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from retailer_dirt import (
    BAD_BYTE,
    FATES,
    QUARANTINED,
    SKIPPED,
    Spoilt,
    clean,
    first_lines,
    spoil,
)
from retailer_names import STORES, TEST_STORE
from retailer_service import Service
from retailer_world import (
    EPOCH,
    MEMBERS,
    Chain,
    Ints,
    Period,
    Sheet,
    blank_where,
    concatenated,
    replaced,
    size_of,
    taken,
)

SEED = 20240101
CHUNK = 200_000  # records that are put together and encoded at a time
console = Console()

# The headers of each feed as its source writes them; sales in three dialects.
HEADERS: dict[str, str] = {
    "store": "门店编码 店名 业态 城市 区县 面积 开业日期 闭店日期 是否测试店 三公里内竞争店 更新时间",
    "product": "商品编码 品名 品牌 大类编码 大类 中类编码 中类 小类编码 小类 细类编码 细类 计量单位"
    " 是否称重 是否计入销售 是否购物袋 积分类别 税率 三包类别 供应商编码 上市日期 下架日期"
    " 状态 更新时间",
    "member": "会员编号 姓名 性别 生日 手机号 邮箱 区县 地址 家庭人数 入会日期 入会门店 入会渠道"
    " 推荐人卡号 客户类型 状态 更新时间",
    "member_card": "卡号 会员编号 卡类型 发卡日期 有效期至 状态 替换卡号 更新时间",
    "survey_question": "问卷编号 题目编号 问卷类型 题目 构念 方面 SERVQUAL项 维度 角色 配对号 最低分 最高分"
    " 高分为好 开始日期 结束日期 更新时间",
    "survey_answer": "答卷编号 题目编号 选项序号 问卷编号 邀请编号 会员卡号 投诉编号 门店编码 开始时间"
    " 提交时间 数值答案 选项编码 文字答案",
    "complaint": "投诉编号 受理时间 投诉渠道 受理级别 会员卡号 联系电话 门店编码 部门 商品编码 原门店"
    " 原营业日期 原收银机号 原小票号 类别 原因编码 严重程度 内容 员工号 并入编号 补偿方式"
    " 补偿金额 更新时间",
    "complaint_event": "投诉编号 序号 发生时间 事件 级别 处理方 员工号 备注",
    "sales_line:A": "门店编码 营业日期 收银机号 小票号 行号 批次号 销售时间 单据类型 状态 收银员 会员卡号"
    " 渠道 商品编码 数量 单价 原价金额 折扣金额 实收金额 促销编码 成本金额 税率 作废标志"
    " 原门店 原营业日期 原收银机号 原小票号",
    "sales_line:B": "store_code business_date till_no receipt_no line_no batch_no sold_at receipt_type status"
    " cashier_no card_no channel sku_code qty unit_price gross_amount discount_amount"
    " net_amount promo_code cost_amount vat_rate void_flag orig_store_code orig_business_date"
    " orig_till_no orig_receipt_no",
    "sales_line:C": "店号 营业日 款台号 流水号 序号 批次号 交易时间 小票类型 单据状态 收银员号 会员号"
    " 销售渠道 货号 销售数量 售价 应收金额 优惠金额 销售金额 促销单号 成本金额 税率 取消标志"
    " 原单门店 原单日期 原收银机号 原单号",
}
CODES = ("sku_code", "store_code")
FREE_TEXT = {
    "name",
    "address",
    "description",
    "note",
    "text",
    "answer_text",
    "promo_code",
    "_remark",
}


class Export(NamedTuple):
    """How a source writes its files."""

    encoding: str
    ending: str
    anonymous: str = ""  # what stands for "no card"
    has_remark: bool = False  # a column that the contract does not know
    newline: str = "\r\n"

    @property
    def delimiter(self) -> str:
        return "\t" if ".tsv" in self.ending else ","


SYSTEMS = {
    "A": Export("gb18030", ".csv", "000000", has_remark=True),
    "B": Export("utf-8-sig", ".csv.gz"),
    "C": Export("utf-16", ".tsv", "0"),
}
# An office keeps its small masters in a workbook, with a title above the header.
OFFICE = Export("utf-8", ".xlsx") if find_spec("openpyxl") else Export("utf-8-sig", ".csv")
TITLES = {"store": "惠民超市门店资料表", "survey_question": "问卷题库"}
NUMBERS = {
    "area_m2",
    "is_test",
    "competitors_3km",
    "servqual_item",
    "scale_min",
    "scale_max",
    "higher_is_better",
}
DATES = {"opened_on", "closed_on", "wave_start", "wave_end"}
SOURCES = {
    "store": OFFICE,
    "product": Export("gb18030", ".csv"),
    "member": Export("gb18030", ".csv"),
    "member_card": Export("utf-8", ".csv", newline="\n"),
    "survey_question": OFFICE,
    "survey_answer": Export("utf-8-sig", ".csv", newline="\n"),
    "complaint": Export("gb18030", ".csv"),
    "complaint_event": Export("utf-8", ".csv.gz", newline="\n"),
}
SYSTEM_OF = {s.code: s.system for s in [*STORES, TEST_STORE]}


@dataclass
class Written:
    """What became of one feed, for the summary."""

    files: int = 0
    rows: int = 0
    bytes: int = 0


@dataclass
class Drops:
    """Writes files with their manifests into a landing folder, and the truth of them beside."""

    landing: Path
    truth: Path | None
    seed: int
    written: dict[str, Written] = field(default_factory=lambda: defaultdict(Written))
    files: list[dict[str, Any]] = field(default_factory=list)
    _writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    _clock: int = 0

    def write(
        self,
        feed: str,
        name: str,
        sheet: Spoilt,
        export: Export,
        generated_at: datetime,
        *,
        dialect: str = "",
        manifest: dict[str, Any] | bool = True,
        fate: str = "accepted",
        note: str = "",
        spoil_bytes: str = "",
    ) -> Path:
        """Write one file. `manifest` adds to the usual one; False leaves it out.

        `spoil_bytes` is "cut" (after the manifest was made) or "header" (a required column is missing).
        """
        columns = list(sheet.right)
        headers = HEADERS[f"{feed}:{dialect}" if dialect else feed].split()
        if export.has_remark:
            columns, headers = [*columns, "_remark"], [*headers, "备注"]
            sheet.raw.setdefault(
                "_remark", blank_where(sheet.raw[columns[0]], np.ones(size_of(sheet.right), bool))
            )
        if spoil_bytes == "header":
            columns, headers = columns[1:], headers[1:]
        raw = [sheet.raw[c] for c in columns]
        if export.anonymous and "card_no" in columns:
            at = columns.index("card_no")
            raw[at] = pc.if_else(pc.equal(raw[at], ""), export.anonymous, raw[at])
        path = self.landing / feed / f"{name}{export.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if export.ending == ".xlsx":
            _workbook(path, TITLES[feed], columns, headers, raw)
            lines, other = np.arange(size_of(sheet.right)) + 3, np.zeros(0, dtype=np.int64)
        else:
            spans = self._bytes(path, columns, headers, raw, sheet, export)
            lines, other = first_lines(sheet.inserted, spans)
        digest = _sha256(path)
        rows = size_of(sheet.right)
        if manifest is not False:
            told: dict[str, Any] = {
                "feed": feed,
                "rows": rows,
                "sha256": digest,
                "generated_at": generated_at.isoformat(),
                "simulated": True,
            }
            if feed == "sales_line":
                told["control_sum"] = _sum(sheet.right["net_amount"])
            told |= manifest if isinstance(manifest, dict) else {}
            beside = path.with_name(f"{path.name}.manifest.json")
            beside.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        if spoil_bytes == "cut":
            data = path.read_bytes()
            path.write_bytes(data[: len(data) * 2 // 3])
        self._clock += 1
        stamp = int(generated_at.timestamp()) + self._clock % 3000
        os.utime(path, (stamp, stamp))
        summary = self.written[feed]
        summary.files, summary.rows = summary.files + 1, summary.rows + rows
        summary.bytes += path.stat().st_size
        self._tell(feed, path, sheet, lines, other, fate, note)
        return path

    def _bytes(
        self,
        path: Path,
        columns: list[str],
        headers: list[str],
        raw: list[Any],
        sheet: Spoilt,
        export: Export,
    ) -> Ints:
        """Write the file; return how many physical lines each record takes."""
        encoding = {"utf-16": "utf-16-le", "utf-8-sig": "utf-8"}.get(
            export.encoding, export.encoding
        )
        mark = {"utf-16": b"\xff\xfe", "utf-8-sig": b"\xef\xbb\xbf"}.get(export.encoding, b"")
        quoted = FREE_TEXT if not sheet.kinds else set(columns)
        rows = size_of(sheet.right)
        spans = np.ones(rows, dtype=np.int64)
        head = export.delimiter.join(headers)
        inserted: dict[int, list[str]] = defaultdict(list)
        for after, texts, _ in sheet.inserted:
            cells = [texts.get(c, "") for c in columns] if texts else headers
            inserted[after].append(
                export.delimiter.join(_quoted(c, export.delimiter) for c in cells)
            )
        with path.open("wb") as plain:
            file: Any = (
                gzip.GzipFile("", "wb", 6, plain, mtime=0) if path.suffix == ".gz" else plain
            )
            file.write(mark + (head + export.newline).encode(encoding))
            for low in range(0, rows, CHUNK):
                part = [c.slice(low, CHUNK) for c in raw]
                cells = [
                    _quote_where_needed(c, export.delimiter) if name in quoted else c
                    for name, c in zip(columns, part, strict=True)
                ]
                lines = pc.binary_join_element_wise(*cells, export.delimiter)
                if sheet.kinds:
                    spans[low : low + CHUNK] += pc.count_substring(lines, "\n").to_numpy()
                texts_here = lines.to_pylist() if sheet.kinds else None
                if texts_here is None:
                    text = export.newline.join(lines.to_pylist())
                else:
                    for row, how in sheet.broken.items():
                        if low <= row < low + len(texts_here):
                            line = [c[row - low].as_py() for c in cells]
                            line = line[:-1] if how == "short" else [*line, "多余"]
                            texts_here[row - low] = export.delimiter.join(line)
                    for row, more in inserted.items():
                        if low <= row < low + len(texts_here):
                            texts_here[row - low] += "".join(export.newline + m for m in more)
                    text = export.newline.join(texts_here)
                data = (text + export.newline).encode(encoding)
                if sheet.kinds and encoding != "utf-16-le":
                    data = data.replace(BAD_BYTE.encode(), b"\xff")
                file.write(data)
            if file is not plain:
                file.close()
        return spans

    def _tell(
        self, feed: str, path: Path, sheet: Spoilt, lines: Ints, other: Ints, fate: str, note: str
    ) -> None:
        relative = path.relative_to(self.landing).as_posix()
        rows, skipped = size_of(sheet.right), len(sheet.inserted)
        quarantined = int((sheet.fate == QUARANTINED).sum())
        self.files.append(
            {
                "file": relative,
                "feed": feed,
                "fate": fate,
                "rows": rows + skipped,
                "accepted": rows - quarantined if fate == "accepted" else 0,
                "quarantined": quarantined if fate == "accepted" else 0,
                "skipped": skipped if fate == "accepted" else 0,
                "replaced": 0,
                "has_manifest": path.with_name(f"{path.name}.manifest.json").exists(),
                "note": note,
            }
        )
        if self.truth is None or fate != "accepted":
            return
        none = np.full(skipped, SKIPPED)
        code = np.concatenate([sheet.fate, none])
        kind = np.concatenate(
            [sheet.kind, np.asarray([k for _, _, k in sheet.inserted], dtype=np.int64)]
        )
        names = pa.array([k.name for k in sheet.kinds] or [""])
        rule = np.asarray([k.rule for k in sheet.kinds] or [0])
        spoilt: list[list[str] | None] = [None] * (rows + skipped)
        for column, where in sheet.changed:
            for row in where.tolist():
                spoilt[row] = [*(spoilt[row] or []), column]
        place = pa.array(np.where(kind < 0, None, kind).tolist(), pa.int64())
        table: dict[str, Any] = {
            "file": pa.array(np.full(rows + skipped, relative)).dictionary_encode(),
            "line": pa.array(np.concatenate([lines, other])),
            "fate": pa.array(FATES).take(pa.array(code)),
            "rule": pa.array(np.where(kind < 0, 0, rule[np.maximum(kind, 0)])),
            "kind": names.take(place),
            "columns": pa.array(spoilt, pa.list_(pa.string())),
            "is_incomplete": pa.array(np.concatenate([sheet.incomplete, np.zeros(skipped, bool)])),
        }
        for name, column in sheet.right.items():
            texts = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table[name] = pa.concat_arrays([_flat(texts), pa.nulls(skipped, pa.string())])
        batch = pa.table(table)
        if feed not in self._writers:
            self.truth.mkdir(parents=True, exist_ok=True)
            self._writers[feed] = pq.ParquetWriter(
                self.truth / f"{feed}.parquet", batch.schema, compression="zstd"
            )
        self._writers[feed].write_table(batch)

    def close(self) -> None:
        """Finish the truth."""
        for writer in self._writers.values():
            writer.close()
        if self.truth is not None:
            self.truth.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(self.files), self.truth / "files.parquet")


def _workbook(
    path: Path, title: str, columns: list[str], headers: list[str], raw: list[Any]
) -> None:
    """Write a workbook with a title, a header and one row for each record; the same bytes each time."""
    from openpyxl import Workbook

    book = Workbook()
    book.properties.created = book.properties.modified = datetime(2024, 1, 1)
    page = book.active
    page.append([title])
    page.append(headers)
    cells = [
        [_cell(name, text) for text in column.to_pylist()]
        for name, column in zip(columns, raw, strict=True)
    ]
    for row in zip(*cells, strict=True):
        page.append(row)
    held = io.BytesIO()
    book.save(held)
    with (
        zipfile.ZipFile(held) as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":  # the time of saving
                data = re.sub(
                    rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>2024-01-01T00:00:00Z", data
                )
            target.writestr(
                zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED
            )


def _cell(column: str, text: str) -> str | int | float | datetime | None:
    """A cell as somebody types it: numbers and dates are no texts, codes are."""
    if not text:
        return None
    if column in DATES:
        return datetime.fromisoformat(text)
    if column in NUMBERS:
        return float(text) if "." in text else int(text)
    return text


def _flat(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _sum(texts: Any) -> str:
    fen = pc.sum(pc.cast(pc.replace_substring(texts, ".", ""), pa.int64())).as_py() or 0
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _quoted(text: str, delimiter: str) -> str:
    if any(c in text for c in f'"\r\n{delimiter}'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _quote_where_needed(column: Any, delimiter: str) -> Any:
    """Cells in quotes where they need it; ="0012" stays as Excel writes it."""
    needed = pc.match_substring_regex(column, f'["\\r\\n{delimiter}]')
    needed = pc.and_(needed, pc.invert(pc.match_substring_regex(column, '^="[^"]*"$')))
    if not pc.any(needed).as_py():
        return column
    doubled = pc.binary_join_element_wise('"', pc.replace_substring(column, '"', '""'), '"', "")
    return pc.if_else(needed, doubled, column)


# ---- what is delivered when ------------------------------------------------------------------------


class Delivery(NamedTuple):
    """The days that come in one file: months first, then single nights."""

    label: str
    low: int  # first and last day, counted from the first of the period
    high: int
    is_night: bool


def deliveries(period: Period, nightly: int) -> list[Delivery]:
    """Cut the period into months, and the last days into nights."""
    result: list[Delivery] = []
    first_night = max(0, period.days - nightly)
    day = 0
    while day < first_night:
        start = period.first + timedelta(day)
        following = (start.replace(day=1) + timedelta(32)).replace(day=1)
        high = min((following - period.first).days, first_night) - 1
        result.append(Delivery(f"{start:%Y-%m}", day, high, False))
        day = high + 1
    for night in range(first_night, period.days):
        label = (period.first + timedelta(night)).isoformat()
        result.append(Delivery(label, night, night, True))
    return result


class Simulation:
    """Writes the drops of a chain."""

    def __init__(
        self, period: Period, drops: Drops, dirt: float, nightly: int, has_fixed_lengths: bool
    ) -> None:
        self.period, self.drops, self.dirt = period, drops, dirt
        self.has_fixed_lengths = has_fixed_lengths
        self.chain = Chain(period)
        self.deliveries = deliveries(period, nightly)
        nights = [d for d in self.deliveries if d.is_night]
        # the odd things happen on the last nights, where there are enough of them
        self.is_odd = len(nights) >= 5
        self.last = period.days - 1

    def _generated(self, day: int, hour: float = 1) -> datetime:
        """Files are written at one in the morning of the day after."""
        start = datetime.combine(self.period.first, datetime.min.time())
        return start + timedelta(days=day + 1, hours=hour)

    def _spoilt(self, feed: str, sheet: Sheet, tag: int, export: Export | None = None) -> Spoilt:
        without = set() if self.has_fixed_lengths else {f"eaten_zeros:{c}" for c in CODES}
        if export is not None and export.encoding == "utf-16":
            without.add("undecodable")
        if export is not None and not export.has_remark:
            without.add("text:remark")
        rng = self.period.rng(40, tag, sum(feed.encode()))
        return spoil(feed, sheet, self.dirt, rng, frozenset(without))

    def masters(self) -> None:
        """The state of stores, goods, members and cards before the first day."""
        chain, before = self.chain, self._generated(-2)
        self._master("store", "stores", clean(chain.store_sheet()), before)
        self._master(
            "product", "products_full", self._spoilt("product", chain.goods.sheet, 9999), before
        )
        old = np.flatnonzero(chain.enrol_day < 0)
        self._master(
            "member",
            "members_full",
            self._spoilt("member", taken(chain.member_sheet, old), 9999),
            before,
        )
        self._master(
            "member_card",
            "cards_full",
            self._spoilt("member_card", taken(chain.card_sheet, old), 9999),
            before,
        )

    def _master(self, feed: str, name: str, sheet: Spoilt, at: datetime) -> None:
        if size_of(sheet.right):
            self.drops.write(feed, name, sheet, SOURCES[feed], at)

    def master_changes(self) -> None:
        """What is new or changed, in each delivery."""
        chain = self.chain
        new = np.flatnonzero(chain.enrol_day >= 0)
        parts = {
            "store": chain.store_changes(),
            "product": chain.goods.changes,
            "member": concatenated([taken(chain.member_sheet, new), chain.member_changes]),
            "member_card": concatenated([taken(chain.card_sheet, new), chain.card_changes]),
        }
        for feed, sheet in parts.items():
            day = _days_of(sheet["updated_at"]) - self.period.start
            for n, each in enumerate(self.deliveries):
                rows = np.flatnonzero(
                    (np.maximum(day, 0) >= each.low) & (np.maximum(day, 0) <= each.high)
                )
                if len(rows):
                    some = self._spoilt(feed, taken(sheet, rows), n)
                    self._master(feed, f"{feed}_{each.label}", some, self._generated(each.high))

    def sales(self, progress: Any = None) -> None:
        """All sales, by till system and delivery."""
        for n, each in enumerate(self.deliveries):
            days = []
            for day in range(each.low, each.high + 1):
                days.append(self.chain.sales_sheet(self.chain.sales(day)))
            sheet = concatenated(days)
            for place, name in enumerate(SYSTEMS):
                codes = pa.array([code for code, s in SYSTEM_OF.items() if s == name])
                mine = pc.is_in(sheet["store_code"], codes).to_numpy(zero_copy_only=False)
                self._system_file(name, each, n * 10 + place, taken(sheet, np.flatnonzero(mine)))
            self._closed(each)
            if progress is not None:
                progress(n + 1, len(self.deliveries))

    def _closed(self, each: Delivery) -> None:
        for store, day in sorted(self.chain.closed):
            if each.low <= day <= each.high:
                code, on = STORES[store].code, self.period.first + timedelta(day)
                export, system = SYSTEMS[STORES[store].system], STORES[store].system
                days = {"store_days": [{"store_code": code, "business_date": on.isoformat()}]}
                nothing = clean(
                    {c: pa.array([], pa.string()) for c in HEADERS["sales_line:B"].split()}
                )
                self.drops.write(
                    "sales_line", f"{system}_{code}_{on}_closed", nothing, export, self._generated(day),
                    dialect=system, manifest=days, note="closed",
                )  # fmt: skip

    def _system_file(self, system: str, each: Delivery, tag: int, sheet: Sheet) -> None:
        export = SYSTEMS[system]
        if not size_of(sheet):
            return
        at, back = self._generated(each.high), self.last - each.high
        name = f"{system}_{each.label}"
        if self.is_odd and each.is_night and system == "B" and back == 3:
            sheet = self._late(sheet, name, at)
        spoilt = self._spoilt("sales_line", sheet, tag, export)
        if self.is_odd and each.is_night and self.dirt and back == 1:
            self._refused(system, name, spoilt, sheet, at)
        has_manifest = tag % 8 != 7 or back < 4
        self.drops.write(
            "sales_line", name, spoilt, export, at, dialect=system, manifest=has_manifest
        )
        if self.is_odd and each.is_night and system == "B" and back == 2:
            self.drops.write(
                "sales_line",
                f"{name}(1)",
                spoilt,
                export,
                at,
                dialect=system,
                fate="skipped",
                note="same file twice",
            )
        if self.is_odd and each.is_night and system == "A" and back == 4:
            self._resent(spoilt, sheet, each, at)

    def _late(self, sheet: Sheet, name: str, at: datetime) -> Sheet:
        """One store's day comes two days after; the rest is returned."""
        late = pc.equal(sheet["store_code"], "0206").to_numpy(zero_copy_only=False)
        if late.any():
            self.drops.write(
                "sales_line", f"{name}_0206_late", clean(taken(sheet, np.flatnonzero(late))), SYSTEMS["B"],
                at + timedelta(days=2), dialect="B", note="late",
            )  # fmt: skip
        return taken(sheet, np.flatnonzero(~late))

    def _resent(self, spoilt: Spoilt, sheet: Sheet, each: Delivery, at: datetime) -> None:
        """One store's day again, with another price on one line and a higher batch number."""
        mine = pc.equal(sheet["store_code"], "0103").to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(mine)
        if not len(rows):
            return
        again = taken(sheet, rows)
        plain = np.flatnonzero(
            pc.equal(again["receipt_type"], "SALE").to_numpy(zero_copy_only=False)
        )[:1]
        again["batch_no"] = pa.array(np.full(len(rows), "2"))
        for column in ("gross_amount", "net_amount"):
            text = again[column][int(plain[0])].as_py()
            whole, _, cents = text.partition(".")
            again = replaced(again, plain, {column: pa.array([f"{int(whole) + 1}.{cents}"])})
        self.drops.write(
            "sales_line", f"A_{each.label}_0103_resend", clean(again), SYSTEMS["A"], at + timedelta(days=1),
            dialect="A", note="resend",
        )  # fmt: skip
        first = pc.equal(spoilt.right["store_code"], "0103").to_numpy(zero_copy_only=False)
        gone = first & (spoilt.fate < QUARANTINED)
        before = next(f for f in self.drops.files if f["file"] == f"sales_line/A_{each.label}.csv")
        before["replaced"] = int(gone.sum())

    def _refused(self, system: str, name: str, spoilt: Spoilt, sheet: Sheet, at: datetime) -> None:
        """What goes wrong with whole files; the right file follows each."""
        export, before = SYSTEMS[system], at - timedelta(minutes=30)
        if system == "A":
            wrong = {"control_sum": "1.00"}
            self.drops.write(
                "sales_line", f"{name}_sum", clean(sheet), export, before, dialect=system, manifest=wrong,
                fate="refused", note="control sum differs",
            )  # fmt: skip
            self.drops.write(
                "sales_line", f"{name}_column", clean(sheet), export, before, dialect=system, fate="refused",
                note="required column missing", spoil_bytes="header",
            )  # fmt: skip
        elif system == "B":
            bad = clean(sheet)
            some = np.arange(0, size_of(sheet), 8)
            bad.raw = replaced(bad.raw, some, {"qty": pa.array(["两个"] * len(some))})
            self.drops.write(
                "sales_line", f"{name}_dirty", bad, export, before, dialect=system, fate="refused",
                note="more than 5 % rejected",
            )  # fmt: skip
        else:
            self.drops.write(
                "sales_line", f"{name}_cut", clean(sheet), export, before, dialect=system, fate="refused",
                note="cut on its way", spoil_bytes="cut",
            )  # fmt: skip

    def service(self) -> None:
        """Questionnaires and complaints; after the sales, to whose receipts they refer."""
        service = Service(self.chain)
        questions = service.questions()
        self._master("survey_question", "questions", clean(questions), self._generated(-2))
        for feed, (sheet, at) in (
            ("survey_answer", service.answers()),
            ("complaint", service.headers()),
            ("complaint_event", service.events()),
        ):
            day = at // 86400 - self.period.start
            for n, each in enumerate(self.deliveries):
                rows = np.flatnonzero((day >= each.low) & (day <= each.high))
                if not len(rows):
                    continue
                part = taken(sheet, rows)
                part = _last_of_day(part) if feed == "complaint" else part
                some = self._spoilt(feed, part, n)
                name = f"{feed}_{each.label}"
                self.drops.write(feed, name, some, SOURCES[feed], self._generated(each.high, 2))


def _days_of(moments: Any) -> Ints:
    found = pc.dictionary_encode(pc.utf8_slice_codeunits(_flat(moments), 0, 10))
    days = np.asarray([(date.fromisoformat(t) - EPOCH).days for t in found.dictionary.to_pylist()])
    return days[found.indices.to_numpy()]


def _last_of_day(sheet: Sheet) -> Sheet:
    """Headers in the order of their numbers, as a desk exports them."""
    order = pc.sort_indices(
        pa.table({"n": sheet["complaint_no"], "u": sheet["updated_at"]}),
        sort_keys=[("n", "ascending"), ("u", "ascending")],
    )
    return taken(sheet, order.to_numpy())


def simulate(
    landing: Path,
    first: date,
    last: date,
    scale: float = 1.0,
    seed: int = SEED,
    dirt: float = 0.0,
    truth: Path | None = None,
    nightly: int = 14,
    has_fixed_lengths: bool = False,
    progress: Any = None,
) -> Drops:
    """Write all drops of the period; returns what was written."""
    drops = Drops(landing, truth, seed)
    simulation = Simulation(
        Period(first, last, scale, seed), drops, dirt, nightly, has_fixed_lengths
    )
    simulation.masters()
    simulation.master_changes()
    simulation.sales(progress)
    simulation.service()
    drops.close()
    return drops


def main(
    landing: Annotated[Path, typer.Option(help="Landing folder; one subfolder for each feed.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")
    ] = datetime(2024, 1, 1),
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")
    ] = datetime(2024, 12, 31),
    scale: Annotated[
        float, typer.Option(help=f"1 = {MEMBERS:,} members in seven stores.", min=0.0005)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed is another chain.")] = SEED,
    dirt: Annotated[
        float, typer.Option(help="Share of dirty rows, such as 0.02.", min=0, max=0.1)
    ] = 0.0,
    truth: Annotated[Path | None, typer.Option(help="Folder for the truth of each line.")] = None,
    nightly: Annotated[
        int, typer.Option(help="How many last days come as a file a night.", min=0)
    ] = 14,
    fixed_lengths: Annotated[
        bool,
        typer.Option(
            "--fixed-lengths",
            help="Codes also lose leading zeros: for contracts that give sku_code (8) and store_code (4) "
            "a length.",
        ),
    ] = False,
) -> None:
    """Write the drops of a simulated supermarket chain into a landing folder.

    At full scale a year is some 20 million sales lines, 3 GB of files, and takes some minutes; try
    --scale 0.02 first, which is the chain of `make demo-chain`.
    """
    if first > last:
        raise typer.BadParameter("--from lies behind --to", param_hint="--from/--to")
    begun = time.monotonic()
    with console.status("The people, their goods and their visits …") as status:
        drops = simulate(
            landing,
            first.date(),
            last.date(),
            scale,
            seed,
            dirt,
            truth,
            nightly,
            fixed_lengths,
            lambda done, of: status.update(f"Sales: {done} of {of} deliveries …"),
        )
    seconds = time.monotonic() - begun
    table = Table("feed", "files", "rows", "MB", box=None)
    for feed, each in sorted(drops.written.items(), key=lambda item: -item[1].rows):
        table.add_row(feed, f"{each.files:,}", f"{each.rows:,}", f"{each.bytes / 1e6:,.1f}")
    console.print(table)
    rows = sum(each.rows for each in drops.written.values())
    console.print(
        f"{rows:,} rows in {seconds:.1f} s, {rows / seconds:,.0f} rows a second; in {landing}"
    )
    console.print("All of it is [bold]simulated[/bold].")


if __name__ == "__main__":
    typer.run(main)
