"""The demo's drops as pandas frames, and figures computed from them in plain Python.

The other side of what is tested: it imports nothing from `kehu` and reads no model. It relies on what
the demo's data are: one card per household, sales only (no returns, no voids), no test store.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

D = pd.Timestamp("2017-12-31")
DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Receipts:
    """Everything that was dropped into a landing folder; customers are H000001 for card C000001."""

    landing: Path

    def _read(self, feed: str, **options: object) -> pd.DataFrame:
        files = sorted((self.landing / feed).glob("*.csv"))
        parts = [pd.read_csv(path, **options) for path in files]  # type: ignore[call-overload]
        frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return frame

    @cached_property
    def lines(self) -> pd.DataFrame:
        """Sales lines with `customer_id`, `day`, `cents` (of the net amount)."""
        wanted = [
            "store_code", "business_date", "receipt_no", "sold_at", "card_no", "sku_code", "qty",
            "net_amount",
        ]  # fmt: skip
        texts = dict.fromkeys(("store_code", "receipt_no", "card_no", "sku_code"), "str")
        lines = self._read("sales_line", usecols=wanted, dtype=texts)
        lines["customer_id"] = "H" + lines["card_no"].str[1:]
        lines["day"] = pd.to_datetime(lines["business_date"])
        lines["sold_at"] = pd.to_datetime(lines["sold_at"])
        lines["cents"] = (lines["net_amount"] * 100).round().astype("int64")
        return lines

    @cached_property
    def revenue(self) -> pd.DataFrame:
        """The lines whose product is revenue; products that no list names are."""
        products = self._read("product", usecols=["sku_code", "is_revenue"], dtype="str")
        none = set(products.loc[products["is_revenue"] == "0", "sku_code"])
        return self.lines[~self.lines["sku_code"].isin(none)]

    @cached_property
    def receipts(self) -> pd.DataFrame:
        """One row per receipt: customer, store, day, time, cents, whether anything was taken home."""
        grouped = self.lines.groupby(["customer_id", "store_code", "day", "receipt_no"])
        receipts = grouped.agg(
            sold_at=("sold_at", "min"), cents=("cents", "sum"), qty=("qty", "max")
        ).reset_index()
        receipts["is_sale"] = receipts["qty"] > 0
        return receipts

    @cached_property
    def visits(self) -> pd.DataFrame:
        """One row per customer and day with a visit."""
        days = self.receipts.groupby(["customer_id", "day"]).agg(
            count_sales=("is_sale", "sum"), cents=("cents", "sum")
        )
        kept = days[(days["count_sales"] > 0) & (days["cents"] >= 0)].reset_index()
        return kept[["customer_id", "day"]]

    @cached_property
    def complaints(self) -> pd.DataFrame:
        """The last version of each header, with `received_at`, `customer_id`, `is_valid`."""
        headers = self._read("complaint", dtype={"store_code": "str", "sku_code": "str"})
        headers["updated_at"] = pd.to_datetime(headers["updated_at"])
        headers["received_at"] = pd.to_datetime(headers["received_at"], format="mixed")
        headers = headers.sort_values("updated_at").groupby("complaint_no").tail(1)
        headers["received_on"] = headers["received_at"].dt.normalize()
        headers["customer_id"] = "H" + headers["card_no"].str[1:]
        cancelled = set(self.events.loc[self.events["event"] == "CANCELLED", "complaint_no"])
        headers["is_valid"] = (
            (headers["kind"] == "COMPLAINT")
            & headers["merged_into"].isna()
            & ~headers["complaint_no"].isin(cancelled)
        )
        return headers.set_index("complaint_no", drop=False).rename_axis(None)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Complaint events by number and sequence."""
        events = self._read("complaint_event")
        events["occurred_at"] = pd.to_datetime(events["occurred_at"], format="mixed")
        return events.sort_values(["complaint_no", "seq"]).reset_index(drop=True)

    @cached_property
    def cases(self) -> pd.DataFrame:
        """Valid complaints with their milestones: minutes are whole minutes, level the highest."""
        rows = []
        valid = self.complaints[self.complaints["is_valid"]]
        by_case = dict(list(self.events.groupby("complaint_no")))
        for number, header in valid.iterrows():
            events = by_case[number]
            human = events[(events["event"] == "RESPONDED") & (events["actor_type"] == "STAFF")]
            resolved = reopened = pd.NaT
            for event in events.itertuples():
                if event.event == "RESOLVED":
                    resolved = event.occurred_at
                elif event.event == "REOPENED":
                    resolved, reopened = pd.NaT, event.occurred_at
            ended = events["event"].isin(["RESOLVED", "CLOSED", "CANCELLED"]).any()
            begun = header["received_at"]
            rows.append(
                {
                    "complaint_no": number,
                    "response_minutes": _minutes(begun, human["occurred_at"].min()),
                    "resolution_minutes": _minutes(begun, resolved),
                    "resolved_at": resolved,
                    "is_reopened": pd.notna(reopened),
                    "is_open": pd.isna(resolved) and not (ended and pd.isna(reopened)),
                    "max_level": int(max(events["level"].max(), header["entry_level"])),
                    "count_escalated": int((events["event"] == "ESCALATED").sum()),
                }
            )
        return valid.merge(pd.DataFrame(rows), on="complaint_no")

    @cached_property
    def answers(self) -> pd.DataFrame:
        """The last version of each answer; refused and don't know are NaN; `survey`, `question`."""
        answers = self._read("survey_answer", dtype={"store_code": "str"}, low_memory=False)
        for name in ("started_at", "submitted_at"):
            answers[name] = pd.to_datetime(answers[name], format="mixed")
        answers["customer_id"] = "H" + answers["card_no"].str[1:]
        key = ["response_id", "question_id", "option_seq"]
        first = answers.groupby("response_id")["submitted_at"].min().rename("responded_at")
        answers = answers.sort_values("submitted_at").groupby(key).tail(1)
        answers["answer_num"] = answers["answer_num"].where(
            ~answers["answer_num"].isin([98, 99]), np.nan
        )
        return answers.merge(first, on="response_id")


def _minutes(begun: pd.Timestamp, ended: pd.Timestamp) -> float:
    return np.nan if pd.isna(ended) else (ended - begun).total_seconds() // 60
