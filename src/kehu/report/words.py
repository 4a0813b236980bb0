"""What codes of the marts are called, in both languages, in pictures and sentences alike; terms of
columns are those of the models, names of classes those of the definitions.
"""

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
LEVELS: dict[str, Words] = {
    "1": both("1 Sales counter", "1 营业柜组"),
    "2": both("2 Store manager", "2 商场经理"),
    "3": both("3 Customer relations", "3 顾客关系部"),
    "4": both("4 GM's office", "4 总经理办公室"),
    "5": both("5 General manager", "5 总经理"),
}
LOYALTY: dict[str, Words] = {
    "APOSTLE": both("Apostle", "传道者"),
    "LOYALIST": both("Loyalist", "忠诚者"),
    "MERCENARY": both("Mercenary", "图利者"),
    "HOSTAGE": both("Hostage", "囚禁者"),
    "DEFECTOR": both("Defector", "背叛者"),
    "TERRORIST": both("Terrorist", "破坏者"),
}
