"""Fonts with Chinese glyphs: which one draws, and that it really has what is to be drawn.

Text stays text in pictures, so a reader's browser takes a font of its own where it lacks this one.
Here the font decides how wide text is, and it draws PNG and PDF.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import repeat
from pathlib import Path

import vl_convert
from fontTools.ttLib import TTCollection, TTFont, TTLibError  # type: ignore[import-untyped]

from kehu.errors import KehuError

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
    "C:/Windows/Fonts",
)
# files of fonts for simplified Chinese, the best first
FILES = (
    "NotoSansCJK-Regular.ttc",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansSC*.[ot]tf",
    "SourceHanSans*-Regular.[ot]t[cf]",
    "SourceHanSans.ttc",
    "wqy-microhei.ttc",
    "wqy-zenhei.ttc",
    "PingFang.ttc",
    "Hiragino Sans GB.ttc",
    "msyh.ttc",
    "simhei.ttf",
)
# what must be there before a font counts as one for Chinese; the exact text is looked at when it is drawn
SAMPLE = "客户关系管理调查报告，净推荐值：模拟数据"
ELSEWHERE = ("Microsoft YaHei", "PingFang SC", "Source Han Sans SC", "sans-serif")
REMEDY = (
    "Install one: `apt-get install fonts-noto-cjk` (Debian, Ubuntu), `dnf install "
    "google-noto-sans-cjk-fonts` (Fedora), or lay an open font such as Noto Sans SC into a folder and "
    "name the folder in KEHU_FONTS."
)


@dataclass(frozen=True)
class Font:
    """A font file, the family that a drawing names, and the characters that it has."""

    path: Path
    family: str
    characters: frozenset[int]


def require_cjk_font() -> str:
    """Family of the font that draws Chinese here; KehuError naming what to install where none does."""
    return cjk_font(folders()).family


def font_stack() -> str:
    """What drawings and pages name as `font-family`: the font from here, then those of others' machines."""
    family = require_cjk_font()
    return ", ".join([family, *(other for other in ELSEWHERE if other != family)])


def require_glyphs(text: str) -> None:
    """KehuError where no font of this machine has a character of `text`: it would be an empty box."""
    drawn = {c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")}
    missing = {c for c in drawn if ord(c) not in cjk_font(folders()).characters}
    if missing:  # a renderer looks for a single character in the other fonts as well
        missing -= {chr(code) for code in _all_characters(folders())}
    if missing:
        shown = " ".join(f"{c} (U+{ord(c):04X})" for c in sorted(missing))
        raise KehuError(
            f"no font of this machine has {shown}, which a picture is to show; "
            f"{cjk_font(folders()).family} does not. {REMEDY}"
        )


def folders() -> tuple[Path, ...]:
    """Where fonts are looked for: KEHU_FONTS first, then the places of the system."""
    own = os.environ.get("KEHU_FONTS")
    return tuple(Path(f).expanduser() for f in ([own] if own else []) + list(FOLDERS))


@cache
def cjk_font(places: tuple[Path, ...]) -> Font:
    """The first font below `places` that has Chinese glyphs, known to the renderer from then on.

    KehuError where there is none.
    """
    for place in places:
        for path in (path for name in FILES for path in sorted(place.rglob(name))):
            for font in _faces(path):
                if all(ord(c) in font.characters for c in SAMPLE):
                    vl_convert.register_font_directory(str(path.parent))
                    return font
    raise KehuError(
        "no font with Chinese glyphs, such as Noto Sans CJK SC (fonts-noto-cjk), below "
        f"{', '.join(str(place) for place in places)}: pictures would show empty boxes. {REMEDY}"
    )


def _faces(path: Path) -> Iterator[Font]:
    """Faces of a file, that for simplified Chinese first; none where it can not be read."""
    try:
        if path.suffix == ".ttc":
            with TTCollection(path, lazy=True) as collection:
                yield from map(_font, repeat(path), sorted(collection.fonts, key=_strangeness))
        else:
            with TTFont(path, lazy=True) as face:
                yield _font(path, face)
    except (TTLibError, OSError):
        return


def _family(face: TTFont) -> str:
    return str(face["name"].getDebugName(1))


def _strangeness(face: TTFont) -> tuple[bool, bool]:
    return "SC" not in _family(face).split(), "Mono" in _family(face)


def _font(path: Path, face: TTFont) -> Font:
    return Font(path, _family(face), frozenset(face.getBestCmap() or ()))


@cache
def _all_characters(places: tuple[Path, ...]) -> frozenset[int]:
    """Every character that some font below `places` has."""
    paths = (path for place in places for path in place.rglob("*.[ot]t[cf]"))
    return frozenset(code for path in paths for face in _faces(path) for code in face.characters)
