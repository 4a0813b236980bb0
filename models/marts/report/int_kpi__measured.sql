{{ config(
    materialized='table', database=target.database, schema='intermediate',
    contract={'enforced': false},
) }}

{#- Figures of mart_service_recovery: the KPI and its columns. -#}
{% set services = [
    {
        'kpi': 'RECOVERY', 'actual': 'recovery_rate', 'lo': 'recovery_rate_lo',
        'hi': 'recovery_rate_hi', 'n': 'count_recovery_matured',
    },
    {
        'kpi': 'FIRST_RESPONSE_P90', 'actual': 'first_response_minutes_p90',
        'n': 'count_complaints - count_unanswered',
    },
    {
        'kpi': 'RESOLUTION_P90', 'actual': 'resolution_gross_minutes_p90', 'n': 'count_resolved',
    },
    {
        'kpi': 'RESPONSE_SLA', 'actual': 'response_sla_met_share',
        'lo': 'response_sla_met_share_lo', 'hi': 'response_sla_met_share_hi',
        'n': 'count_response_due',
    },
    {
        'kpi': 'RESOLUTION_SLA', 'actual': 'resolution_sla_met_share',
        'lo': 'resolution_sla_met_share_lo', 'hi': 'resolution_sla_met_share_hi',
        'n': 'count_resolution_due',
    },
    {
        'kpi': 'FIRST_CONTACT_RESOLUTION', 'actual': 'fcr_rate', 'lo': 'fcr_rate_lo',
        'hi': 'fcr_rate_hi', 'n': 'count_fcr_eligible',
    },
    {
        'kpi': 'REOPENED', 'actual': 'reopen_rate', 'lo': 'reopen_rate_lo',
        'hi': 'reopen_rate_hi', 'n': 'count_first_resolved',
    },
] %}

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

),

sales_lines as (

    select * from {{ ref('fct_sales_line') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

product_history as (

    select * from {{ ref('dim_product_history') }}

),

customer_values as (

    select * from {{ ref('mart_customer_value') }}

),

churn as (

    select * from {{ ref('mart_churn') }}

),

churn_rates as (

    select * from {{ ref('mart_churn_rate') }}

),

concentrations as (

    select * from {{ ref('mart_concentration') }}

),

loyalties as (

    select * from {{ ref('mart_loyalty') }}

),

satisfactions as (

    select * from {{ ref('mart_satisfaction') }}

),

complaints as (

    select * from {{ ref('mart_complaint') }}

),

service as (

    select *
    from {{ ref('mart_service_recovery') }}
    where window_code = 'PERIOD' and level_code = 'ALL'

),

begun as (

    select
        min(business_date) as first_sales_on,
        min(case when is_simulated then business_date end) as first_simulated_on
    from receipts

),

heard as (

    select
        as_of_date,
        min(received_on) as first_received_on
    from complaints
    group by as_of_date

),

-- a month or a year of which the data know a part only is no month and no year
periods as (

    select
        as_of_dates.as_of_date,
        as_of_dates.period_start_date,
        as_of_dates.is_month_end,
        as_of_dates.wilson_z,
        as_of_dates.survey_max_age_days,
        as_of_dates.margin_cost_coverage_min,
        as_of_dates.value_known_share_min,
        as_of_dates.is_month_end and begun.first_sales_on <= as_of_dates.period_start_date + 1
            as is_whole_month,
        begun.first_sales_on <= as_of_dates.as_of_date - as_of_dates.window_days + 1
            as is_whole_year,
        as_of_dates.is_month_end
        and coalesce(heard.first_received_on <= as_of_dates.period_start_date, false)
            as is_whole_service_month,
        as_of_dates.as_of_date - as_of_dates.window_days as window_start_on,
        coalesce(begun.first_simulated_on <= as_of_dates.as_of_date, false)
            as has_simulated_sales
    from as_of_dates
    cross join begun
    left join heard on as_of_dates.as_of_date = heard.as_of_date

),

-- customers of their home stores; who is excluded from scoring counts for sales alone
customers as (

    select
        customer_values.as_of_date,
        stores.store_code,
        customer_values.net_sales_365d,
        customer_values.value_rank,
        cast(customer_values.clv_24m as double) as clv_24m,
        customer_values.count_visits_365d > 0 as has_bought,
        customer_values.excluded_reason is null as is_scored,
        customer_values.excluded_reason is null
        and customer_values.first_visit_on > periods.window_start_on
        and not coalesce(customer_values.is_left_truncated, true) as is_new
    from customer_values
    inner join periods on customer_values.as_of_date = periods.as_of_date
    inner join stores on customer_values.home_store_key = stores.store_key

),

worth as (

    select
        as_of_date,
        case when grouping(store_code) = 1 then 'ALL' else store_code end as store_code,
        sum(net_sales_365d) as net_sales,
        count(case when has_bought then 1 end) as count_members,
        count(case when has_bought and is_scored then 1 end) as count_buyers,
        count(case when is_scored then value_rank end) as count_ranked,
        count(case when is_new then 1 end) as count_new,
        count(case when is_new then clv_24m end) as count_new_valued,
        avg(case when is_new then clv_24m end) as clv_of_new,
        stddev_samp(case when is_new then clv_24m end) as clv_of_new_deviation
    from customers
    group by as_of_date, cube(store_code)

),

-- where the value of most is not known, a tier of the others is no tier of the company
unknown_worths as (

    select
        worth.as_of_date,
        worth.store_code
    from worth
    inner join periods on worth.as_of_date = periods.as_of_date
    where worth.count_ranked < periods.value_known_share_min * worth.count_buyers

),

-- months of products; a product and a store are what they were at the end of the month
products_sold as (

    select
        sales_lines.product_key,
        last_day(sales_lines.business_date) as month_end_on,
        sum(sales_lines.net_amount) as net_amount,
        sum(case when sales_lines.card_key > 0 then abs(sales_lines.net_amount) end)
            as known_turnover,
        sum(
            case
                when sales_lines.card_key > 0 and sales_lines.margin_amount is not null
                    then abs(sales_lines.net_amount)
            end
        ) as costed_turnover,
        sum(
            case
                when sales_lines.card_key > 0 and sales_lines.margin_amount is not null
                    then sales_lines.net_ex_vat
            end
        ) as costed_net_ex_vat,
        sum(case when sales_lines.card_key > 0 then sales_lines.margin_amount end) as margin,
        count(case when sales_lines.card_key > 0 then sales_lines.margin_amount end)
            as count_costed_lines
    from sales_lines
    left join store_history
        on
            sales_lines.store_key = store_history.store_key
            and last_day(sales_lines.business_date) >= store_history.valid_from
            and last_day(sales_lines.business_date) < store_history.valid_to
    where sales_lines.is_valid and not coalesce(store_history.is_test, false)
    group by last_day(sales_lines.business_date), sales_lines.product_key

),

range_sold as (

    select
        periods.as_of_date,
        sum(products_sold.known_turnover) as known_turnover,
        sum(products_sold.costed_turnover) as costed_turnover,
        sum(products_sold.costed_net_ex_vat) as costed_net_ex_vat,
        sum(products_sold.margin) as margin,
        sum(products_sold.count_costed_lines) as count_costed_lines,
        count(*) as count_products,
        sum(products_sold.net_amount) as net_amount,
        sum(case when product_history.launched_on is not null then products_sold.net_amount end)
            as dated_net_amount,
        sum(
            case
                when
                    product_history.launched_on > periods.window_start_on
                    and product_history.launched_on <= periods.as_of_date
                    then products_sold.net_amount
                else 0
            end
        ) as new_net_amount
    from products_sold
    inner join periods on products_sold.month_end_on = periods.as_of_date
    left join product_history
        on
            products_sold.product_key = product_history.product_key
            and periods.as_of_date >= product_history.valid_from
            and periods.as_of_date < product_history.valid_to
    where coalesce(product_history.is_revenue, true)
    group by periods.as_of_date

),

threatened as (

    select
        churn.as_of_date,
        case when grouping(stores.store_code) = 1 then 'ALL' else stores.store_code end
            as store_code,
        count(case when churn.churn_status = 'ACTIVE' then 1 end) as count_active,
        count(case when churn.churn_status <> 'NEVER_BOUGHT' then 1 end) as count_came,
        sum(churn.value_at_risk) as value_at_risk,
        count(churn.value_at_risk) as count_at_risk,
        -- of the most: a few customers are beyond the fit even where there is one
        case
            when
                2 * count(case when churn.value_at_risk_method = 'CLV' then churn.value_at_risk end)
                > count(churn.value_at_risk)
                then 'CLV'
            when count(churn.value_at_risk) > 0 then 'VALUE_365D'
        end as value_method
    from churn
    inner join stores on churn.home_store_key = stores.store_key
    where churn.excluded_reason is null
    group by churn.as_of_date, cube(stores.store_code)

),

models as (

    select
        as_of_date,
        min(case when not is_baseline then reason_code end) as reason_code
    from {{ ref('mart_model_evaluation') }}
    group by as_of_date

),

wallets as (

    select
        loyalties.as_of_date,
        case when grouping(stores.store_code) = 1 then 'ALL' else stores.store_code end
            as store_code,
        avg(cast(loyalties.sow_proxy as double)) as sow_proxy,
        stddev_samp(cast(loyalties.sow_proxy as double)) as sow_deviation,
        count(loyalties.sow_proxy) as count_known,
        bool_or(loyalties.sow_method = 'SELF_REPORTED' and loyalties.is_simulated)
            as is_simulated
    from loyalties
    inner join stores on loyalties.home_store_key = stores.store_key
    group by loyalties.as_of_date, cube(stores.store_code)

),

-- the same figure from its two sides
sides as (

    select 'CHURN' as kpi
    union all
    select 'RETENTION_ALL' as kpi

),

key_customers as (

    select
        as_of_date,
        store_code,
        case when grouping(pyramid_tier) = 1 then 'ALL' else pyramid_tier end as segment,
        sum(active_start) as active_start,
        sum(retained) as retained,
        max(value_basis) as value_basis
    from churn_rates
    where pyramid_tier in ('TOP', 'MAJOR')
    group by as_of_date, store_code, cube(pyramid_tier)

),

-- the last wave that has ended and is not too old; of two on one day that of more answers
waves as (

    select
        satisfactions.*,
        case
            when satisfactions.metric = 'SERVQUAL_WEIGHTED' then 'SERVQUAL_GAP'
            else satisfactions.metric
        end as kpi
    from satisfactions
    inner join periods on satisfactions.as_of_date = periods.as_of_date
    where
        satisfactions.is_wave_complete
        and satisfactions.segment = 'ALL'
        and satisfactions.weighting = 'UNWEIGHTED'
        and (
            satisfactions.metric in ('NPS', 'SERVQUAL_WEIGHTED')
            or (satisfactions.metric = 'CSAT' and satisfactions.touchpoint = 'SATISFACTION')
        )
        and satisfactions.wave_end_on > satisfactions.as_of_date - periods.survey_max_age_days
    qualify row_number() over (
        partition by satisfactions.as_of_date, satisfactions.store_code, satisfactions.metric
        order by
            satisfactions.wave_end_on desc nulls last,
            satisfactions.n desc nulls last,
            satisfactions.survey_id asc nulls first
    ) = 1

),

waves_before as (

    select
        as_of_date,
        survey_id,
        store_code,
        metric,
        touchpoint,
        wave_start_on,
        value,
        lo,
        hi,
        n
    from satisfactions
    where segment = 'ALL' and weighting = 'UNWEIGHTED'

),

-- in the company's wave: value classes, and of SERVQUAL the dimensions
wave_parts as (

    select  -- noqa: ST06
        waves.as_of_date,
        waves.store_code,
        case
            when waves.kpi = 'SERVQUAL_GAP' then substr(satisfactions.metric, 10)
            else satisfactions.segment
        end as segment,
        waves.kpi,
        satisfactions.value,
        satisfactions.lo,
        satisfactions.hi,
        satisfactions.n,
        satisfactions.is_simulated
    from waves
    inner join satisfactions
        on
            waves.as_of_date = satisfactions.as_of_date
            and waves.survey_id = satisfactions.survey_id
            and waves.wave_start_on = satisfactions.wave_start_on
            and waves.store_code = satisfactions.store_code
            and waves.touchpoint = satisfactions.touchpoint
            and waves.weighting = satisfactions.weighting
    where
        waves.store_code = 'ALL'
        and (
            (
                waves.kpi = 'SERVQUAL_GAP'
                and satisfactions.segment = 'ALL'
                and satisfactions.metric like 'SERVQUAL_%'
                and satisfactions.metric <> 'SERVQUAL_WEIGHTED'
            )
            or (
                waves.kpi <> 'SERVQUAL_GAP'
                and waves.metric = satisfactions.metric
                and satisfactions.segment in ('HIGH', 'MEDIUM', 'LOW')
            )
        )

),

measured as (

    select
        worth.as_of_date,
        worth.store_code,
        'ALL' as segment,
        'MEMBER_SALES' as kpi,
        cast(worth.net_sales as decimal(18, 6)) as actual,
        cast(null as decimal(18, 6)) as lo,
        cast(null as decimal(18, 6)) as hi,
        worth.count_members as n,
        periods.is_whole_year as is_whole,
        cast(null as {{ dbt.type_string() }}) as missing_reason,
        cast(null as {{ dbt.type_string() }}) as value_method,
        periods.has_simulated_sales as is_simulated
    from worth
    inner join periods on worth.as_of_date = periods.as_of_date

    union all

    -- how much of the buyers the ranking by value speaks of; told by the report, no KPI
    select
        worth.as_of_date,
        worth.store_code,
        'ALL' as segment,
        'VALUE_KNOWN' as kpi,
        cast(
            cast(worth.count_ranked as double) / nullif(worth.count_buyers, 0) as decimal(18, 6)
        ) as actual,
        null as lo,
        null as hi,
        worth.count_buyers as n,
        true as is_whole,
        case when worth.count_buyers = 0 then 'NO_CUSTOMER' end as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from worth
    inner join periods on worth.as_of_date = periods.as_of_date

    union all

    select
        range_sold.as_of_date,
        'ALL' as store_code,
        'ALL' as segment,
        'MEMBER_MARGIN_SHARE' as kpi,
        case
            when
                range_sold.costed_turnover
                >= periods.margin_cost_coverage_min * range_sold.known_turnover
                then
                    cast(
                        cast(range_sold.margin as double)
                        / nullif(cast(range_sold.costed_net_ex_vat as double), 0)
                        as decimal(18, 6)
                    )
        end as actual,
        null as lo,
        null as hi,
        range_sold.count_costed_lines as n,
        periods.is_whole_month as is_whole,
        case
            when coalesce(range_sold.known_turnover, 0) = 0 then 'NO_CUSTOMER'
            when coalesce(range_sold.costed_turnover, 0) = 0 then 'NO_COST_FEED'
            when
                range_sold.costed_turnover
                < periods.margin_cost_coverage_min * range_sold.known_turnover
                then 'COST_NOT_COMPLETE'
            when range_sold.costed_net_ex_vat = 0 then 'NO_SALES'
        end as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from range_sold
    inner join periods on range_sold.as_of_date = periods.as_of_date

    union all

    select
        range_sold.as_of_date,
        'ALL' as store_code,
        'ALL' as segment,
        'NEW_PRODUCT_SHARE' as kpi,
        case
            when
                range_sold.dated_net_amount
                >= periods.margin_cost_coverage_min * range_sold.net_amount
                then
                    cast(
                        cast(range_sold.new_net_amount as double)
                        / nullif(cast(range_sold.dated_net_amount as double), 0)
                        as decimal(18, 6)
                    )
        end as actual,
        null as lo,
        null as hi,
        range_sold.count_products as n,
        periods.is_whole_month as is_whole,
        case
            when
                coalesce(range_sold.dated_net_amount, 0)
                < periods.margin_cost_coverage_min * range_sold.net_amount
                then 'LAUNCH_DATES_NOT_KNOWN'
            when coalesce(range_sold.dated_net_amount, 0) <= 0 then 'NO_SALES'
        end as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from range_sold
    inner join periods on range_sold.as_of_date = periods.as_of_date

    union all

    -- the mean of those whose value is known; nobody new, or no fit, is no value
    select
        worth.as_of_date,
        worth.store_code,
        'ALL' as segment,
        'CLV_PER_NEW_CUSTOMER' as kpi,
        cast(worth.clv_of_new as decimal(18, 6)) as actual,
        cast(
            worth.clv_of_new
            - periods.wilson_z * worth.clv_of_new_deviation
            / nullif(sqrt(worth.count_new_valued), 0) as decimal(18, 6)
        ) as lo,
        cast(
            worth.clv_of_new
            + periods.wilson_z * worth.clv_of_new_deviation
            / nullif(sqrt(worth.count_new_valued), 0) as decimal(18, 6)
        ) as hi,
        worth.count_new_valued as n,
        periods.is_whole_year as is_whole,
        case
            when worth.count_new = 0 then 'NO_NEW_CUSTOMER'
            when worth.count_new_valued = 0 then 'NO_LIFETIME_VALUE'
        end as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from worth
    inner join periods on worth.as_of_date = periods.as_of_date

    union all

    select
        concentrations.as_of_date,
        concentrations.store_code,
        'ALL' as segment,
        'TOP_20_VALUE_SHARE' as kpi,
        case
            when unknown_worths.as_of_date is null
                then cast(concentrations.top_20_share as decimal(18, 6))
        end as actual,
        null as lo,
        null as hi,
        concentrations.n_customers as n,
        periods.is_whole_year as is_whole,
        case
            when unknown_worths.as_of_date is not null then 'VALUE_OF_MOST_NOT_KNOWN'
            when concentrations.top_20_share is null then 'NO_POSITIVE_VALUE'
        end as missing_reason,
        concentrations.value_basis as value_method,
        periods.has_simulated_sales as is_simulated
    from concentrations
    inner join periods on concentrations.as_of_date = periods.as_of_date
    left join unknown_worths
        on
            concentrations.as_of_date = unknown_worths.as_of_date
            and concentrations.store_code = unknown_worths.store_code
    where concentrations.store_code <> 'OTHER'

    union all

    select
        threatened.as_of_date,
        threatened.store_code,
        'ALL' as segment,
        'VALUE_AT_RISK' as kpi,
        cast(threatened.value_at_risk as decimal(18, 6)) as actual,
        null as lo,
        null as hi,
        threatened.count_at_risk as n,
        true as is_whole,
        case
            when threatened.value_at_risk is null then coalesce(models.reason_code, 'NO_MODEL')
        end as missing_reason,
        threatened.value_method,
        periods.has_simulated_sales as is_simulated
    from threatened
    inner join periods on threatened.as_of_date = periods.as_of_date
    left join models on threatened.as_of_date = models.as_of_date

    union all

    select
        threatened.as_of_date,
        threatened.store_code,
        'ALL' as segment,
        'ACTIVE_CUSTOMERS' as kpi,
        cast(threatened.count_active as decimal(18, 6)) as actual,
        null as lo,
        null as hi,
        threatened.count_came as n,
        true as is_whole,
        null as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from threatened
    inner join periods on threatened.as_of_date = periods.as_of_date

    union all

    select
        key_customers.as_of_date,
        key_customers.store_code,
        key_customers.segment,
        'RETENTION_KEY' as kpi,
        case
            when unknown_worths.as_of_date is null
                then
                    cast(
                        cast(key_customers.retained as double)
                        / nullif(key_customers.active_start, 0) as decimal(18, 6)
                    )
        end as actual,
        {{ wilson_bound(
            'key_customers.retained', 'key_customers.active_start', 'periods.wilson_z', '-'
        ) }} as lo,
        {{ wilson_bound(
            'key_customers.retained', 'key_customers.active_start', 'periods.wilson_z', '+'
        ) }} as hi,
        key_customers.active_start as n,
        periods.is_whole_month as is_whole,
        case
            when unknown_worths.as_of_date is not null then 'VALUE_OF_MOST_NOT_KNOWN'
            when key_customers.active_start = 0 then 'NOBODY_ACTIVE_AT_START'
        end as missing_reason,
        key_customers.value_basis as value_method,
        periods.has_simulated_sales as is_simulated
    from key_customers
    inner join periods on key_customers.as_of_date = periods.as_of_date
    -- tiers are those of the start of the month
    left join unknown_worths
        on
            periods.period_start_date = unknown_worths.as_of_date
            and key_customers.store_code = unknown_worths.store_code

    union all

    select
        churn_rates.as_of_date,
        churn_rates.store_code,
        churn_rates.pyramid_tier as segment,
        sides.kpi,
        cast(
            case
                when sides.kpi = 'CHURN' then churn_rates.churn_rate
                else churn_rates.retention_rate
            end as decimal(18, 6)
        ) as actual,
        case
            when sides.kpi = 'CHURN' then churn_rates.churn_rate_lo
            else 1 - churn_rates.churn_rate_hi
        end as lo,
        case
            when sides.kpi = 'CHURN' then churn_rates.churn_rate_hi
            else 1 - churn_rates.churn_rate_lo
        end as hi,
        churn_rates.active_start as n,
        periods.is_whole_month as is_whole,
        case when churn_rates.active_start = 0 then 'NOBODY_ACTIVE_AT_START' end
            as missing_reason,
        null as value_method,
        periods.has_simulated_sales as is_simulated
    from churn_rates
    inner join periods on churn_rates.as_of_date = periods.as_of_date
    cross join sides
    where churn_rates.store_code = 'ALL' or churn_rates.pyramid_tier = 'ALL'

    union all
    {%- for answers in ['waves', 'wave_parts'] %}

    select
        as_of_date,
        store_code,
        segment,
        kpi,
        cast(value as decimal(18, 6)) as actual,
        lo,
        hi,
        n,
        true as is_whole,
        null as missing_reason,
        null as value_method,
        is_simulated
    from {{ answers }}

    union all
    {%- endfor %}

    select
        wallets.as_of_date,
        wallets.store_code,
        'ALL' as segment,
        'SHARE_OF_WALLET' as kpi,
        cast(wallets.sow_proxy as decimal(18, 6)) as actual,
        cast(
            wallets.sow_proxy - periods.wilson_z * wallets.sow_deviation
            / nullif(sqrt(wallets.count_known), 0) as decimal(18, 6)
        ) as lo,
        cast(
            wallets.sow_proxy + periods.wilson_z * wallets.sow_deviation
            / nullif(sqrt(wallets.count_known), 0) as decimal(18, 6)
        ) as hi,
        wallets.count_known as n,
        periods.is_whole_year as is_whole,
        case when wallets.count_known = 0 then 'NO_CUSTOMER' end as missing_reason,
        null as value_method,
        coalesce(wallets.is_simulated, false) or periods.has_simulated_sales as is_simulated
    from wallets
    inner join periods on wallets.as_of_date = periods.as_of_date

    union all

    select
        service.as_of_date,
        service.store_code,
        service.reason_code as segment,
        'COMPLAINT_RATE' as kpi,
        cast(service.complaints_per_10000_receipts as decimal(18, 6)) as actual,
        10000 * {{ wilson_bound(
            'service.count_complaints', 'service.count_receipts', 'periods.wilson_z', '-'
        ) }} as lo,
        10000 * {{ wilson_bound(
            'service.count_complaints', 'service.count_receipts', 'periods.wilson_z', '+'
        ) }} as hi,
        service.count_complaints as n,
        periods.is_whole_service_month as is_whole,
        case
            when service.complaint_missing_reason is not null
                then service.complaint_missing_reason
            when service.count_receipts = 0 then 'NO_RECEIPT'
        end as missing_reason,
        null as value_method,
        service.is_simulated or periods.has_simulated_sales as is_simulated
    from service
    inner join periods on service.as_of_date = periods.as_of_date
    {%- for figure in services %}

    union all

    select
        service.as_of_date,
        service.store_code,
        service.reason_code as segment,
        '{{ figure.kpi }}' as kpi,
        cast(service.{{ figure.actual }} as decimal(18, 6)) as actual,
        {{ 'service.' ~ figure.lo if figure.lo else 'null' }} as lo,
        {{ 'service.' ~ figure.hi if figure.hi else 'null' }} as hi,
        {{ figure.n }} as n,
        periods.is_whole_service_month as is_whole,
        case
            when service.complaint_missing_reason is not null
                then service.complaint_missing_reason
            when service.{{ figure.actual }} is null then 'NO_CASE'
        end as missing_reason,
        null as value_method,
        service.is_simulated
        or {{ 'periods.has_simulated_sales' if figure.kpi == 'RECOVERY' else 'false' }}
            as is_simulated
    from service
    inner join periods on service.as_of_date = periods.as_of_date
    {%- endfor %}

)

select
    measured.as_of_date,
    measured.store_code,
    measured.segment,
    measured.kpi,
    measured.actual,
    cast(measured.lo as decimal(18, 6)) as lo,
    cast(measured.hi as decimal(18, 6)) as hi,
    cast(measured.n as integer) as n,
    measured.is_whole,
    measured.missing_reason,
    measured.value_method,
    measured.is_simulated,

    -- of a wave: when it ended, and the wave before
    waves.wave_end_on,
    cast(waves_before.value as decimal(18, 6)) as wave_before_actual,
    cast(waves_before.lo as decimal(18, 6)) as wave_before_lo,
    cast(waves_before.hi as decimal(18, 6)) as wave_before_hi,
    waves_before.n as wave_before_n
from measured
left join waves
    on
        measured.as_of_date = waves.as_of_date
        and measured.store_code = waves.store_code
        and measured.segment = waves.segment
        and measured.kpi = waves.kpi
left join waves_before
    on
        waves.as_of_date = waves_before.as_of_date
        and waves.survey_id = waves_before.survey_id
        and waves.store_code = waves_before.store_code
        and waves.metric = waves_before.metric
        and waves.touchpoint = waves_before.touchpoint
        and waves.prev_wave_start_on = waves_before.wave_start_on
where
    (measured.store_code = 'ALL' and measured.segment = 'ALL')
    or measured.missing_reason is null
