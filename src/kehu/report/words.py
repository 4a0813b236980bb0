"""What codes of the marts are called, in both languages; terms of columns are those of the models."""

from __future__ import annotations

from kehu.report.picture import Words, both

TIERS: dict[str, Words] = {
    "TOP": both("Top", "重要客户"),
    "MAJOR": both("Major", "次要客户"),
    "ORDINARY": both("Ordinary", "普通客户"),
    "SMALL": both("Small", "小客户"),
    "NEW": both("New", "新进入"),
    "LOST": both("Left", "流出"),
}
VALUE_BASES: dict[str, Words] = {
    "PROFIT": both("profit", "利润"),
    "MARGIN": both("margin", "毛利"),
    "SALES": both("sales", "销售额"),
}
