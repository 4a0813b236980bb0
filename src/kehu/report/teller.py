"""From rows of the scorecard and the report to words in one language, each number marked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Any

import yaml
from markupsafe import Markup, escape

from kehu.report import texts
from kehu.report.figures import Answer, Language, Row, figure, plain
from kehu.report.pictures import Picture
from kehu.report.publication import ALL, Publication
from kehu.report.words import VALUE_BASES
from kehu.settings import PROJECT

# the unit of a difference, where it is another than that of the two values
CHANGE_UNIT = {"SHARE": "points"}
# what is counted or added up: no sample is too small for it
WHOLE = ("MONEY", "CUSTOMERS", "COMPLAINTS", "STORES")
LOCALE = {"zh": "zh-Hans", "en": "en"}


class Teller:
    """What templates ask for: names of codes, numbers, sentences with what they rest on."""

    def __init__(self, publication: Publication, language: Language) -> None:
        self.publication = publication
        self.language = language
        self.currency = str(publication.names["currency"])

    @property
    def colon(self) -> str:
        return {"zh": "：", "en": ": "}[self.language]

    def listed(self, names: Iterable[str]) -> str:
        return {"zh": "、", "en": ", "}[self.language].join(names)

    def label(self, name: str) -> str:
        return texts.LABEL[name][self.language]

    def word(self, group: str, code: str | None) -> str:
        """The name of a code; a code without one is shown as it is."""
        if code is None:
            return ""
        names = getattr(texts, group).get(code)
        return names[self.language] if names else code.replace("_", " ").capitalize()

    def number(
        self, answer: Answer, column: str, unit: str, row: int = 0, *, signed: bool = False,
        metric: str | None = None, mart: str | None = None, like: Any = None,
    ) -> Markup:  # fmt: skip
        return figure(
            answer, column, unit, self.language, row=row, signed=signed, metric=metric,
            mart=mart, like=like, currency=self.currency,
        )  # fmt: skip

    @cached_property
    def kpi_names(self) -> dict[str, str]:
        return {
            row["kpi"]: row[f"name_{self.language}"]
            for row in self.publication.ask("kpis", "select * from core.kpi").rows
        }

    def kpi(self, code: str) -> Markup:
        """The name of a KPI, as the seed gives it; figures in it are a part of the name."""
        return named("kpi", self.kpi_names.get(code) or code.replace("_", " ").capitalize())

    @cached_property
    def store_names(self) -> dict[str, str]:
        rows = self.publication.ask(
            "store-names", "select store_code, store_name from core.dim_store where store_key >= 0"
        ).rows
        return {row["store_code"]: row["store_name"] or row["store_code"] for row in rows}

    def store(self, code: str | None) -> str:
        if code in (None, ALL):
            return self.label("chain")
        name = self.store_names.get(str(code), str(code))
        return name if name != code else f"{self.label('store')} {code}"

    def company(self) -> Markup:
        return named("param", self.publication.names["company_name"])

    def date(self, value: Any) -> Markup:
        return Markup('<time datetime="{0}">{0}</time>').format(value.isoformat() if value else "–")

    def change(self, answer: Answer, row: int = 0) -> Markup | str:
        """The change since the period before, with its sign."""
        cell = answer.rows[row]
        if cell.get("delta") is None:
            return ""
        unit = str(CHANGE_UNIT.get(cell["unit"], cell["unit"]))
        return self.number(answer, "delta", unit, row, signed=True, like=cell[held(cell)])

    def is_small(self, row: Row) -> bool:
        """Whether a figure that is there rests on fewer than `min_n` cases, or complaints."""
        n, names = row.get("n"), self.publication.names
        if n is None or row.get(held(row)) is None or row.get("unit") in WHOLE:
            return False
        metric = str(row["metric_id"])
        is_of_complaints = metric.startswith("P") and metric != "P16"  # P16 counts answers
        return bool(n < names["min_n_complaint" if is_of_complaints else "min_n"])

    def sentence(self, answer: Answer, row: int = 0, *, about: str | None = None) -> Markup:
        """A statement of mart_report, or a row of the scorecard, in words.

        Evidence of another KPI than the one that all is `about` names it.
        """
        said = answer.rows[row]
        code, unit, column = str(said.get("statement_code")), str(said["unit"] or ""), held(said)
        template = texts.SENTENCE.get(code, texts.PLAIN)
        if said[column] is None and code == "KPI":
            template = texts.MISSING
        parts: dict[str, Any] = {
            "kpi": self.kpi(said["kpi"]) if said["kpi"] else "",
            "store": named("store", self.store(said["store_code"])),
            "segment": self.segment(said),
            "split": texts.SPLIT.get(said["kpi"], texts.BY_REASON)[self.language],
            "action": self.action(said),
            "of": "",
            "reason": self.word("REASON", said.get("missing_reason")),
            "beyond": self.beyond(said),
            "value": self.number(answer, column, unit, row),
            "n": self.number(answer, "n", "count", row),
            "silent_days": named("param", self.publication.names["silent_window_days"]),
        }
        for name in ("target", "floor", "previous"):
            parts[name] = self.number(answer, name, unit, row)
        if about is not None and said["kpi"] != about:
            parts["of"] = Markup(texts.OF[self.language]).format(**parts)
        parts["against"] = self._if(texts.AGAINST, said["target"], parts)
        parts["before"] = self._if(texts.BEFORE, said["previous"], parts)
        parts["chance"] = texts.CHANCE[self.language] if spans_limit(said) else ""
        told = Markup(template[self.language]).format(**parts)
        return told[:1].upper() + told[1:]

    def _if(self, words: texts.Words, value: Any, parts: dict[str, Any]) -> Markup | str:
        return "" if value is None else Markup(words[self.language]).format(**parts)

    def beyond(self, said: Row) -> str:
        """On which side of its limit a KPI is when it breaks it."""
        if said.get("floor") is None or said.get("target") is None:
            return ""
        side = "HIGHER" if said["target"] > said["floor"] else "LOWER"
        return texts.BEYOND[side][self.language]

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Names of the reasons for complaints and for leaving, as the company's seeds give them."""
        rows = self.publication.ask(
            "reasons",
            "select reason_code, name_en, name_zh from core.dim_reason\n"
            "union all by name select reason_code, name_en, name_zh from core.churn_reason",
        ).rows
        return {row["reason_code"]: row[f"name_{self.language}"] for row in rows}

    def segment(self, said: Row) -> str:
        code = said.get("segment")
        if special := texts.SEGMENT_OF.get((str(said.get("statement_code")), str(code))):
            return special[self.language]
        if code in self.reasons:
            return self.reasons[code]
        return self.word("SEGMENT", code)

    def action(self, said: Row) -> Markup | str:
        """What is advised, in the words of the company's seed; figures in it are rules, not data."""
        text = said.get(f"action_{self.language}")
        return named("treatment_matrix", text) if text else ""

    def cite(
        self, answer: Answer, row: int = 0, *, href: str | None = None, brief: bool = False
    ) -> Markup:
        """What a sentence rests on: metric, value, n, date, and where its query stands.

        `brief` leaves out what stands beside it already.
        """
        said = answer.rows[row]
        column = held(said)
        parts = [self.metric(said["metric_id"])]
        if said.get(column) is not None and not brief:
            parts.append(self.number(answer, column, said["unit"], row))
        if not brief and said.get("lo") is not None and said.get("hi") is not None:
            lo = self.number(answer, "lo", said["unit"], row)
            hi = self.number(answer, "hi", said["unit"], row)
            parts.append(Markup("{} {} … {}").format(self.label("interval"), lo, hi))
        if said.get("n") is not None:
            parts.append(Markup("n = {}").format(self.number(answer, "n", "count", row)))
        parts.append(self.date(said["as_of_date"]))
        if said.get("measured_on") not in (None, said["as_of_date"]):
            parts.append(
                Markup("{} {}").format(self.label("measured"), self.date(said["measured_on"]))
            )
        if href is not None:
            parts.append(Markup('<a href="{}">{}</a>').format(href, self.label("sql")))
        marks = "" if brief else self.marks(answer, row)
        return Markup(' <span class="cite">[{}]</span>{}').format(Markup(" · ").join(parts), marks)

    def marks(self, answer: Answer, row: int = 0) -> Markup:
        """What a reader must know of a number: that it is simulated, and why it is not judged."""
        said, marks = answer.rows[row], Markup("")
        if said.get("is_simulated") or self.publication.is_all_simulated:
            marks += self.mark()
        reason = said.get("missing_reason") if said.get(held(said)) is not None else None
        if self.is_small(said) or reason == "SMALL_SAMPLE":
            marks += Markup(' <span class="tag few">{}</span>').format(self.label("small"))
        elif reason is not None:
            marks += Markup(' <span class="tag few">{}</span>').format(self.word("REASON", reason))
        return marks

    def value(self, answer: Answer, row: int = 0) -> Markup:
        """A value, or in words why there is none."""
        said = answer.rows[row]
        column = held(said)
        if said[column] is not None:
            return self.number(answer, column, said["unit"], row)
        reason = said.get("missing_reason")
        return Markup('<span class="none">{}</span>').format(
            self.word("REASON", reason) or self.word("STATUS", "NOT_MEASURABLE")
        )

    def against(self, answer: Answer, row: int = 0) -> Markup:
        """Target and change of a row of the scorecard, in a few words."""
        if not answer.rows:
            return Markup("")
        score, parts = answer.rows[row], []
        if score["target"] is not None:
            target = self.number(answer, "target", score["unit"], row)
            parts.append(Markup("{} {}").format(self.label("target"), target))
        if score["delta"] is not None:
            parts.append(Markup("{} {}").format(self.label("change"), self.change(answer, row)))
        return Markup(" · ").join(parts)

    def verdict(self, answer: Answer) -> Markup:
        """How the KPIs with a target stand, in one sentence."""
        if not answer.one["with_target"]:
            words = texts.NONE_JUDGED if answer.one["given"] else texts.NO_TARGETS
            return Markup(escape(words[self.language]))
        counts = {
            name: self.number(answer, name, "count")
            for name in (
                "with_target", "met", "below_target", "breached", "no_target", "not_measurable"
            )
        }  # fmt: skip
        return Markup(texts.VERDICT[self.language]).format(**counts)

    def attainment(self, answer: Answer) -> Markup:
        """How much of its targets the scorecard attains, and each perspective; nothing where none can."""
        if not answer.rows or answer.one["scorecard_attainment"] is None:
            return Markup("")
        comma = {"zh": "，", "en": ", "}[self.language]
        parts, rest = [], []
        for place, row in enumerate(answer.rows):
            name = self.word("PERSPECTIVE", row["perspective"])
            if row["perspective_attainment"] is None:
                rest.append(name)
            else:
                share = self.number(answer, "perspective_attainment", "share", place)
                parts.append(Markup("{} {}").format(name, share))
        without = texts.NOT_ATTAINED[self.language].format(perspectives=self.listed(rest))
        return Markup(texts.ATTAINMENT[self.language]).format(
            attainment=self.number(answer, "scorecard_attainment", "share"),
            parts=Markup(comma).join(parts),
            rest=without if rest else "",
        )

    def basis(self) -> Markup | str:
        """What is meant by the value of a customer."""
        code = self.publication.value_basis
        if code is None:
            return ""
        name = VALUE_BASES[code][self.language]
        return Markup(" · {}{}{}").format(self.label("basis"), self.colon, name)

    def nth(self, answer: Answer, column: str = "problem_no") -> Markup:
        """The number of a problem or of an advice, as a marked number."""
        return Markup('<span class="nth">{}</span>').format(self.number(answer, column, "count"))

    def shows_success(self, answer: Answer, problem: Answer) -> bool:
        """Whether an advice tells how the KPI stands that will show success: another than the problem's."""
        said = answer.one
        return said[held(said)] is not None and said["success_kpi"] != problem.one["kpi"]

    def advice(self, answer: Answer, problem: Answer) -> Markup:
        """Who does it and how, by when, at what cost, and which KPI will show that it helped.

        The KPI of the `problem` itself is named without its figures, which stand above.
        """
        said, column = answer.one, held(answer.one)
        given = None if answer.mart == "mart_report" else "treatment_matrix"
        parts: list[tuple[str, Markup | str]] = []
        if said["owner"]:
            parts.append(("owner", self.word("OWNER", said["owner"])))
        if said["channel"]:
            parts.append(("channel", self.word("CHANNEL", said["channel"])))
        if said["max_cost"] is not None:
            cost = self.number(answer, "max_cost", "money", metric="A1", mart=given)
            parts.append(("max_cost", cost))
        if said["due_days"] is not None:
            until = self.date(self.publication.as_of + timedelta(days=said["due_days"]))
            days = self.number(answer, "due_days", "days", metric="A1", mart=given)
            due = Markup({"zh": "{}（{}）", "en": "{} ({})"}[self.language]).format(until, days)
            parts.append(("due", due))
        if question := texts.LISTS.get((problem.one["kpi"], said["strategy_code"])):
            parts.append(("list", Markup("<code>kehu ask {}</code>").format(question)))
        if said["success_kpi"]:
            shown: Markup | str = self.kpi(said["success_kpi"])
            if self.shows_success(answer, problem):
                value = self.number(answer, column, said["unit"])
                whose = (
                    "" if said["store_code"] == problem.one["store_code"] else self.label("chain")
                )
                shown = Markup("{} ({}{} {}").format(shown, whose, self.label("now"), value)
                if said["target"] is not None:
                    target = self.number(answer, "target", said["unit"])
                    shown += Markup(" → {} {}").format(self.label("target"), target)
                shown += ")"
            parts.append(("success", shown))
        return Markup(" · ").join(
            Markup("{}{}{}").format(self.label(name), self.colon, shown) for name, shown in parts
        )

    @cached_property
    def titles(self) -> dict[str, str]:
        """What each definition is about, as the page of metrics lists it."""
        path = PROJECT / "docs" / "definitions.yml"
        found = yaml.safe_load(path.read_text(encoding="utf-8"))["definitions"]
        return {k: v["title" if self.language == "en" else "zh"] for k, v in found.items()}

    def metric(self, identity: str) -> Markup:
        """The id of a definition, with its title."""
        return Markup('<abbr class="metric" title="{}">{}</abbr>').format(
            self.titles.get(identity, identity), identity
        )

    def load(self, code: str) -> Markup:
        """What became of files, as a tag."""
        kind = {"LOADED": "MET", "REFUSED": "BREACHED", "HELD": "BELOW_TARGET"}.get(code, "")
        return Markup('<span class="tag {}">{}</span>').format(kind, self.word("LOAD", code))

    def offered(self, shown: Answer, known: Answer) -> Markup:
        """Which stores the page offers, and how many there are."""
        count = self.number(known, "count_stores", "count")
        if not shown.rows:
            return Markup(texts.NO_STORES[self.language]).format(count=count)
        offered = self.number(shown, "count_shown", "count")
        return Markup(texts.STORES[self.language]).format(shown=offered, count=count)

    def method(self) -> list[str]:
        return [line[self.language] for line in texts.METHOD]

    def simulated_note(self) -> str:
        feeds = [self.word("FEED", f) for f in self.publication.manifest["simulated_feeds"]]
        return texts.SIMULATED[self.language].format(feeds=self.listed(feeds))

    def mark(self) -> Markup:
        return Markup(' <span class="tag simulated">{}</span>').format(self.label("simulated"))

    def status(self, code: str, value: Any = None) -> Markup:
        """A status as a tag: colour, sign and word; a `value` that is there was measured."""
        named_by = "NOT_JUDGED" if code == "NOT_MEASURABLE" and value is not None else code
        return Markup('<span class="tag {}">{} {}</span>').format(
            code, texts.SIGN.get(code, "·"), self.word("STATUS", named_by)
        )

    def table(self, picture: Picture) -> Markup:
        """The table beneath a picture; each number carries what the query gave."""
        headings, rows = picture.table(self.language)
        numeric = [column.kind in _NUMERIC for column in picture.columns]
        head = "".join(
            f'<th scope="col"{" class=n" * is_number}>{escape(text)}</th>'
            for text, is_number in zip(headings, numeric, strict=True)
        )
        body = []
        for place, (said, held) in enumerate(zip(rows, picture.data, strict=True)):
            cells = []
            for text, column, is_number in zip(said, picture.columns, numeric, strict=True):
                value = held[column.name]
                if is_number and value is not None:
                    cells.append(
                        f'<td class=n><data value="{escape(plain(value))}" data-row={place} '
                        f"data-column={column.name}>{escape(text)}</data></td>"
                    )
                else:
                    cells.append(f"<td{' class=n' * is_number}>{escape(text)}</td>")
            body.append(f"<tr>{''.join(cells)}</tr>")
        return Markup(
            f'<table data-sql="{escape(sql_id(picture))}" data-metric="{" ".join(picture.metric_ids)}" '
            f'data-picture="{picture.id}" data-store="{escape(picture.store_code)}">'
            f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        )


def named(seed: str, text: Any) -> Markup:
    """A text that the company gives; figures in it are a part of it and no data."""
    return Markup('<span data-seed="{}">{}</span>').format(seed, text)


def held(said: Row) -> str:
    """The column that holds the value: statements and the scorecard call it differently."""
    return "value" if "value" in said else "actual"


def spans_limit(said: Row) -> bool:
    """Whether the interval of a figure has its limit inside: chance may have carried it beyond."""
    lo, hi, floor = said.get("lo"), said.get("hi"), said.get("floor")
    return lo is not None and hi is not None and floor is not None and bool(lo < floor < hi)


_NUMERIC = ("count", "share", "money", "number", "points")


def sql_id(picture: Picture) -> str:
    """The id of the element that shows a picture's query."""
    store = "" if picture.store_code == ALL else "-" + re.sub(r"\W+", "_", picture.store_code)
    return f"sql-picture-{picture.id}{store}"
