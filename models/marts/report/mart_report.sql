{#-
    Facts of the situation: topic, statement, mart, definition, and how they are read from it. Those
    of `month` are of the last whole month, the others of the date.
-#}
{% set facts = [
    {
        'topic': 'STRUCTURE', 'code': 'TIER_VALUE_SHARE',
        'metric': 'S2', 'mart': 'mart_segment_structure',
        'segment': 'tier', 'value': 'pct_value', 'unit': 'SHARE', 'n': 'n_customers',
        'sort': 'tier_order', 'simulated': 'false',
        'where': "scheme = 'PYR_1_19_30_50' and ranking_scope = 'COMPANY' and store_code = 'ALL'",
    },
    {
        'topic': 'STRUCTURE', 'code': 'STAGE_SHARE',
        'metric': 'L1', 'mart': 'mart_segment_structure',
        'segment': 'tier', 'value': 'pct_customers', 'unit': 'SHARE', 'n': 'n_customers',
        'sort': '-n_customers', 'simulated': 'false',
        'where': "scheme = 'STAGE' and store_code = 'ALL'",
    },
    {
        'topic': 'STRUCTURE', 'code': 'TIER_DOWNGRADED',
        'metric': 'S4', 'month': true,
        'mart': 'mart_segment_migration', 'segment': 'from_tier', 'value': 'downgraded_rate',
        'unit': 'SHARE', 'n': 'count_from', 'sort': "case from_tier when 'TOP' then 1 else 2 end",
        'simulated': 'false',
        'where': "scheme = 'PYR_1_19_30_50' and ranking_scope = 'COMPANY' and store_code = 'ALL'"
            ~ " and comparison = 'MONTH' and from_tier = to_tier and from_tier in ('TOP', 'MAJOR')",
    },
    {
        'topic': 'VALUE', 'code': 'GINI',
        'metric': 'S3', 'mart': 'mart_concentration', 'segment': "'ALL'",
        'value': 'gini', 'unit': 'COEFFICIENT', 'n': 'n_customers', 'sort': '0', 'simulated': 'false',
        'where': "store_code = 'ALL'",
    },
    {
        'topic': 'VALUE', 'code': 'VALUE_DESTROYED_SHARE',
        'metric': 'S3', 'mart': 'mart_concentration',
        'segment': "'ALL'", 'value': 'profit_destroyed', 'unit': 'SHARE', 'n': 'n_customers',
        'sort': '0', 'simulated': 'false', 'where': "store_code = 'ALL'",
    },
    {
        'topic': 'LOYALTY', 'code': 'LOYALTY_TYPE_SHARE',
        'metric': 'Y3', 'mart': 'mart_loyalty_structure',
        'segment': 'loyalty_class', 'value': 'class_share', 'lo': 'class_share_lo',
        'hi': 'class_share_hi', 'unit': 'SHARE', 'n': 'count_known', 'sort': '-count_customers',
        'simulated': 'is_simulated',
        'where': "scheme = 'LOYALTY_TYPE' and store_code = 'ALL' and loyalty_class <> 'UNKNOWN'",
    },
    {
        'topic': 'LOYALTY', 'code': 'APOSTLE_TYPE_SHARE',
        'metric': 'Y4', 'mart': 'mart_loyalty_structure',
        'segment': 'loyalty_class', 'value': 'class_share', 'lo': 'class_share_lo',
        'hi': 'class_share_hi', 'unit': 'SHARE', 'n': 'count_known', 'sort': '-count_customers',
        'simulated': 'is_simulated',
        'where': "scheme = 'APOSTLE_TYPE' and store_code = 'ALL' and loyalty_class <> 'UNKNOWN'",
    },
    {
        'topic': 'CHURN', 'code': 'CUSTOMERS_LOST',
        'metric': 'C2', 'month': true, 'mart': 'mart_churn_rate',
        'segment': "'ALL'", 'value': 'churned', 'unit': 'CUSTOMERS', 'n': 'active_start', 'sort': '0',
        'simulated': 'false', 'where': "store_code = 'ALL' and pyramid_tier = 'ALL' and active_start > 0",
    },
    {
        'topic': 'CHURN', 'code': 'VALUE_LOST',
        'metric': 'C3', 'month': true, 'mart': 'mart_churn_rate',
        'segment': "'ALL'", 'value': 'value_lost', 'unit': 'MONEY', 'n': 'churned', 'sort': '0',
        'simulated': 'false', 'where': "store_code = 'ALL' and pyramid_tier = 'ALL'",
    },
    {
        'topic': 'CHURN', 'code': 'WON_BACK_SHARE',
        'metric': 'C4', 'month': true, 'mart': 'mart_churn_rate',
        'segment': "'ALL'", 'value': 'winback_rate', 'lo': 'winback_rate_lo', 'hi': 'winback_rate_hi',
        'unit': 'SHARE', 'n': 'churned_start', 'sort': '0', 'simulated': 'false',
        'where': "store_code = 'ALL' and pyramid_tier = 'ALL'",
    },
    {
        'topic': 'CHURN', 'code': 'CHURN_REASON_SHARE',
        'metric': 'C5', 'mart': 'mart_churn_reason',
        'segment': 'reason_code', 'value': 'mention_pct / 100', 'lo': 'mention_pct_lo / 100',
        'hi': 'mention_pct_hi / 100', 'unit': 'SHARE', 'n': 'count_respondents', 'most': 3,
        'sort': '-count_mentions', 'simulated': 'is_simulated',
        'where': "period = 'YEAR' and store_code = 'ALL' and reason_source = 'STATED'"
            ~ " and count_mentions > 0",
    },
    {
        'topic': 'SERVICE', 'code': 'COMPLAINTS',
        'metric': 'P1', 'month': true,
        'mart': 'mart_service_recovery', 'segment': "'ALL'", 'value': 'count_complaints',
        'unit': 'COMPLAINTS', 'n': 'count_receipts', 'sort': '0', 'simulated': 'is_simulated',
        'where': "window_code = 'PERIOD' and store_code = 'ALL' and level_code = 'ALL'"
            ~ " and reason_code = 'ALL' and complaint_missing_reason is null",
    },
    {
        'topic': 'SERVICE', 'code': 'COMPLAINT_REASON',
        'metric': 'P17', 'month': true,
        'mart': 'mart_service_recovery', 'segment': 'reason_code', 'value': 'count_complaints',
        'unit': 'COMPLAINTS', 'n': 'count_receipts', 'most': 3, 'sort': '-count_complaints',
        'simulated': 'is_simulated',
        'where': "window_code = 'PERIOD' and store_code = 'ALL' and level_code = 'ALL'"
            ~ " and reason_code <> 'ALL' and count_complaints > 0",
    },
    {
        'topic': 'SERVICE', 'code': 'OPEN_OVERDUE',
        'metric': 'P15', 'mart': 'mart_service_recovery',
        'segment': "'ALL'", 'value': 'count_open_overdue', 'unit': 'COMPLAINTS', 'n': 'count_open',
        'sort': '0', 'simulated': 'is_simulated',
        'where': "window_code = 'YEAR' and store_code = 'ALL' and level_code = 'ALL'"
            ~ " and reason_code = 'ALL' and complaint_missing_reason is null",
    },
    {
        'topic': 'SERVICE', 'code': 'ESCALATED_SHARE',
        'metric': 'P7', 'month': true,
        'mart': 'mart_service_recovery', 'segment': "'ALL'", 'value': 'escalation_rate',
        'lo': 'escalation_rate_lo', 'hi': 'escalation_rate_hi', 'unit': 'SHARE',
        'n': 'count_complaints', 'sort': '0', 'simulated': 'is_simulated',
        'where': "window_code = 'PERIOD' and store_code = 'ALL' and level_code = 'ALL'"
            ~ " and reason_code = 'ALL'",
    },
    {
        'topic': 'SERVICE', 'code': 'SILENT_SHARE',
        'metric': 'P16', 'mart': 'mart_service_recovery',
        'segment': "'ALL'", 'value': 'silent_share', 'lo': 'silent_share_lo', 'hi': 'silent_share_hi',
        'unit': 'SHARE', 'n': 'count_dissatisfied', 'sort': '0', 'simulated': 'is_simulated',
        'where': "window_code = 'YEAR' and store_code = 'ALL' and level_code = 'ALL'"
            ~ " and reason_code = 'ALL'",
    },
] %}

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

kpis as (

    select * from {{ ref('kpi') }}

),

given_treatments as (

    select * from {{ ref('treatment_matrix') }}

),

scorecard as (

    select * from {{ ref('mart_scorecard') }}

),

company as (

    select *
    from scorecard
    where store_code = 'ALL'

),

-- only stores that are judged
shops as (

    select *
    from scorecard
    where store_code <> 'ALL' and status <> 'NOT_MEASURABLE'

),

segments as (

    select * from {{ ref('int_kpi__measured') }}
    where segment <> 'ALL' and store_code = 'ALL'

),

dates as (

    select
        as_of_date,
        is_latest,
        min_n,
        min_n_complaint,
        case when is_month_end then as_of_date else period_start_date end as month_on
    from as_of_dates

),

shops_ranked as (

    select
        *,
        count(case when status = 'BREACHED' then 1 end)
            over (partition by as_of_date, kpi) as count_breached,
        count(*) over (partition by as_of_date, kpi) as count_judged,
        row_number() over (
            partition by as_of_date, kpi
            order by
                case when direction = 'LOWER' then -actual else actual end asc nulls last,
                store_code asc nulls first
        ) as badness_rank
    from shops

),

-- a breach of the company or a change for the worse; else a breach of a store. What has no weight
-- on the scorecard is shown and raises no problem.
problems_found as (

    select
        company.as_of_date,
        company.kpi,
        company.kpi_order,
        company.weight_given,
        case
            when company.status = 'BREACHED' then 'TARGET_BREACHED'
            when company.change_code = 'WORSE' then 'CHANGED_FOR_THE_WORSE'
            else 'STORE_TARGET_BREACHED'
        end as statement_code
    from company
    left join shops_ranked
        on
            company.as_of_date = shops_ranked.as_of_date
            and company.kpi = shops_ranked.kpi
            and shops_ranked.badness_rank = 1
    where
        company.weight_given > 0
        and (
            company.status = 'BREACHED'
            or company.change_code = 'WORSE'
            or shops_ranked.count_breached > 0
        )

),

problems as (

    select
        *,
        row_number() over (
            partition by as_of_date
            order by
                case statement_code
                    when 'TARGET_BREACHED' then 1
                    when 'CHANGED_FOR_THE_WORSE' then 2
                    else 3
                end asc,
                weight_given desc nulls last,
                kpi_order asc nulls first
        ) as problem_no
    from problems_found

),

segments_ranked as (

    select
        problems.as_of_date,
        problems.problem_no,
        kpis.kpi,
        segments.segment,
        segments.actual,
        segments.lo,
        segments.hi,
        segments.n,
        segments.is_simulated,
        row_number() over (
            partition by problems.as_of_date, problems.problem_no
            order by
                case when kpis.direction = 'LOWER' then -segments.actual else segments.actual end
                asc nulls last,
                segments.segment asc nulls first
        ) as badness_rank
    from problems
    inner join kpis on problems.kpi = kpis.kpi
    inner join company
        on problems.as_of_date = company.as_of_date and problems.kpi = company.kpi
    inner join dates on problems.as_of_date = dates.as_of_date
    inner join segments
        on
            problems.kpi = segments.kpi
            and segments.as_of_date
            = case when kpis.window_code = 'MONTH' then dates.month_on else dates.as_of_date end
    where
        segments.actual is not null
        and segments.n >= case
            when kpis.source_mart = 'mart_service_recovery' then dates.min_n_complaint
            else dates.min_n
        end

),

treatments as (

    select
        problems.as_of_date,
        problems.problem_no,
        problems.kpi,
        given_treatments.segment,
        given_treatments.strategy_code,
        given_treatments.action_en,
        given_treatments.action_zh,
        given_treatments.channel,
        given_treatments.max_cost,
        given_treatments.owner,
        given_treatments.due_days,
        given_treatments.success_kpi
    from problems
    left join segments_ranked
        on
            problems.as_of_date = segments_ranked.as_of_date
            and problems.problem_no = segments_ranked.problem_no
            and segments_ranked.badness_rank = 1
    inner join given_treatments
        on
            problems.kpi = given_treatments.kpi
            and given_treatments.segment in ('ALL', coalesce(segments_ranked.segment, 'ALL'))
            and problems.as_of_date >= given_treatments.valid_from
            and problems.as_of_date < given_treatments.valid_to
            and given_treatments.scope in ('default', '{{ var("param_scope") }}')
    -- what the company says of a KPI takes the place of what is shipped for it
    qualify rank() over (
        partition by problems.as_of_date, problems.problem_no
        order by case when given_treatments.scope = 'default' then 1 else 0 end
    ) = 1

),

statements as (

    select
        company.as_of_date,
        'SUMMARY' as section,
        'SUMMARY' as topic,
        kpis.summary_place as place,
        0 as part,
        cast(0 as double) as part_order,
        'KPI' as statement_code,
        company.kpi,
        company.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        cast(null as integer) as problem_no,
        company.actual as value,
        company.unit,
        company.n,
        company.lo,
        company.hi,
        company.source_mart,
        company.measured_on,
        company.is_simulated,
        company.missing_reason,
        cast(null as {{ dbt.type_string() }}) as strategy_code,
        cast(null as {{ dbt.type_string() }}) as action_en,
        cast(null as {{ dbt.type_string() }}) as action_zh,
        cast(null as {{ dbt.type_string() }}) as channel,
        cast(null as decimal(18, 2)) as max_cost,
        company.owner,
        cast(null as integer) as due_days,
        cast(null as {{ dbt.type_string() }}) as success_kpi
    from company
    inner join kpis on company.kpi = kpis.kpi
    where kpis.summary_place is not null

    union all

    -- the rest of the scorecard that is measured
    select
        company.as_of_date,
        'SITUATION' as section,
        company.perspective as topic,
        1000 + company.kpi_order as place,
        0 as part,
        0 as part_order,
        'KPI' as statement_code,
        company.kpi,
        company.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        null as problem_no,
        company.actual as value,
        company.unit,
        company.n,
        company.lo,
        company.hi,
        company.source_mart,
        company.measured_on,
        company.is_simulated,
        company.missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        company.owner,
        null as due_days,
        null as success_kpi
    from company
    inner join kpis on company.kpi = kpis.kpi
    where kpis.summary_place is null and company.actual is not null
    {%- for fact in facts %}

    union all

    select
        dates.as_of_date,
        'SITUATION' as section,
        '{{ fact.topic }}' as topic,
        {{ loop.index }} as place,
        0 as part,
        cast({{ fact.sort }} as double) as part_order,
        '{{ fact.code }}' as statement_code,
        null as kpi,
        '{{ fact.metric }}' as metric_id,
        'ALL' as store_code,
        {{ fact.segment }} as segment,
        null as problem_no,
        cast({{ fact.value }} as decimal(18, 6)) as value,
        '{{ fact.unit }}' as unit,
        {{ fact.n }} as n,
        cast({{ fact.lo if fact.lo else 'null' }} as decimal(18, 6)) as lo,
        cast({{ fact.hi if fact.hi else 'null' }} as decimal(18, 6)) as hi,
        '{{ fact.mart }}' as source_mart,
        facts.as_of_date as measured_on,
        {{ fact.simulated }} as is_simulated,
        null as missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        null as owner,
        null as due_days,
        null as success_kpi
    from {{ ref(fact.mart) }} as facts
    inner join dates
        on facts.as_of_date = {{ 'dates.month_on' if fact.month else 'dates.as_of_date' }}
    where {{ fact.value }} is not null and {{ fact.where }}
    {%- if fact.most %}
    qualify
        row_number() over (
            partition by dates.as_of_date
            order by {{ fact.sort }} asc nulls last, {{ fact.segment }} asc nulls first
        ) <= {{ fact.most }}
    {%- endif %}
    {%- endfor %}

    union all

    select
        problems.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problems.problem_no as place,
        1 as part,
        0 as part_order,
        problems.statement_code,
        company.kpi,
        company.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        problems.problem_no,
        company.actual as value,
        company.unit,
        company.n,
        company.lo,
        company.hi,
        company.source_mart,
        company.measured_on,
        company.is_simulated,
        company.missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        company.owner,
        null as due_days,
        null as success_kpi
    from problems
    inner join company
        on problems.as_of_date = company.as_of_date and problems.kpi = company.kpi

    union all

    -- the worst store, where it is worse than the company
    select
        problems.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problems.problem_no as place,
        2 as part,
        0 as part_order,
        'WORST_STORE' as statement_code,
        shops_ranked.kpi,
        shops_ranked.metric_id,
        shops_ranked.store_code,
        'ALL' as segment,
        problems.problem_no,
        shops_ranked.actual as value,
        shops_ranked.unit,
        shops_ranked.n,
        shops_ranked.lo,
        shops_ranked.hi,
        shops_ranked.source_mart,
        shops_ranked.measured_on,
        shops_ranked.is_simulated,
        null as missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        shops_ranked.owner,
        null as due_days,
        null as success_kpi
    from problems
    inner join shops_ranked
        on
            problems.as_of_date = shops_ranked.as_of_date
            and problems.kpi = shops_ranked.kpi
            and shops_ranked.badness_rank = 1
    inner join company
        on problems.as_of_date = company.as_of_date and problems.kpi = company.kpi
    where
        company.unit not in ('MONEY', 'CUSTOMERS')
        and case
            when company.actual is null then true
            when company.direction = 'LOWER' then shops_ranked.actual > company.actual
            else shops_ranked.actual < company.actual
        end

    union all

    select
        problems.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problems.problem_no as place,
        3 as part,
        0 as part_order,
        'STORES_BREACHED' as statement_code,
        shops_ranked.kpi,
        shops_ranked.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        problems.problem_no,
        shops_ranked.count_breached as value,
        'STORES' as unit,
        shops_ranked.count_judged as n,
        null as lo,
        null as hi,
        'mart_scorecard' as source_mart,
        shops_ranked.measured_on,
        shops_ranked.is_simulated,
        null as missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        shops_ranked.owner,
        null as due_days,
        null as success_kpi
    from problems
    inner join shops_ranked
        on
            problems.as_of_date = shops_ranked.as_of_date
            and problems.kpi = shops_ranked.kpi
            and shops_ranked.badness_rank = 1
    where shops_ranked.count_breached > 0

    union all

    -- the worst tier, value class, dimension or reason, where it is worse than the whole
    select
        segments_ranked.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        segments_ranked.problem_no as place,
        4 as part,
        0 as part_order,
        'WORST_SEGMENT' as statement_code,
        segments_ranked.kpi,
        company.metric_id,
        'ALL' as store_code,
        segments_ranked.segment,
        segments_ranked.problem_no,
        segments_ranked.actual as value,
        company.unit,
        segments_ranked.n,
        segments_ranked.lo,
        segments_ranked.hi,
        company.source_mart,
        company.measured_on,
        segments_ranked.is_simulated,
        null as missing_reason,
        null as strategy_code,
        null as action_en,
        null as action_zh,
        null as channel,
        null as max_cost,
        company.owner,
        null as due_days,
        null as success_kpi
    from segments_ranked
    inner join company
        on segments_ranked.as_of_date = company.as_of_date and segments_ranked.kpi = company.kpi
    where
        segments_ranked.badness_rank = 1
        and (
            company.kpi = 'COMPLAINT_RATE'
            or case
                when company.direction = 'LOWER' then segments_ranked.actual > company.actual
                else segments_ranked.actual < company.actual
            end
        )

    union all

    -- what to do, and the KPI as it stands that will show success
    select
        treatments.as_of_date,
        'ADVICE' as section,
        'ADVICE' as topic,
        treatments.problem_no as place,
        case when treatments.segment = 'ALL' then 2 else 1 end as part,
        treatments.due_days as part_order,
        'TREATMENT' as statement_code,
        treatments.kpi,
        success.metric_id,
        'ALL' as store_code,
        treatments.segment,
        treatments.problem_no,
        success.actual as value,
        success.unit,
        success.n,
        success.lo,
        success.hi,
        success.source_mart,
        success.measured_on,
        success.is_simulated,
        success.missing_reason,
        treatments.strategy_code,
        treatments.action_en,
        treatments.action_zh,
        treatments.channel,
        treatments.max_cost,
        treatments.owner,
        treatments.due_days,
        treatments.success_kpi
    from treatments
    left join company as success
        on
            treatments.as_of_date = success.as_of_date
            and treatments.success_kpi = success.kpi

)

select  -- noqa: ST06
    statements.as_of_date,
    statements.section,
    cast(
        row_number() over (
            partition by statements.as_of_date, statements.section
            order by
                statements.place asc nulls last,
                statements.part asc nulls last,
                statements.part_order asc nulls last,
                statements.segment asc nulls first,
                statements.strategy_code asc nulls first
        ) as integer
    ) as rank,
    dates.is_latest,
    statements.topic,
    statements.statement_code,
    statements.kpi,
    statements.metric_id,
    statements.store_code,
    statements.segment,
    cast(statements.problem_no as integer) as problem_no,

    -- the figure
    cast(statements.value as decimal(18, 6)) as value,
    statements.unit,
    cast(statements.n as integer) as n,
    cast(statements.lo as decimal(18, 6)) as lo,
    cast(statements.hi as decimal(18, 6)) as hi,
    statements.missing_reason,
    statements.measured_on,
    statements.source_mart,
    statements.is_simulated,

    -- what it should be and what it was; of advice, those of the KPI that shows success
    judged.target,
    judged.floor,
    judged.status,
    judged.attainment,
    judged.previous,
    judged.delta,
    judged.change_code,

    -- what to do
    statements.strategy_code,
    statements.action_en,
    statements.action_zh,
    statements.channel,
    statements.max_cost,
    statements.owner,
    cast(statements.due_days as integer) as due_days,
    statements.success_kpi
from statements
inner join dates on statements.as_of_date = dates.as_of_date
left join scorecard as judged
    on
        statements.as_of_date = judged.as_of_date
        and statements.store_code = judged.store_code
        and coalesce(statements.success_kpi, statements.kpi) = judged.kpi
        and statements.statement_code not in ('WORST_SEGMENT', 'STORES_BREACHED')
