"""What a Chinese supermarket chain is made of: its stores, goods, people and questionnaires, by name.

Only data, and written for `scripts/retailer_world.py`. Every name of a person is put together from
common parts; streets and phone numbers are invented.
"""

# ruff: noqa: E501 - tables are read more easily with one entry in a line
from __future__ import annotations

from typing import NamedTuple


class Store(NamedTuple):
    """One store, and what customers feel of it without seeing the figures."""

    code: str
    name: str
    format: str
    district: str
    area_m2: int
    opened_on: str
    competitors: int
    size: float  # share of the chain's trade
    service: float  # how content customers are with it, in standard deviations
    failure: float  # share of visits at which something goes wrong
    price: float  # level of prices
    tills: int
    system: str  # the till system by which it exports: see simulate_retailer.SYSTEMS


STORES = [
    Store("0101", "惠民超市人民路店", "大卖场", "鼓楼区", 8600, "2004-09-28", 2, 0.26, 0.10, 0.014, 1.00, 14, "A"),
    Store("0102", "惠民超市新街口店", "大卖场", "玄武区", 7200, "2006-05-01", 4, 0.20, -0.10, 0.022, 1.01, 12, "A"),
    Store("0103", "惠民超市江宁店", "标准超市", "江宁区", 3800, "2009-12-18", 1, 0.16, 0.25, 0.010, 0.99, 8, "A"),
    Store("0104", "惠民超市河西店", "标准超市", "建邺区", 3200, "2012-04-28", 2, 0.13, 0.05, 0.016, 1.02, 7, "A"),
    Store("0205", "惠民超市仙林店", "标准超市", "栖霞区", 2600, "2014-08-30", 1, 0.11, -0.30, 0.030, 1.00, 6, "B"),
    Store("0206", "惠民生活便利学府店", "便利店", "栖霞区", 420, "2017-09-01", 3, 0.06, 0.00, 0.015, 1.06, 3, "B"),
    Store("0307", "惠民生活便利浦口店", "便利店", "浦口区", 380, "2019-03-15", 0, 0.08, 0.15, 0.012, 1.05, 3, "C"),
]  # fmt: skip
TEST_STORE = Store("9999", "测试店（勿用）", "测试", "", 0, "2004-01-01", 0, 0, 0, 0, 1.00, 1, "A")
DISTRICTS = ["鼓楼区", "玄武区", "江宁区", "建邺区", "栖霞区", "浦口区", "秦淮区", "雨花台区"]
STREETS = [
    "中山路", "人民路", "解放路", "建设路", "和平路", "文化路", "学府路", "新华街", "长江路", "湖滨路",
    "朝阳路", "迎宾大道", "幸福里", "梅园小区", "翠竹园", "锦绣花园", "阳光城", "金色家园", "碧水湾", "东方名苑",
]  # fmt: skip

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段䶮㛃"
GIVEN_FIRST = "建国志文明永春秀桂玉海红丽晓小佳子雨思欣嘉俊宇浩梓一"
GIVEN_LAST = "华英芳娟敏静伟强磊军洋勇艳杰涛超霞平刚辉玲健林鹏飞燕雪梅兰凤莉婷轩涵萱怡彤晨"
PINYIN = {"王": "WANG", "李": "LI", "张": "ZHANG", "刘": "LIU", "陈": "CHEN", "杨": "YANG"}


class Family(NamedTuple):
    """A 小类 of goods with the names that its products carry."""

    level1: str
    level2: str
    level3: str
    weight: float  # how often it is bought
    low: int  # prices in fen
    high: int
    unit: str
    is_weighed: bool
    vat: int  # per cent
    nouns: str  # each is a 细类


FAMILIES = [
    Family("生鲜", "蔬菜", "叶菜", 14, 298, 898, "kg", True, 0, "上海青 菠菜 生菜 空心菜 芹菜 韭菜"),
    Family("生鲜", "蔬菜", "根茎", 10, 258, 798, "kg", True, 0, "土豆 胡萝卜 白萝卜 洋葱 生姜 莲藕"),
    Family("生鲜", "水果", "仁果浆果", 8, 598, 2998, "kg", True, 9, "苹果 雪梨 葡萄 草莓 猕猴桃"),
    Family("生鲜", "水果", "柑橘热带", 7, 498, 1998, "kg", True, 9, "脐橙 砂糖橘 香蕉 火龙果 柚子"),
    Family("生鲜", "肉禽", "猪肉", 7, 2298, 5998, "kg", True, 9, "五花肉 里脊 排骨 猪蹄 肉馅"),
    Family("生鲜", "肉禽", "禽蛋", 7, 998, 3998, "kg", True, 9, "三黄鸡 鸡翅 鸭腿 鲜鸡蛋"),
    Family("生鲜", "水产", "鱼虾", 4, 1598, 8998, "kg", True, 9, "草鱼 鲈鱼 基围虾 带鱼"),
    Family("生鲜", "面点熟食", "主食", 6, 150, 1280, "个", False, 9, "馒头 花卷 肉包 葱油饼"),
    Family("乳品冷藏", "牛奶", "鲜奶", 6, 350, 1890, "盒", False, 13, "鲜牛奶 低脂鲜奶 高钙鲜奶"),
    Family("乳品冷藏", "牛奶", "常温奶", 5, 250, 7990, "箱", False, 13, "纯牛奶 早餐奶 儿童奶"),
    Family("乳品冷藏", "酸奶", "低温酸奶", 5, 450, 2590, "杯", False, 13, "原味酸奶 果粒酸奶 老酸奶"),
    Family("乳品冷藏", "豆制品", "豆制品", 5, 180, 890, "盒", False, 13, "嫩豆腐 豆干 素鸡 豆浆"),
    Family("粮油调味", "粮食", "大米面粉", 3, 1980, 12990, "袋", False, 9, "东北大米 长粒香米 面粉 挂面 小米"),
    Family("粮油调味", "食用油", "食用油", 2, 3990, 13990, "桶", False, 9, "花生油 菜籽油 大豆油 玉米油"),
    Family("粮油调味", "调味品", "酱醋", 4, 390, 2590, "瓶", False, 13, "生抽 老抽 米醋 蚝油 料酒"),
    Family("粮油调味", "调味品", "干调", 3, 190, 1590, "袋", False, 13, "食盐 白糖 鸡精 花椒 八角"),
    Family("休闲食品", "饼干糕点", "饼干", 4, 450, 2990, "包", False, 13, "苏打饼干 曲奇 威化 蛋黄派"),
    Family("休闲食品", "膨化坚果", "膨化", 4, 390, 1590, "包", False, 13, "薯片 虾条 锅巴"),
    Family("休闲食品", "膨化坚果", "坚果", 3, 990, 6990, "袋", False, 13, "花生 瓜子 核桃 开心果"),
    Family("休闲食品", "糖巧", "糖果巧克力", 3, 590, 8990, "盒", False, 13, "牛奶巧克力 水果糖 口香糖"),
    Family("饮料酒水", "水饮", "包装水", 5, 150, 2990, "瓶", False, 13, "矿泉水 纯净水 苏打水"),
    Family("饮料酒水", "水饮", "茶与碳酸", 6, 300, 1290, "瓶", False, 13, "可乐 雪碧 绿茶 冰红茶 乌龙茶"),
    Family("饮料酒水", "酒", "啤酒", 3, 350, 6990, "听", False, 13, "淡爽啤酒 纯生啤酒 黑啤"),
    Family("饮料酒水", "酒", "白酒", 1, 1590, 59900, "瓶", False, 13, "浓香白酒 酱香白酒 清香白酒"),
    Family("方便冲调", "方便食品", "方便面", 4, 250, 2790, "桶", False, 13, "红烧牛肉面 酸菜面 拌面"),
    Family("方便冲调", "方便食品", "火腿肠", 3, 150, 1990, "根", False, 13, "火腿肠 午餐肉 腊肠"),
    Family("方便冲调", "冲调", "咖啡麦片", 2, 1290, 9990, "盒", False, 13, "速溶咖啡 燕麦片 芝麻糊"),
    Family("日化", "家庭清洁", "洗衣", 2, 990, 7990, "瓶", False, 13, "洗衣液 洗衣粉 柔顺剂"),
    Family("日化", "个人护理", "洗护", 2, 1490, 8990, "瓶", False, 13, "洗发水 沐浴露 香皂"),
    Family("日化", "个人护理", "口腔", 2, 590, 3990, "支", False, 13, "牙膏 牙刷 漱口水"),
    Family("日化", "纸品", "纸品", 4, 490, 5990, "提", False, 13, "抽纸 卷纸 湿巾 厨房纸"),
    Family("母婴", "婴儿用品", "纸尿裤", 1.2, 5990, 19900, "包", False, 13, "纸尿裤 拉拉裤"),
    Family("母婴", "婴儿食品", "奶粉辅食", 1, 9900, 39900, "罐", False, 13, "婴儿奶粉 米粉 果泥"),
    Family("家居百货", "厨房用品", "厨具", 1, 990, 19900, "件", False, 13, "炒锅 菜刀 保鲜盒 饭碗"),
    Family("家居百货", "文体", "文具", 1, 190, 2990, "件", False, 13, "签字笔 笔记本 文件夹"),
    Family("家居百货", "针织", "毛巾袜子", 1, 590, 4990, "条", False, 13, "毛巾 棉袜 拖鞋"),
    Family("家电", "小家电", "厨房电器", 0.3, 7900, 69900, "台", False, 13, "电饭煲 电水壶 豆浆机"),
]  # fmt: skip
LEVEL1 = list(dict.fromkeys(f.level1 for f in FAMILIES))
BRANDS = [
    "光明", "伊利", "蒙牛", "海天", "鲁花", "金龙鱼", "康师傅", "统一", "双汇", "农夫山泉", "青岛", "雪花",
    "旺旺", "徐福记", "洽洽", "蓝月亮", "立白", "清风", "维达", "心相印", "云南白药", "美的", "苏泊尔", "晨光",
    "惠民优选", "绿野", "江南田园", "老灶", "小橡树", "晴川",
]  # fmt: skip
SPECS = [
    "500g",
    "250g",
    "1㎏",
    "2.5kg",
    "330mL",
    "500mL",
    "1L",
    "5L",
    "12入",
    "6连包",
    "①号装",
    "家庭装",
]

# What people come for, and how it moves the weights of the 大类, in the order of LEVEL1.
MISSIONS = [
    # name, share among members, share among the anonymous, mean lines, weights by 大类
    ("买菜", 0.38, 0.25, 4.0, (3.0, 1.2, 0.5, 0.2, 0.3, 0.2, 0.2, 0.1, 0.1, 0.05)),
    ("周末大采购", 0.18, 0.07, 15.0, (1.0, 1.2, 1.5, 1.2, 1.0, 1.0, 1.4, 0.8, 1.0, 1.2)),
    ("补货", 0.22, 0.23, 6.0, (0.6, 1.0, 1.5, 0.8, 0.8, 1.0, 1.5, 0.5, 1.0, 0.4)),
    ("零食饮料", 0.16, 0.42, 2.4, (0.2, 0.7, 0.1, 2.5, 3.0, 1.2, 0.2, 0.0, 0.3, 0.0)),
    ("宝宝家庭", 0.06, 0.03, 8.0, (0.8, 1.8, 0.6, 1.0, 0.7, 0.6, 1.5, 20.0, 0.8, 0.4)),
]
# What is taken along when something else is in the basket: 小类, companion, chance.
COMPANIONS = [
    ("方便面", "火腿肠", 0.35),
    ("啤酒", "坚果", 0.30),
    ("膨化", "茶与碳酸", 0.25),
    ("纸尿裤", "纸品", 0.30),
    ("大米面粉", "食用油", 0.18),
    ("猪肉", "根茎", 0.25),
    ("鲜奶", "主食", 0.20),
]

REASONS = [
    # code, weight, concerns a product, severity, department (or that of the product), what was said
    ("QUALITY_BAD", 22, True, 0.6, "", "买回去发现{sku}变质了，要求退货并赔偿"),
    ("PRICE_WRONG_AT_TILL", 15, True, 0.0, "收银", "{sku}标价和收银价不一样，多收了钱"),
    ("OUT_OF_STOCK", 11, True, -0.5, "", "海报上的{sku}，一早来就没货"),
    ("QUEUE_TOO_LONG", 14, False, -0.3, "收银", "收银台只开了两个，排队半小时"),
    ("STAFF_RUDE", 11, False, 0.5, "服务台", "员工态度恶劣，爱理不理"),
    ("STAFF_UNKNOWLEDGEABLE", 4, False, -0.2, "服务台", "问什么都说不知道"),
    ("RETURN_REFUSED", 6, True, 0.7, "服务台", "{sku}三天内不给退"),
    ("WRONG_CHANGE", 4, False, 0.3, "收银", "找零少了十块钱"),
    ("MISLEADING_PROMOTION", 7, True, 0.3, "", "{sku}说买一送一，结账没送"),
    ("SLOW_RESPONSE", 3, False, 0.3, "客服", "上次投诉一直没有人回复"),
    ("HYGIENE", 4, False, 0.8, "店务", "冷柜漏水，地面很脏"),
    ("PARKING", 3, False, -0.6, "店务", "停车场进不去"),
    ("STORE_HOURS", 1, False, -0.6, "店务", "没到点就关门"),
    ("OTHER", 3, False, 0.0, "店务", "其他问题"),
]
EXIT_REASONS = [
    # code after Keaveney (1995), weight, slope of its logarithm on satisfaction
    ("PRICING", 8, 0.0),
    ("INCONVENIENCE", 6, 0.3),
    ("CORE_SERVICE_FAILURE", 8, -0.5),
    ("SERVICE_ENCOUNTER_FAILURE", 5, -0.6),
    ("RESPONSE_TO_FAILED_SERVICE", 3, -0.7),
    ("COMPETITION", 7, 0.0),
    ("ETHICAL_PROBLEMS", 1, -0.3),
    ("INVOLUNTARY", 4, 0.6),
]
COMMENTS = {
    -1: ["越来越差，东西不新鲜", "排队太久，人手不够", "价格比网上贵，服务也一般"],
    0: ["还可以", "一般般，离家近", "品种再多一点就好了"],
    1: ["很满意，菜很新鲜", "服务员热情，会再来", "购物环境好，推荐给邻居了"],
}
SERVQUAL = [
    ("TANGIBLES", 11, ["设备现代", "环境整洁美观", "员工仪表整洁", "标识资料清楚"]),
    (
        "RELIABILITY",
        32,
        ["按时兑现承诺", "真诚解决顾客问题", "值得信赖", "第一次就做对", "价签账单准确"],
    ),
    ("RESPONSIVENESS", 22, ["告知服务时间", "服务及时", "员工乐于帮助", "再忙也回应顾客"]),
    ("ASSURANCE", 19, ["员工值得信任", "付款安心", "员工有礼貌", "员工懂商品"]),
    (
        "EMPATHY",
        16,
        ["关注个人", "员工给予个别关心", "了解顾客需要", "以顾客利益为先", "营业时间方便"],
    ),
]
KANO = [
    # attribute, text, usual answer if it is there, if it is not (1 like .. 5 dislike)
    ("FRESHNESS", "商品新鲜", 2.3, 4.8),
    ("RIGHT_PRICE", "收银价格准确", 2.5, 4.8),
    ("SHORT_QUEUE", "排队时间短", 1.4, 4.6),
    ("SELF_CHECKOUT", "自助收银", 1.7, 3.0),
    ("HOME_DELIVERY", "送货到家", 1.3, 2.9),
    ("MUSIC", "店内音乐", 3.0, 3.0),
]
SPRING_FESTIVALS = [
    "2015-02-19", "2016-02-08", "2017-01-28", "2018-02-16", "2019-02-05", "2020-01-25", "2021-02-12",
    "2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26",
]  # fmt: skip
WEEKDAYS = (0.90, 0.86, 0.92, 0.93, 1.05, 1.22, 1.12)
MONTHS = (1.06, 0.95, 0.96, 0.97, 1.01, 0.98, 0.97, 0.98, 1.05, 1.05, 0.99, 1.03)
# Chance of a till being busy, by hour from 00:00.
HOURS = (0, 0, 0, 0, 0, 0, 0, 3, 9, 12, 11, 8, 5, 4, 5, 7, 10, 14, 13, 9, 6, 3, 0, 0)
