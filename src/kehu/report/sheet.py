"""The sheet that every picture is drawn on: colours, type, header, notes, the mark of simulated data.

A specification goes through Vega-Lite to SVG; around it come a title, whose numbers of which date, and
notes, with lines broken for a sheet that is still read on a telephone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as ET

import altair as alt
import vl_convert

from kehu.report.fonts import font_stack, require_cjk_font, require_glyphs
from kehu.report.picture import Chart, Row

WIDTH = 440
MARGIN = 10
TITLE, TEXT, NOTE = 17, 13, 12

INK = "#1a1a1a"
QUIET = "#595959"  # text of less weight: 7 to 1 on white
LINE = "#767676"  # axes and borders: 4.5 to 1
GRID = "#e3e3e3"
PALE = "#cfd4d9"  # areas behind a border
BLUE = "#0061a7"
ORANGE = "#c04d00"
GREEN = "#00714f"
PURPLE = "#8f3f71"
PAPER = "#ffffff"
# light to dark in even steps, so that they stay apart in grey; ink is read on the first three, paper on
# the other two
SHADES = ("#f3f7fb", "#c3d9ec", "#86b6da", "#2a75b5", "#0a3a70")
PAPER_FROM = 3

MARK = "Simulated data / 模拟数据"
MARK_INK, MARK_PAPER = "#7a2e00", "#fff1e6"

CONFIG: dict[str, Any] = {
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelFontSize": TEXT,
        "titleFontSize": TEXT,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "domainColor": LINE,
        "tickColor": LINE,
        "gridColor": GRID,
        "labelLimit": 220,
        "titlePadding": 8,
        "titleLimit": 400,
    },
    "legend": {
        "labelFontSize": TEXT,
        "titleFontSize": TEXT,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "labelLimit": 300,
        "titleLimit": 400,
    },
    "header": {"labelFontSize": TEXT, "labelColor": INK, "labelLimit": 400, "title": None},
    "text": {"fontSize": TEXT, "fill": INK},
    "concat": {"spacing": 6},
    "facet": {"spacing": 10},
}

_SVG = "http://www.w3.org/2000/svg"
ET.register_namespace("", _SVG)


def draw(
    chart: Chart,
    *,
    name: str,
    language: str,
    title: str,
    subtitle: str,
    notes: Sequence[str],
    description: str,
    is_simulated: bool,
) -> str:
    """A whole SVG document, the same bytes for the same input; `name` makes its ids unique on a page.

    KehuError where no font here has what it shows.
    """
    require_cjk_font()  # the renderer must know it before it measures text
    spec = chart.to_dict(validate=False) | {"config": CONFIG | {"font": font_stack()}}
    inner = ET.fromstring(vl_convert.vegalite_to_svg(spec))
    _strip(inner)
    _rename_ids(inner, name)
    width, height = float(inner.get("width", 0)), float(inner.get("height", 0))
    wide = max(WIDTH, width + 2 * MARGIN)
    sheet = ET.Element(
        f"{{{_SVG}}}svg",
        {
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "lang": {"en": "en", "zh": "zh-CN"}[language],
            "font-family": font_stack(),
            "style": "max-width:100%;height:auto",
        },
    )
    _child(sheet, "title", {"id": f"{name}-title"}, f"{title}. {subtitle}")
    _child(
        sheet,
        "desc",
        {"id": f"{name}-desc"},
        f"{MARK}. {description}" if is_simulated else description,
    )
    paper = _child(sheet, "rect", {"fill": PAPER})
    room = wide - 2 * MARGIN
    y = float(MARGIN)
    y = _lines(sheet, wrap(title, room / TITLE), y, TITLE, {"font-weight": "bold", "fill": INK})
    y = _lines(sheet, wrap(subtitle, room / TEXT), y, TEXT, {"fill": QUIET})
    if is_simulated:
        y = _mark(sheet, y + 4)
    y += 6
    body = _child(
        sheet, "g", {"transform": f"translate({_n(max(MARGIN, (wide - width) / 2))},{_n(y)})"}
    )
    body.extend(inner)
    y += height + 4
    for note in notes:
        y = _lines(sheet, wrap(note, room / NOTE), y, NOTE, {"fill": QUIET})
    y += MARGIN
    for element in (sheet, paper):
        element.set("width", _n(wide))
        element.set("height", _n(y))
    sheet.set("viewBox", f"0 0 {_n(wide)} {_n(y)}")
    require_glyphs("".join(sheet.itertext()))
    return ET.tostring(sheet, encoding="unicode")


def over(values: Sequence[Row]) -> alt.Chart:
    """An empty chart over rows of plain values."""
    return alt.Chart(alt.InlineData(values=list(values)))


def on_shade(is_dark: str) -> Any:
    """Colour of text on a shade: paper where the Vega expression holds, else ink."""
    return alt.condition(is_dark, alt.value(PAPER), alt.value(INK))


def json_text(value: Any) -> str:
    """A value as an expression of Vega."""
    return json.dumps(value, ensure_ascii=False)


def label(base: alt.Chart, *encodings: Any, **mark: Any) -> alt.LayerChart:
    """Text with a rim of paper, so that it is read where it crosses a line."""
    rim = {"stroke": PAPER, "strokeWidth": 4, "strokeJoin": "round", "opacity": 0.9}
    layers = [base.mark_text(**m).encode(*encodings) for m in (mark | rim, mark)]
    return alt.LayerChart(layer=layers)


def wrap(text: str, ems: float) -> list[str]:
    """Lines of at most `ems` widths of a Chinese character; Latin words stay whole.

    A line does not begin with a punctuation mark that closes.
    """
    pieces = re.findall(r"[\x21-\u2fff]+\s*|.\s*", text)
    lines, line, used = [], "", 0.0
    for piece in pieces:
        size = em_width(piece.rstrip())
        if line and used + size > ems and piece[0] not in "，。；：、）！？％":
            lines.append(line.rstrip())
            line, used = "", 0.0
        line += piece
        used += em_width(piece)
    return [*lines, line.rstrip()] if line else lines


def em_width(text: str) -> float:
    """About how wide a text is, in widths of a Chinese character."""
    return sum(1.0 if ord(c) >= 0x2E80 else 0.3 if c in " .,:;il|'()" else 0.56 for c in text)


def _lines(
    parent: ET.Element, lines: Sequence[str], y: float, size: int, style: dict[str, str]
) -> float:
    """Lines of text from `y` downwards; returns where the next would begin."""
    for line in lines:
        y += round(size * 1.35, 1)
        place = {"x": str(MARGIN), "y": _n(y - size * 0.3), "font-size": str(size)}
        _child(parent, "text", place | style, line)
    return y


def _mark(parent: ET.Element, y: float) -> float:
    group = _child(parent, "g", {"class": "simulated"})
    box = {
        "x": str(MARGIN),
        "y": _n(y),
        "width": _n(em_width(MARK) * TEXT + 24),
        "height": "22",
        "rx": "3",
    }
    _child(group, "rect", box | {"fill": MARK_PAPER, "stroke": MARK_INK, "stroke-dasharray": "5 3"})
    place = {"x": str(MARGIN + 10), "y": _n(y + 16), "font-size": str(TEXT)}
    _child(group, "text", place | {"font-weight": "bold", "fill": MARK_INK}, MARK)
    return y + 22


def _child(
    parent: ET.Element, tag: str, attributes: dict[str, str], text: str | None = None
) -> ET.Element:
    element = ET.SubElement(parent, f"{{{_SVG}}}{tag}", attributes)
    element.text = text
    return element


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _strip(root: ET.Element) -> None:
    """Take out what a still picture has no use for: roles of parts, classes, and the font on each text."""
    for element in root.iter():
        for name in [*element.attrib]:
            useless = name in ("role", "class", "pointer-events") or name.startswith("aria-")
            if useless or (name == "font-family" and element.tag == f"{{{_SVG}}}text"):
                del element.attrib[name]


def _rename_ids(root: ET.Element, name: str) -> None:
    """Vega counts ids through a process; here they are counted in the drawing, after its name."""
    ids: dict[str, str] = {}
    for element in root.iter():
        if old := element.get("id"):
            ids[old] = f"{name}-{len(ids)}"
            element.set("id", ids[old])
    for element in root.iter():
        for key, value in element.attrib.items():
            if value.startswith("url(#"):
                element.set(key, f"url(#{ids[value[5:-1]]})")
