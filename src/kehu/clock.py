"""The one clock of Kehu, so that tests and replays can set it."""

from __future__ import annotations

import os
from datetime import datetime
from zoneinfo import ZoneInfo

from kehu.settings import Settings


def now(settings: Settings) -> datetime:
    """Local wall-clock time of the company, without zone; KEHU_NOW (ISO) overrides it."""
    fixed = os.environ.get("KEHU_NOW")
    if fixed:
        return datetime.fromisoformat(fixed)
    return datetime.now(ZoneInfo(settings.timezone)).replace(tzinfo=None)
