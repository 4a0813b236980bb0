"""The words of report and page, in Chinese and English. Numbers come in as marked elements.

A sentence belongs to a `statement_code` of mart_report; a code that has none here is said plainly, by
the name of its KPI. What a company names itself (KPIs, strategies) comes from its seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

from kehu.report.figures import Language
from kehu.report.words import LOYALTY, TIERS

Words = Mapping[Language, str]


def w(zh: str, en: str) -> Words:
    """One text in both languages."""
    return {"zh": zh, "en": en}


PERSPECTIVE = {
    "FINANCIAL": w("财务", "Financial"),
    "CUSTOMER": w("客户", "Customers"),
    "INTERNAL": w("内部流程", "Internal processes"),
    "LEARNING": w("学习与成长", "Learning and growth"),
}
STATUS = {
    "MET": w("达标", "On target"),
    "BELOW_TARGET": w("未达目标", "Below target"),
    "BREACHED": w("突破警戒线", "Beyond the limit"),
    "NO_TARGET": w("未设目标", "No target"),
    "NOT_MEASURABLE": w("无法衡量", "Not measured"),
    "NOT_JUDGED": w("不作判断", "Not judged"),
}
SIGN = {"MET": "✓", "BELOW_TARGET": "!", "BREACHED": "✕", "NO_TARGET": "·", "NOT_MEASURABLE": "?"}
OWNER = {
    "SALES_DIRECTOR": w("销售总监", "Sales director"),
    "FINANCE": w("财务部", "Finance"),
    "CRM_MANAGER": w("客户关系经理", "CRM manager"),
    "STORE_OPERATIONS": w("门店运营部", "Store operations"),
    "STORE_MANAGER": w("店长", "Store manager"),
    "MERCHANDISING": w("采购部", "Merchandising"),
    "SERVICE_MANAGER": w("客服经理", "Service manager"),
    "SERVICE_DESK": w("服务台", "Service desk"),
    "CUSTOMER_RELATIONS": w("客户关系部", "Customer relations"),
    "MARKETING": w("市场部", "Marketing"),
    "IT": w("信息部", "IT"),
    "HUMAN_RESOURCES": w("人力资源部", "Human resources"),
    "GENERAL_OFFICE": w("总经理办公室", "General office"),
    "KEY_ACCOUNT_MANAGER": w("大客户经理", "Key account manager"),
    "QUALITY": w("质量部", "Quality"),
    "CHECKOUT": w("收银部", "Checkout"),
    "REPLENISHMENT": w("补货部", "Replenishment"),
}
CHANNEL = {
    "PHONE": w("电话", "telephone"),
    "MESSAGE": w("短信或微信", "message"),
    "STORE": w("门店现场", "in the stores"),
    "MEETING": w("会议", "meeting"),
    "TRAINING": w("培训", "training"),
    "SUPPLIER": w("供应商", "supplier"),
    "IT": w("信息系统", "IT"),
}
# the question of `kehu ask` that lists the customers whom an action is about
LISTS = {("RETENTION_KEY", "KEY_CARE_CALL"): 4}
REASON = {
    "NO_COST_FEED": w("没有成本数据", "no feed of costs"),
    "NO_COST_TO_SERVE_FEED": w("没有服务成本数据", "no feed of costs to serve"),
    "NO_CRM_CASHFLOW_FEED": w("没有项目现金流数据", "no feed of the programme's cash flow"),
    "NO_COMPLAINT_FEED": w("没有投诉数据", "no feed of complaints"),
    "NO_AFTERSALES_FEED": w("没有售后数据", "no feed of after-sales cases"),
    "NO_PRIZE_CLAIM_FEED": w("没有奖品兑付数据", "no feed of prize claims"),
    "NO_INVENTORY_FEED": w("没有库存数据", "no feed of stock"),
    "NO_EMPLOYEE_SURVEY_FEED": w("没有员工调查数据", "no feed of employee surveys"),
    "NO_SUGGESTION_FEED": w("没有合理化建议数据", "no feed of suggestions"),
    "NO_STAFF_FEED": w("没有人事数据", "no feed of staff"),
    "NO_CAMPAIGN_FEED": w("没有营销活动数据", "no feed of campaigns"),
    "NO_INVITATION_FEED": w("没有调查邀请数据", "no feed of survey invitations"),
    "NO_MANAGER_SURVEY": w("没有管理者问卷", "managers were not asked"),
    "NO_STAFF_SURVEY": w("没有员工问卷", "staff were not asked"),
    "NO_SURVEY": w("没有调查", "nobody was asked"),
    "NO_ANSWERS": w("没有回答", "nobody answered"),
    "NOT_MEASURED_YET": w("尚未衡量", "not measured yet"),
    "NOT_BY_STORE": w("不按门店衡量", "not measured by store"),
    "NOBODY_TO_MEASURE": w("没有可衡量的对象", "nobody to measure"),
    "NO_VALUE": w("没有数值", "no value"),
    "SAMPLE_TOO_SMALL": w("样本不足", "too few to say"),
    "TOO_FEW": w("样本不足", "too few to say"),
    "HISTORY_TOO_SHORT": w("历史数据太短", "the history is too short"),
    "LINES_WITHOUT_COST": w("部分商品缺少成本", "sales lines without a cost"),
    "NOT_SCORED": w("模型尚未评分", "not scored by a model"),
    "COST_NOT_COMPLETE": w("成本数据不完整", "costs are not complete"),
    "NO_LIFETIME_VALUE": w("模型未给出终身价值", "no lifetime value from a model"),
    "NO_POSITIVE_VALUE": w("没有正向价值", "nobody brings a positive value"),
    "NO_MODEL": w("没有可用的模型", "no model"),
    "NOT_BETTER_THAN_BASELINE": w(
        "流失模型不比简单规则更准，因此不采用",
        "the churn model is no better than a simple rule, so it is not used",
    ),
    "NO_SCORES": w("模型没有给出评分", "the model gives no scores"),
    "BASELINE": w("只用于比较的简单规则", "a simple rule, for comparison only"),
    "PUBLISHED": w("没有可评分的客户", "no customer to score"),
    "CHALLENGER_BETTER": w("另一模型更准，因此采用另一模型", "another model is better and is used"),
    "CHALLENGER_NOT_BETTER": w("不比现用模型更准，因此不采用", "no better than the model in use"),
    "ONE_CLASS": w("历史中没有可学习的流失", "the history has nobody to learn from"),
    "NOBODY_ACTIVE_AT_START": w("期初没有活跃客户", "nobody was active at the start"),
    "NO_CUSTOMER": w("没有客户", "no customer"),
    "NO_NEW_CUSTOMER": w("没有新客户", "no new customer"),
    "NO_RECEIPT": w("没有小票", "no receipt"),
    "NO_CASE": w("没有此类事项", "no such case"),
    "SMALL_SAMPLE": w("样本不足", "too few cases to judge"),
    "PERIOD_NOT_COMPLETE": w("数据不满整个时段", "data for a part of the period only"),
    "NO_RECENT_SURVEY": w("近期没有调查", "no recent survey"),
    "NO_DATA": w("没有数据", "no data"),
    "COMPLAINTS_COME_ONCE_A_NIGHT": w(
        "投诉每晚只交付一次，预警时长无从计算",
        "complaints come once a night, so no delay can be told",
    ),
    "LAUNCH_DATES_NOT_KNOWN": w("商品上市日期不全", "dates of launch are not complete"),
    "VALUE_OF_MOST_NOT_KNOWN": w("价值已知的客户太少", "too few customers whose value is known"),
    "NO_SALES": w("没有销售", "no sales"),
    "TOLD_BY_NIGHT_IN_MART_FRESHNESS": w(
        "逐晚记录，见看板“昨夜数据”", "told night by night: see “Last night's data” on the page"
    ),
}

TOPIC = {
    **PERSPECTIVE,
    "STRUCTURE": w("客户结构", "Structure of customers"),
    "VALUE": w("价值集中度", "Concentration of value"),
    "LOYALTY": w("忠诚", "Loyalty"),
    "CHURN": w("流失", "Churn"),
    "SERVICE": w("投诉与服务", "Complaints and service"),
    "SATISFACTION": w("满意度", "Satisfaction"),
}
SEGMENT = {
    **{
        tier: w(TIERS[tier]["zh"], f"{TIERS[tier]['en'].lower()} customers")
        for tier in ("TOP", "MAJOR", "ORDINARY", "SMALL")
    },
    "NONE": w("无层级客户", "customers without a tier"),
    "HIGH": w("高价值客户", "customers of high value"),
    "MEDIUM": w("中价值客户", "customers of medium value"),
    "LOW": w("低价值客户", "customers of low value"),
    "PROSPECT": w("潜在", "prospect"),
    "NEW": w("新客", "new"),
    "GROWING": w("成长", "growing"),
    "STABLE": w("稳定", "stable"),
    "DECLINING": w("下滑", "declining"),
    "AT_RISK": w("有流失风险", "at risk"),
    "LAPSED": w("近期流失", "lapsed (churned recently)"),
    "LOST": w("长期流失", "long gone"),
    "REACTIVATED": w("回流", "reactivated"),
    "TRUE": w("绝对忠诚", "truly loyal"),
    "LATENT": w("潜在忠诚", "latently loyal"),
    "SPURIOUS": w("惯性忠诚", "spuriously loyal"),
    **{
        code: w(name["zh"], f"{name['en'].lower()}s".replace("ys", "ies"))
        for code, name in LOYALTY.items()
    },
    "TANGIBLES": w("有形性", "tangibles"),
    "RELIABILITY": w("可靠性", "reliability"),
    "RESPONSIVENESS": w("响应性", "responsiveness"),
    "ASSURANCE": w("保证性", "assurance"),
    "EMPATHY": w("移情性", "empathy"),
}
# a code that means something else where a statement uses it
SEGMENT_OF = {("LOYALTY_TYPE_SHARE", "NONE"): w("非忠诚", "not loyal")}

# {value}, {n}, {target}, {floor}, {previous}, {delta} are marked numbers; {kpi}, {store}, {segment} names
SENTENCE: dict[str, Words] = {
    "KPI": w("{kpi}为 {value}{against}{before}。", "{kpi}: {value}{against}{before}."),
    "TIER_VALUE_SHARE": w(
        "{segment}（{n} 人）带来已知价值的 {value}。",
        "{n} {segment} bring {value} of the value that is known.",
    ),
    "STAGE_SHARE": w(
        "{n} 名客户中，{value} 处于“{segment}”阶段。",
        "Of {n} customers, {value} are in the stage “{segment}”.",
    ),
    "TIER_DOWNGRADED": w(
        "上一完整月，{n} 名{segment}中有 {value} 降级。",
        "In the last whole month {value} of {n} {segment} moved down.",
    ),
    "VALUE_KNOWN_SHARE": w(
        "{n} 名客户中，{value} 的价值已知。", "The value of {value} of {n} customers is known."
    ),
    "SURVEYED_SHARE": w(
        "{n} 名客户中，{value} 的态度已知；其余客户没有近期有效回答。",
        "The attitude of {value} of {n} customers is known; the others gave no recent answer.",
    ),
    "GINI": w(
        "客户价值的基尼系数为 {value}，越高说明价值越集中于少数客户。",
        "The Gini coefficient of customer value is {value}; the higher, the fewer bring it.",
    ),
    "VALUE_DESTROYED_SHARE": w(
        "亏损客户抵消了其他客户所带来价值的 {value}。",
        "Customers who lose money destroy {value} of what the others bring.",
    ),
    "LOYALTY_TYPE_SHARE": w(
        "{n} 名态度已知的客户中，{value} 属于“{segment}”。",
        "Of {n} customers whose attitude is known, {value} are {segment}.",
    ),
    "APOSTLE_TYPE_SHARE": w(
        "{n} 名满意度已知的客户中，{value} 是“{segment}”。",
        "Of {n} customers whose satisfaction is known, {value} are {segment}.",
    ),
    "CUSTOMERS_LOST": w(
        "上一完整月，{n} 名活跃客户中流失了 {value} 人。",
        "In the last whole month {value} of {n} active customers were lost.",
    ),
    "VALUE_LOST": w(
        "其中 {n} 人的价值已知，他们此前一年合计带来 {value}。",
        "Of {n} of them the value is known: {value} in the year before.",
    ),
    "WON_BACK_SHARE": w(
        "月初已流失的 {n} 人中，{value} 在当月回流。",
        "Of {n} who had left before, {value} came back within the month.",
    ),
    "CHURN_REASON_SHARE": w(
        "{n} 名说明原因的流失客户中，{value} 提到“{segment}”。",
        "Of {n} leavers who said why, {value} name “{segment}”.",
    ),
    "COMPLAINTS": w(
        "上一完整月收到投诉 {value} 件（小票 {n} 张）。",
        "In the last whole month {value} complaints came in, with {n} receipts.",
    ),
    "COMPLAINT_REASON": w(
        "其中因“{segment}”的投诉 {value} 件（小票 {n} 张）。",
        "Of these, {value} were about “{segment}” ({n} receipts).",
    ),
    "OPEN_OVERDUE": w(
        "{n} 件未结投诉中，{value} 件已超时。",
        "Of {n} open complaints, {value} are overdue.",
    ),
    "ESCALATED_SHARE": w(
        "{n} 件投诉中，{value} 被升级处理。", "Of {n} complaints, {value} were escalated."
    ),
    "SILENT_SHARE": w(
        "{n} 名不满意的客户中，{value} 在回答前后 {silent_days} 天内没有投诉。",
        "Of {n} dissatisfied customers, {value} did not complain within {silent_days} days "
        "before or after they answered.",
    ),
    "TARGET_BREACHED": w(
        "{kpi}为 {value}，{beyond}警戒线 {floor}{against}{before}{chance}。",
        "{kpi}: {value}, {beyond} the limit of {floor}{against}{before}{chance}.",
    ),
    "CHANGED_FOR_THE_WORSE": w(
        "{kpi}由 {previous} 变为 {value}，显著变差{against}。",
        "{kpi} went from {previous} to {value}: significantly worse{against}.",
    ),
    "STORE_TARGET_BREACHED": w(
        "{store}的{kpi}为 {value}，{beyond}警戒线 {floor}{against}。",
        "{store}, {kpi}: {value}, {beyond} the limit of {floor}{against}.",
    ),
    "COMPANY_VALUE": w("全公司为 {value}。", "The whole company: {value}."),
    "WORST_STORE": w(
        "{of}最差的门店是{store}：{value}。", "{of}The worst store is {store}: {value}."
    ),
    "STORES_BREACHED": w(
        "{of}{n} 家可判断的门店中，{value} 家突破警戒线。",
        "{of}{value} of {n} stores that can be judged are beyond the limit.",
    ),
    "STORES_CERTAIN": w(
        "{of}其中整个 95% 区间都在警戒线外、可排除抽样波动的：{value} 家。",
        "{of}Beyond it with the whole 95% interval, so not by chance: {value} of these.",
    ),
    "WORST_SEGMENT": w(
        "{of}按“{split}”看，最差的是“{segment}”：{value}。",
        "{of}By {split}, the worst is {segment}: {value}.",
    ),
    "TREATMENT": w("{action}。", "{action}."),
}
# what a KPI is divided by where its worst part is told; those of the service desk by reason
BY_REASON = w("投诉原因", "reason")
SPLIT = {
    "RETENTION_KEY": w("客户层级", "tier"),
    "RETENTION_ALL": w("客户层级", "tier"),
    "CHURN": w("客户层级", "tier"),
    "NPS": w("价值等级", "value class"),
    "CSAT": w("价值等级", "value class"),
    "SERVQUAL_GAP": w("服务质量维度", "dimension"),
}
PLAIN = w("{kpi}为 {value}{against}{before}。", "{kpi}: {value}{against}{before}.")
AGAINST = w("，目标 {target}", ", target {target}")
BEFORE = w("，上期 {previous}", ", before {previous}")
MISSING = w("{kpi}：{reason}。", "{kpi}: {reason}.")
OF = w("{kpi}：", "{kpi}: ")
CHANCE = w(
    "（95% 区间跨过警戒线，可能是抽样波动）",
    " (the 95% interval spans the limit: it may be chance)",
)
BEYOND = {"HIGHER": w("低于", "below"), "LOWER": w("高于", "above")}

VERDICT = w(
    "{with_target} 项可判断的指标中，{met} 项达标，{below_target} 项未达目标，"
    "{breached} 项突破警戒线；另有 {no_target} 项未设目标，{not_measurable} 项无法衡量或不作判断。",
    "KPIs judged against a target: {with_target}. On target: {met}, below it: {below_target}, beyond "
    "the limit: {breached}. Without a target: {no_target}, not measured or not judged: {not_measurable}.",
)
NO_TARGETS = w("尚未设定目标，因此只陈述现状。", "No target is set yet, so this says only what is.")
NONE_JUDGED = w("本期没有可判断的指标。", "No KPI can be judged this time.")
ATTAINMENT = w(
    "计分卡达成率 {attainment}：{parts}{rest}。",
    "Attainment of the scorecard {attainment}: {parts}{rest}.",
)
NOT_ATTAINED = w("；{perspectives}无可判断的指标", "; nothing to judge in {perspectives}")
SIMULATED = w(
    "以下数据源含模拟数据：{feeds}。用到它们的数字和图表都有标记。",
    "These feeds hold simulated data: {feeds}. Numbers and pictures that use them are marked.",
)
STORES = w(
    "可选门店为客户数最多的 {shown} 家（共 {count} 家有销售数据）；其余门店见数据集市。",
    "The {shown} stores with most customers can be chosen, of {count} that deliver sales.",
)
NO_STORES = w(
    "共 {count} 家门店，客户数均不足以单独展示。",
    "None of the {count} stores has enough customers to be shown alone.",
)
METHOD = (
    w(
        "每个数字都来自本期发布的数据集市，并注明指标编号、数值、样本量和截止日期；点“查询”可看到产生它的 "
        "SQL，用 kehu query 即可重算。",
        "Each number comes from the marts of this publication and names its metric, value, n and date; "
        "“query” leads to the SQL that gives it, to be run with kehu query.",
    ),
    w(
        "问题只来自计入权重、突破警戒线或统计上显著变差的指标；没有这样的指标就没有问题。",
        "Problems come only from KPIs with a weight that are beyond their limit or significantly worse; "
        "without these there is none.",
    ),
    w(
        "达成率：在警戒线处为零，在目标处为百分之百；无法判断的指标不计，其权重由其余指标分担。",
        "Attainment is nil at the limit and full at the target; KPIs that can not be judged drop out, and "
        "the others share their weight.",
    ),
    w(
        "样本太少的比率标为“样本不足”，不作判断；缺失的数字写明原因，从不以零代替。",
        "Rates of too few cases are marked as small samples and not judged; what is missing says why "
        "and is never shown as zero.",
    ),
    w(
        "95% 区间说明抽样误差；两个区间重叠时，不要把差别当真。",
        "The 95% interval tells the error of sampling: where two overlap, do not believe the difference.",
    ),
)

FEED = {
    "sales_line": w("销售明细", "Sales lines"),
    "member": w("会员", "Members"),
    "member_card": w("会员卡", "Member cards"),
    "product": w("商品", "Products"),
    "store": w("门店", "Stores"),
    "survey_question": w("调查问题", "Survey questions"),
    "survey_answer": w("调查回答", "Survey answers"),
    "complaint": w("投诉", "Complaints"),
    "complaint_event": w("投诉进展", "Complaint events"),
}
LOAD = {
    "LOADED": w("已装载", "Loaded"),
    "UNVERIFIED": w("无清单", "No manifest"),
    "REFUSED": w("拒收", "Refused"),
    "HELD": w("待处理", "Held"),
    "SUPERSEDED": w("被取代", "Superseded"),
}
RULE_KIND = {
    "ROW": w("逐行检查", "Rows"),
    "BATCH": w("文件检查", "Files"),
    "FEED": w("数据源检查", "Feeds"),
    "AUDIT": w("发布审计", "Audit"),
    "MODEL": w("模型测试", "Tests of models"),
    "REPAIR": w("修复", "Repairs"),
    "FINDING": w("发现", "Findings"),
}
SEVERITY = {
    "critical": w("严重", "critical"),
    "warning": w("警告", "warning"),
    "repaired": w("已修复", "repaired"),
}

LABEL: dict[str, Words] = {
    "report": w("客户关系管理调查报告", "Customer relationship report"),
    "dashboard": w("客户看板", "Customers at a glance"),
    "language": w("语言", "Language"),
    "store": w("门店", "Store"),
    "chain": w("全公司", "Whole company"),
    "skip": w("跳到正文", "Skip to content"),
    "as_of": w("截至", "As of"),
    "publication": w("发布编号", "Publication"),
    "summary": w("十项关键数字", "Ten numbers"),
    "situation": w("一、现状", "1. Situation"),
    "problems": w("二、问题", "2. Problems"),
    "advice": w("三、建议", "3. Advice"),
    "pictures": w("图表", "Pictures"),
    "scorecard": w("平衡计分卡", "Balanced scorecard"),
    "unsaid": w("暂时无法衡量的指标", "What can not be measured yet"),
    "queries": w("附录：查询语句", "Appendix: the queries"),
    "how": w("如何解读这些数字", "How to read the numbers"),
    "wrong": w("问题与对策", "What is wrong, what to do"),
    "doing": w("现在怎么样", "How are we doing"),
    "night": w("昨夜数据", "Last night's data"),
    "loads": w("装载", "Loads"),
    "checks": w("检查", "Checks"),
    "freshness": w("到货情况", "What is late"),
    "none_wrong": w(
        "计入权重的指标均未突破警戒线，也未显著变差：本期没有需要报告的问题。",
        "No KPI with a weight is beyond its limit or significantly worse: there is no problem to report.",
    ),
    "none_wrong_store": w(
        "本店计入权重的指标均未突破警戒线，也未显著变差。",
        "No KPI of this store with a weight is beyond its limit or significantly worse.",
    ),
    "none_judged": w(
        "没有可判断的指标，不能据此认为没有问题。",
        "No KPI could be judged: this does not say that there is no problem.",
    ),
    "no_advice": w("没有问题，因此没有建议。", "No problem, hence no advice."),
    "no_advice_unjudged": w(
        "没有可判断的指标，因此没有建议。", "No KPI could be judged, hence no advice."
    ),
    "target": w("目标", "Target"),
    "floor": w("警戒线", "Limit"),
    "previous": w("上期", "Before"),
    "change": w("变化", "Change"),
    "owner": w("负责人", "Owner"),
    "due": w("期限", "Due"),
    "success": w("成效指标", "Success shows in"),
    "channel": w("渠道", "Channel"),
    "max_cost": w("单次费用上限", "At most per case"),
    "list": w("名单", "List"),
    "basis": w("价值口径", "Value is"),
    "simulated": w("模拟数据", "simulated"),
    "small": w("样本不足", "small sample"),
    "more_problems": w("其余问题", "The other problems"),
    "table": w("数据表", "Data"),
    "sql": w("查询", "query"),
    "metric": w("指标", "Metric"),
    "kpi": w("指标", "KPI"),
    "value": w("数值", "Value"),
    "n": w("样本量", "n"),
    "interval": w("95% 区间", "95% interval"),
    "weight": w("权重", "Weight"),
    "attainment": w("达成率", "Attainment"),
    "status": w("状态", "Status"),
    "reason": w("原因", "Reason"),
    "feed": w("数据源", "Feed"),
    "files": w("文件", "Files"),
    "rows_in": w("收到行数", "Rows in"),
    "accepted": w("接受", "Accepted"),
    "quarantined": w("隔离", "Quarantined"),
    "kind": w("类别", "Kind"),
    "severity": w("级别", "Severity"),
    "rules": w("规则", "Rules"),
    "not_passed": w("未通过", "Not passed"),
    "failed_rows": w("涉及行数", "Rows or files concerned"),
    "late": w("缺数门店", "Stores late"),
    "missing_days": w("缺失天数", "Days missing"),
    "newest": w("最近数据", "Newest data"),
    "stores": w("门店数", "Stores"),
    "links": w("更多", "More"),
    "open_report": w("调查报告（可打印）", "The report, for print"),
    "open_quality": w("数据质量报告", "Quality report"),
    "open_docs": w("数据字典与血缘", "Data dictionary and lineage"),
    "nothing_arrived": w("昨夜没有新文件。", "No file was new last night."),
    "see_advice": w("见建议", "see advice"),
    "measured": w("数据日期", "measured on"),
    "now": w("当前", "now"),
    "problem": w("问题", "Problem"),
    "for_problem": w("针对问题", "for problem"),
}
