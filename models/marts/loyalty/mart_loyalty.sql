-- Y5: a month of self-reported spend, in days
{% set month_days = 30 %}

with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

typed as (

    select * from {{ ref('int_loyalty__typed') }}

),

voices as (

    select * from {{ ref('fct_customer_voice') }}

),

promotions as (

    select * from {{ ref('fct_customer_promotion') }}

),

potentials as (

    select * from {{ ref('int_potential__estimated') }}

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

-- ------------------------------------------------- categories that the company sold in the window

edges as (

    select as_of_date as edge_date from as_of_dates
    union
    select as_of_date - window_days as edge_date from as_of_dates

),

day_slices as (

    select
        sales_days.business_date,
        max(edges.edge_date) as slice_date
    from (select distinct sales_lines.business_date from sales_lines) as sales_days
    inner join edges on sales_days.business_date > edges.edge_date
    group by sales_days.business_date

),

product_slices as (

    select distinct
        sales_lines.product_key,
        day_slices.slice_date,
        store_history.valid_from as known_from,
        store_history.valid_to as known_to
    from sales_lines
    inner join day_slices on sales_lines.business_date = day_slices.business_date
    inner join store_history on sales_lines.store_key = store_history.store_key
    where
        sales_lines.is_valid
        and sales_lines.qty > 0
        and not store_history.is_test

),

categories_sold as (

    select
        as_of_dates.as_of_date,
        count(distinct product_history.category_2_code) as count_categories_sold
    from as_of_dates
    inner join product_slices
        on
            as_of_dates.as_of_date > product_slices.slice_date
            and as_of_dates.as_of_date - as_of_dates.window_days <= product_slices.slice_date
            and as_of_dates.as_of_date >= product_slices.known_from
            and as_of_dates.as_of_date < product_slices.known_to
    inner join product_history
        on
            product_slices.product_key = product_history.product_key
            and as_of_dates.as_of_date >= product_history.valid_from
            and as_of_dates.as_of_date < product_history.valid_to
    where
        product_history.is_revenue
        and not product_history.is_bag
    group by as_of_dates.as_of_date

),

-- -------------------------------------------------------------------------------- share of wallet

-- of those who are not excluded and bought in the window
wallets as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        categories_sold.count_categories_sold,
        cast(
            cast(customer_months.count_categories_365d as double)
            / nullif(categories_sold.count_categories_sold, 0) as decimal(9, 6)
        ) as breadth_ratio,
        case
            when voices.monthly_spend > 0
                then
                    cast({{ month_days }} as double) * cast(typed.own_sales as double)
                    / greatest(
                        {{ month_days }},
                        least(as_of_dates.window_days, customer_months.tenure_days + 1)
                    )
                    / cast(voices.monthly_spend as double)
        end as self_reported_share,
        case
            when typed.own_sales > 0
                then cast(
                    1 - cast(potentials.potential_est as double)
                    / cast(potentials.potential_est + typed.own_sales as double)
                    as decimal(9, 6)
                )
        end as potential_share
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    inner join typed
        on
            customer_months.as_of_date = typed.as_of_date
            and customer_months.customer_id = typed.customer_id
    left join categories_sold on customer_months.as_of_date = categories_sold.as_of_date
    left join voices
        on
            customer_months.as_of_date = voices.as_of_date
            and customer_months.customer_id = voices.customer_id
    left join potentials
        on
            customer_months.as_of_date = potentials.as_of_date
            and customer_months.customer_id = potentials.customer_id
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

)

select  -- noqa: ST06
    customer_months.customer_id,
    customer_months.as_of_date,
    as_of_dates.is_latest,
    customer_months.home_store_key,

    -- behaviour
    customer_months.count_visits_365d,
    customer_months.count_gaps,
    customer_months.gap_cv,
    cast(
        case
            when
                customer_months.count_gaps >= as_of_dates.regularity_min_gaps
                and customer_months.gap_cv > 0
                then 1 / customer_months.gap_cv
        end as decimal(18, 6)
    ) as regularity,
    customer_months.tenure_days,
    customer_months.count_categories_365d,
    customer_months.months_active_12,
    typed.regularity_percentile,
    typed.frequency_percentile,
    typed.tenure_percentile,
    typed.breadth_percentile,
    typed.months_active_percentile,
    typed.behaviour_index,
    typed.behaviour_class,

    -- share of wallet, price and tolerance
    cast(wallets.count_categories_sold as integer) as count_categories_sold_365d,
    wallets.breadth_ratio,
    wallets.potential_share,
    -- greatest() and least() skip a NULL, hence the case
    cast(
        case
            when wallets.self_reported_share is not null
                then greatest(0, least(1, wallets.self_reported_share))
            else coalesce(wallets.breadth_ratio, wallets.potential_share)
        end as decimal(9, 6)
    ) as sow_proxy,
    case
        when wallets.self_reported_share is not null then 'SELF_REPORTED'
        when wallets.breadth_ratio is not null then 'BREADTH'
        when wallets.potential_share is not null then 'POTENTIAL'
    end as sow_method,
    wallets.self_reported_share > 1 as is_sow_capped,
    case when customer_months.excluded_reason is null then promotions.promo_share end
        as promo_share,
    case when customer_months.excluded_reason is null then promotions.price_index end
        as price_index,
    typed.quality_incident_on,
    cast(typed.tolerance_days as integer) as tolerance_days,
    typed.tolerance_flag,

    -- attitude by patronage
    typed.is_surveyed,
    typed.attitude_score,
    typed.attitude_survey_date as survey_date,
    typed.attitude_is_simulated,
    typed.is_attitude_high,
    typed.is_patronage_high,
    typed.loyalty_type,

    -- satisfaction by behaviour
    typed.satisfaction_score,
    typed.satisfaction_on,
    typed.nps_score,
    typed.apostle_type,
    typed.is_simulated,

    -- what it brings
    typed.is_promoter,
    cast(typed.referral_count as integer) as referral_count,
    typed.referral_missing_reason,
    typed.increment_ratio,
    typed.increment_missing_reason,
    customer_months.excluded_reason
from customer_months
inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
inner join typed
    on
        customer_months.as_of_date = typed.as_of_date
        and customer_months.customer_id = typed.customer_id
left join wallets
    on
        customer_months.as_of_date = wallets.as_of_date
        and customer_months.customer_id = wallets.customer_id
left join promotions
    on
        customer_months.as_of_date = promotions.as_of_date
        and customer_months.customer_id = promotions.customer_id
