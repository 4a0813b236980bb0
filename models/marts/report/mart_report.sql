{#-
    Facts of the situation: topic, statement, mart, definition, and how they are read from it. Those
    of `month` are of the last whole month, the others of the date; `simulated`: the mart says of
    each row whether it is, beside the sales behind it.
-#}
{% set pyramid = "store_code = 'ALL' and scheme = 'PYR_1_19_30_50' and ranking_scope = 'COMPANY'" %}
{% set all_tiers = "store_code = 'ALL' and pyramid_tier = 'ALL'" %}
{% set cases = "store_code = 'ALL' and level_code = 'ALL'" %}
{% set facts = [
    {
        'topic': 'STRUCTURE', 'code': 'VALUE_KNOWN_SHARE', 'metric': 'V4',
        'mart': 'int_kpi__measured', 'from': 'mart_customer_value',
        'value': 'actual', 'unit': 'SHARE', 'n': 'n',
        'where': "store_code = 'ALL' and kpi = 'VALUE_KNOWN'",
    },
    {
        'topic': 'STRUCTURE', 'code': 'TIER_VALUE_SHARE', 'metric': 'S2',
        'mart': 'mart_segment_structure', 'segment': 'tier', 'sort': 'tier_order',
        'value': 'pct_value', 'unit': 'SHARE', 'n': 'n_customers', 'where': pyramid,
    },
    {
        'topic': 'STRUCTURE', 'code': 'STAGE_SHARE', 'metric': 'L1',
        'mart': 'mart_segment_structure', 'segment': 'tier', 'sort': '-n_customers',
        'value': 'pct_customers', 'unit': 'SHARE',
        'n': 'sum(n_customers) over (partition by facts.as_of_date)',
        'where': "store_code = 'ALL' and scheme = 'STAGE'",
    },
    {
        'topic': 'STRUCTURE', 'code': 'TIER_DOWNGRADED', 'metric': 'S4', 'month': true,
        'mart': 'mart_segment_migration', 'segment': 'from_tier',
        'sort': "case from_tier when 'TOP' then 1 else 2 end",
        'value': 'downgraded_rate', 'unit': 'SHARE', 'n': 'count_from',
        'where': pyramid
            ~ " and comparison = 'MONTH' and from_tier = to_tier and from_tier in ('TOP', 'MAJOR')",
    },
    {
        'topic': 'VALUE', 'code': 'GINI', 'metric': 'S3', 'mart': 'mart_concentration',
        'value': 'gini', 'unit': 'COEFFICIENT', 'n': 'n_customers', 'where': "store_code = 'ALL'",
    },
    {
        'topic': 'VALUE', 'code': 'VALUE_DESTROYED_SHARE', 'metric': 'S3',
        'mart': 'mart_concentration', 'value': 'profit_destroyed', 'unit': 'SHARE',
        'n': 'n_customers', 'where': "store_code = 'ALL'",
    },
    {
        'topic': 'LOYALTY', 'code': 'LOYALTY_TYPE_SHARE', 'metric': 'Y3', 'simulated': true,
        'mart': 'mart_loyalty_structure', 'segment': 'loyalty_class', 'sort': '-count_customers',
        'value': 'class_share', 'lo': 'class_share_lo', 'hi': 'class_share_hi', 'unit': 'SHARE',
        'n': 'count_known',
        'where': "store_code = 'ALL' and scheme = 'LOYALTY_TYPE' and loyalty_class <> 'UNKNOWN'",
    },
    {
        'topic': 'LOYALTY', 'code': 'APOSTLE_TYPE_SHARE', 'metric': 'Y4', 'simulated': true,
        'mart': 'mart_loyalty_structure', 'segment': 'loyalty_class', 'sort': '-count_customers',
        'value': 'class_share', 'lo': 'class_share_lo', 'hi': 'class_share_hi', 'unit': 'SHARE',
        'n': 'count_known',
        'where': "store_code = 'ALL' and scheme = 'APOSTLE_TYPE' and loyalty_class <> 'UNKNOWN'",
    },
    {
        'topic': 'LOYALTY', 'code': 'SURVEYED_SHARE', 'metric': 'T8', 'simulated': true,
        'mart': 'mart_loyalty_structure', 'value': 'coverage', 'unit': 'SHARE',
        'n': 'count_population',
        'where': "store_code = 'ALL' and scheme = 'LOYALTY_TYPE' and loyalty_class = 'UNKNOWN'",
    },
    {
        'topic': 'CHURN', 'code': 'CUSTOMERS_LOST', 'metric': 'C2', 'month': true,
        'mart': 'mart_churn_rate', 'value': 'churned', 'unit': 'CUSTOMERS', 'n': 'active_start',
        'where': all_tiers ~ ' and active_start > 0',
    },
    {
        'topic': 'CHURN', 'code': 'VALUE_LOST', 'metric': 'C3', 'month': true,
        'mart': 'mart_churn_rate', 'value': 'value_lost', 'unit': 'MONEY',
        'n': 'count_churned_valued', 'where': all_tiers ~ ' and count_churned_valued > 0',
    },
    {
        'topic': 'CHURN', 'code': 'WON_BACK_SHARE', 'metric': 'C4', 'month': true,
        'mart': 'mart_churn_rate', 'value': 'winback_rate', 'lo': 'winback_rate_lo',
        'hi': 'winback_rate_hi', 'unit': 'SHARE', 'n': 'churned_start', 'where': all_tiers,
    },
    {
        'topic': 'CHURN', 'code': 'CHURN_REASON_SHARE', 'metric': 'C5', 'simulated': true,
        'mart': 'mart_churn_reason', 'segment': 'reason_code', 'sort': '-count_mentions', 'most': 3,
        'value': 'mention_pct / 100', 'lo': 'mention_pct_lo / 100', 'hi': 'mention_pct_hi / 100',
        'unit': 'SHARE', 'n': 'count_respondents',
        'where': "store_code = 'ALL' and period = 'YEAR' and reason_source = 'STATED'"
            ~ ' and count_mentions > 0',
    },
    {
        'topic': 'SERVICE', 'code': 'COMPLAINTS', 'metric': 'P1', 'month': true, 'simulated': true,
        'mart': 'mart_service_recovery', 'value': 'count_complaints', 'unit': 'COMPLAINTS',
        'n': 'count_receipts',
        'where': cases ~ " and window_code = 'PERIOD' and reason_code = 'ALL'"
            ~ ' and complaint_missing_reason is null',
    },
    {
        'topic': 'SERVICE', 'code': 'COMPLAINT_REASON', 'metric': 'P17', 'month': true,
        'simulated': true, 'mart': 'mart_service_recovery', 'segment': 'reason_code',
        'sort': '-count_complaints', 'most': 3,
        'value': 'count_complaints', 'unit': 'COMPLAINTS', 'n': 'count_receipts',
        'where': cases ~ " and window_code = 'PERIOD' and reason_code <> 'ALL'"
            ~ ' and count_complaints > 0',
    },
    {
        'topic': 'SERVICE', 'code': 'OPEN_OVERDUE', 'metric': 'P15', 'simulated': true,
        'mart': 'mart_service_recovery', 'value': 'count_open_overdue', 'unit': 'COMPLAINTS',
        'n': 'count_open',
        'where': cases ~ " and window_code = 'YEAR' and reason_code = 'ALL'"
            ~ ' and complaint_missing_reason is null',
    },
    {
        'topic': 'SERVICE', 'code': 'ESCALATED_SHARE', 'metric': 'P7', 'month': true,
        'simulated': true, 'mart': 'mart_service_recovery', 'value': 'escalation_rate',
        'lo': 'escalation_rate_lo', 'hi': 'escalation_rate_hi', 'unit': 'SHARE',
        'n': 'count_complaints',
        'where': cases ~ " and window_code = 'PERIOD' and reason_code = 'ALL'",
    },
    {
        'topic': 'SERVICE', 'code': 'SILENT_SHARE', 'metric': 'P16', 'simulated': true,
        'mart': 'mart_service_recovery', 'value': 'silent_share', 'lo': 'silent_share_lo',
        'hi': 'silent_share_hi', 'unit': 'SHARE', 'n': 'count_dissatisfied',
        'where': cases ~ " and window_code = 'YEAR' and reason_code = 'ALL'",
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

    select
        scorecard.*,
        kpis.theme,
        kpis.summary_place
    from scorecard
    inner join kpis on scorecard.kpi = kpis.kpi
    where scorecard.store_code = 'ALL'

),

segments as (

    select *
    from {{ ref('int_kpi__measured') }}
    where segment not in ('ALL', 'NONE') and store_code = 'ALL'

),

simulated as (

    select
        as_of_date,
        is_simulated
    from company
    where kpi = 'ACTIVE_CUSTOMERS'

),

dates as (

    select
        as_of_dates.as_of_date,
        as_of_dates.is_latest,
        as_of_dates.min_n,
        as_of_dates.min_n_complaint,
        case
            when as_of_dates.is_month_end then as_of_dates.as_of_date
            else as_of_dates.period_start_date
        end as month_on,
        coalesce(simulated.is_simulated, false) as has_simulated_sales
    from as_of_dates
    left join simulated on as_of_dates.as_of_date = simulated.as_of_date

),

-- among many stores one is beyond the floor by chance: a store raises a problem of its own only
-- where its whole interval is
shops as (

    select
        *,
        status = 'BREACHED'
        and coalesce(case when target > floor then hi < floor else lo > floor end, false)
            as is_certain,
        case when direction = 'LOWER' then -actual else actual end as goodness
    from scorecard
    where store_code <> 'ALL' and status <> 'NOT_MEASURABLE'

),

shops_ranked as (

    select
        *,
        count(*) over (partition by as_of_date, kpi) as count_judged,
        count(case when status = 'BREACHED' then 1 end) over (partition by as_of_date, kpi)
            as count_breached,
        count(case when is_certain then 1 end) over (partition by as_of_date, kpi)
            as count_certain,
        row_number() over (
            partition by as_of_date, kpi
            order by goodness asc nulls last, store_code asc nulls first
        ) as badness_rank,
        row_number() over (
            partition by as_of_date, kpi
            order by
                case when is_certain then 1 else 2 end asc,
                goodness asc nulls last,
                store_code asc nulls first
        ) as certainty_rank
    from shops

),

-- what has no weight on the scorecard is shown and raises no problem
causes as (

    select
        company.as_of_date,
        company.kpi,
        company.theme,
        company.kpi_order,
        company.weight_given,
        case
            when company.status = 'BREACHED' then 'TARGET_BREACHED'
            when company.change_code = 'WORSE' then 'CHANGED_FOR_THE_WORSE'
            else 'STORE_TARGET_BREACHED'
        end as statement_code,
        case
            when company.status = 'BREACHED' then 1
            when company.change_code = 'WORSE' then 2
            else 3
        end as gravity
    from company
    left join shops_ranked
        on
            company.as_of_date = shops_ranked.as_of_date
            and company.kpi = shops_ranked.kpi
            and shops_ranked.certainty_rank = 1
    where
        company.weight_given > 0
        and (
            company.status = 'BREACHED'
            or company.change_code = 'WORSE'
            or shops_ranked.is_certain
        )

),

causes_ranked as (

    select
        *,
        row_number() over (
            partition by as_of_date, theme
            order by
                gravity asc nulls first, weight_given desc nulls last, kpi_order asc nulls first
        ) as cause_rank
    from causes

),

-- one problem for a theme: the gravest cause leads, the others are its evidence
leads as (

    select
        as_of_date,
        theme,
        kpi,
        statement_code,
        row_number() over (
            partition by as_of_date
            order by
                gravity asc nulls first, weight_given desc nulls last, kpi_order asc nulls first
        ) as problem_no
    from causes_ranked
    where cause_rank = 1

),

problem_causes as (

    select
        causes_ranked.as_of_date,
        causes_ranked.kpi,
        causes_ranked.statement_code,
        causes_ranked.cause_rank,
        leads.problem_no
    from causes_ranked
    inner join leads
        on
            causes_ranked.as_of_date = leads.as_of_date
            and causes_ranked.theme = leads.theme

),

-- the worst of several tiers, value classes or dimensions of enough cases; a reason also alone
worst_segments as (

    select
        leads.as_of_date,
        leads.problem_no,
        company.kpi,
        company.metric_id,
        company.direction,
        company.actual as company_actual,
        company.source_mart,
        company.measured_on,
        company.unit,
        company.owner,
        segments.segment,
        segments.actual,
        segments.n,
        segments.lo,
        segments.hi,
        segments.is_simulated
    from leads
    inner join company on leads.as_of_date = company.as_of_date and leads.kpi = company.kpi
    inner join dates on leads.as_of_date = dates.as_of_date
    inner join segments
        on
            leads.kpi = segments.kpi
            and segments.as_of_date
            = case when company.window_code = 'MONTH' then dates.month_on else dates.as_of_date end
    where
        segments.actual is not null
        and segments.n >= case
            when company.source_mart = 'mart_service_recovery' then dates.min_n_complaint
            else dates.min_n
        end
    qualify row_number() over (
        partition by leads.as_of_date, leads.problem_no
        order by
            case when company.direction = 'LOWER' then -segments.actual else segments.actual end
            asc nulls last,
            segments.segment asc nulls first
    ) = 1
    and (
        company.kpi = 'COMPLAINT_RATE'
        or count(*) over (partition by leads.as_of_date, leads.problem_no) > 1
    )

),

-- what the company says of a KPI takes the place of what is shipped for it
treatments_given as (

    select
        given_treatments.*,
        problem_causes.as_of_date,
        problem_causes.problem_no,
        problem_causes.cause_rank
    from problem_causes
    left join worst_segments
        on
            problem_causes.as_of_date = worst_segments.as_of_date
            and problem_causes.problem_no = worst_segments.problem_no
    inner join given_treatments
        on
            problem_causes.kpi = given_treatments.kpi
            and problem_causes.as_of_date >= given_treatments.valid_from
            and problem_causes.as_of_date < given_treatments.valid_to
            and given_treatments.scope in ('default', '{{ var("param_scope") }}')
            and (
                given_treatments.segment = 'ALL'
                or worst_segments.segment = given_treatments.segment
            )
    qualify rank() over (
        partition by problem_causes.as_of_date, problem_causes.kpi
        order by case when given_treatments.scope = 'default' then 1 else 0 end
    ) = 1

),

-- a strategy once for a problem: for the leading KPI, and for its segment, first
treatments as (

    select *
    from treatments_given
    qualify row_number() over (
        partition by as_of_date, problem_no, strategy_code
        order by
            cause_rank asc nulls first,
            case when segment = 'ALL' then 1 else 0 end asc,
            valid_from desc nulls last,
            segment asc nulls first
    ) = 1

),

statements as (

    select
        company.as_of_date,
        'SUMMARY' as section,
        'SUMMARY' as topic,
        company.summary_place as place,
        1 as part,
        cast(0 as double) as part_order,
        'KPI' as statement_code,
        false as is_evidence,
        company.kpi,
        company.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        cast(null as integer) as problem_no,
        cast(company.actual as decimal(18, 6)) as value,
        company.unit,
        company.n,
        cast(company.lo as decimal(18, 6)) as lo,
        cast(company.hi as decimal(18, 6)) as hi,
        company.missing_reason,
        company.measured_on,
        company.source_mart,
        company.is_simulated,
        company.owner,
        cast(null as {{ dbt.type_string() }}) as strategy_code,
        cast(null as {{ dbt.type_string() }}) as success_kpi
    from company
    where company.summary_place is not null
    {%- for fact in facts %}

    union all

    select
        dates.as_of_date,
        'SITUATION' as section,
        '{{ fact.topic }}' as topic,
        {{ loop.index }} as place,
        1 as part,
        cast({{ fact.sort or '0' }} as double) as part_order,
        '{{ fact.code }}' as statement_code,
        false as is_evidence,
        null as kpi,
        '{{ fact.metric }}' as metric_id,
        'ALL' as store_code,
        {{ fact.segment or "'ALL'" }} as segment,
        null as problem_no,
        cast({{ fact.value }} as decimal(18, 6)) as value,
        '{{ fact.unit }}' as unit,
        {{ fact.n }} as n,
        cast({{ fact.lo or 'null' }} as decimal(18, 6)) as lo,
        cast({{ fact.hi or 'null' }} as decimal(18, 6)) as hi,
        null as missing_reason,
        facts.as_of_date as measured_on,
        '{{ fact.from or fact.mart }}' as source_mart,
        {{ 'facts.is_simulated or ' if fact.simulated }}dates.has_simulated_sales as is_simulated,
        null as owner,
        null as strategy_code,
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

    -- the rest of the scorecard that is measured
    select
        company.as_of_date,
        'SITUATION' as section,
        company.perspective as topic,
        1000 + company.kpi_order as place,
        1 as part,
        0 as part_order,
        'KPI' as statement_code,
        false as is_evidence,
        company.kpi,
        company.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        null as problem_no,
        {{ scorecard_figure('company') }}
    from company
    where company.summary_place is null and company.actual is not null

    union all

    select
        company.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problem_causes.problem_no as place,
        1 as part,
        problem_causes.cause_rank as part_order,
        problem_causes.statement_code,
        problem_causes.cause_rank > 1 as is_evidence,
        company.kpi,
        company.metric_id,
        company.store_code,
        'ALL' as segment,
        problem_causes.problem_no,
        {{ scorecard_figure('company') }}
    from problem_causes
    inner join company
        on
            problem_causes.as_of_date = company.as_of_date
            and problem_causes.kpi = company.kpi
    where problem_causes.statement_code <> 'STORE_TARGET_BREACHED'

    union all

    -- of a problem of a store the store speaks
    select
        shops_ranked.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problem_causes.problem_no as place,
        1 as part,
        problem_causes.cause_rank as part_order,
        problem_causes.statement_code,
        problem_causes.cause_rank > 1 as is_evidence,
        shops_ranked.kpi,
        shops_ranked.metric_id,
        shops_ranked.store_code,
        'ALL' as segment,
        problem_causes.problem_no,
        {{ scorecard_figure('shops_ranked') }}
    from problem_causes
    inner join shops_ranked
        on
            problem_causes.as_of_date = shops_ranked.as_of_date
            and problem_causes.kpi = shops_ranked.kpi
            and shops_ranked.certainty_rank = 1
    where problem_causes.statement_code = 'STORE_TARGET_BREACHED'

    union all

    select
        company.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        leads.problem_no as place,
        2 as part,
        0 as part_order,
        'COMPANY_VALUE' as statement_code,
        true as is_evidence,
        company.kpi,
        company.metric_id,
        company.store_code,
        'ALL' as segment,
        leads.problem_no,
        {{ scorecard_figure('company') }}
    from leads
    inner join company on leads.as_of_date = company.as_of_date and leads.kpi = company.kpi
    where leads.statement_code = 'STORE_TARGET_BREACHED'

    union all

    -- the worst of several stores, where it is worse than the company
    select
        shops_ranked.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        leads.problem_no as place,
        3 as part,
        0 as part_order,
        'WORST_STORE' as statement_code,
        true as is_evidence,
        shops_ranked.kpi,
        shops_ranked.metric_id,
        shops_ranked.store_code,
        'ALL' as segment,
        leads.problem_no,
        {{ scorecard_figure('shops_ranked') }}
    from leads
    inner join company on leads.as_of_date = company.as_of_date and leads.kpi = company.kpi
    inner join shops_ranked
        on
            leads.as_of_date = shops_ranked.as_of_date
            and leads.kpi = shops_ranked.kpi
            and shops_ranked.badness_rank = 1
    where
        leads.statement_code <> 'STORE_TARGET_BREACHED'
        and company.unit not in ('MONEY', 'CUSTOMERS')
        and shops_ranked.count_judged > 1
        and shops_ranked.goodness
        < case when company.direction = 'LOWER' then -company.actual else company.actual end
    {%- for stores in [
        {
            'code': 'STORES_BREACHED', 'count': 'shops_ranked.count_breached',
            'of': 'shops_ranked.count_judged',
        },
        {
            'code': 'STORES_CERTAIN', 'count': 'shops_ranked.count_certain',
            'of': 'shops_ranked.count_breached',
        },
    ] %}

    union all

    select
        shops_ranked.as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        leads.problem_no as place,
        4 as part,
        {{ loop.index }} as part_order,
        '{{ stores.code }}' as statement_code,
        true as is_evidence,
        shops_ranked.kpi,
        shops_ranked.metric_id,
        'ALL' as store_code,
        'ALL' as segment,
        leads.problem_no,
        {{ stores.count }} as value,
        'STORES' as unit,
        {{ stores.of }} as n,
        null as lo,
        null as hi,
        null as missing_reason,
        shops_ranked.measured_on,
        'mart_scorecard' as source_mart,
        shops_ranked.is_simulated,
        shops_ranked.owner,
        null as strategy_code,
        null as success_kpi
    from leads
    inner join shops_ranked
        on
            leads.as_of_date = shops_ranked.as_of_date
            and leads.kpi = shops_ranked.kpi
            and shops_ranked.badness_rank = 1
    where shops_ranked.count_breached > 0 and shops_ranked.count_judged > 1
    {%- endfor %}

    union all

    -- a reason has a part of the complaints; others must be worse than the whole
    select
        as_of_date,
        'PROBLEM' as section,
        'PROBLEM' as topic,
        problem_no as place,
        5 as part,
        0 as part_order,
        'WORST_SEGMENT' as statement_code,
        true as is_evidence,
        kpi,
        metric_id,
        'ALL' as store_code,
        segment,
        problem_no,
        actual as value,
        unit,
        n,
        lo,
        hi,
        null as missing_reason,
        measured_on,
        source_mart,
        is_simulated,
        owner,
        null as strategy_code,
        null as success_kpi
    from worst_segments
    where
        kpi = 'COMPLAINT_RATE'
        or case
            when direction = 'LOWER' then actual > company_actual
            else actual < company_actual
        end

    union all

    -- what to do, and as it stands the KPI that will show success
    select
        treatments.as_of_date,
        'ADVICE' as section,
        'ADVICE' as topic,
        treatments.problem_no as place,
        treatments.cause_rank as part,
        treatments.due_days as part_order,
        'TREATMENT' as statement_code,
        false as is_evidence,
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
        success.missing_reason,
        success.measured_on,
        success.source_mart,
        success.is_simulated,
        treatments.owner,
        treatments.strategy_code,
        treatments.success_kpi
    from treatments
    inner join company as success
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
    statements.is_evidence,
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
    treatments.action_en,
    treatments.action_zh,
    treatments.channel,
    treatments.max_cost,
    statements.owner,
    treatments.due_days,
    statements.success_kpi
from statements
inner join dates on statements.as_of_date = dates.as_of_date
left join scorecard as judged
    on
        statements.as_of_date = judged.as_of_date
        and statements.store_code = judged.store_code
        and coalesce(statements.success_kpi, statements.kpi) = judged.kpi
        and statements.statement_code not in ('WORST_SEGMENT', 'STORES_BREACHED', 'STORES_CERTAIN')
left join treatments
    on
        statements.as_of_date = treatments.as_of_date
        and statements.problem_no = treatments.problem_no
        and statements.strategy_code = treatments.strategy_code
