with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

-- what is known of a quarter until one day is known from its first row on: few rows to spread
-- over the dates
visit_quarters as (

    select
        customer_id,
        known_to,
        extract(year from visit_on) * 4 + extract(quarter from visit_on) as quarter_no,
        min(known_from) as known_from
    from visits
    group by
        customer_id, known_to, extract(year from visit_on) * 4 + extract(quarter from visit_on)

),

-- L3 speaks of relationships that are old enough
quarters_known as (

    select distinct
        customer_months.as_of_date,
        customer_months.customer_id,
        visit_quarters.quarter_no
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    inner join visit_quarters
        on
            customer_months.customer_id = visit_quarters.customer_id
            and customer_months.as_of_date >= visit_quarters.known_from
            and customer_months.as_of_date < visit_quarters.known_to
    where customer_months.tenure_days >= as_of_dates.pattern_min_tenure_days

),

-- quarters in a row have one distance from their rank
quarters_ranked as (

    select
        as_of_date,
        customer_id,
        quarter_no - row_number() over (
            partition by as_of_date, customer_id
            order by quarter_no
        ) as run_no
    from quarters_known

),

runs as (

    select
        as_of_date,
        customer_id,
        run_no,
        count(*) as count_quarters
    from quarters_ranked
    group by as_of_date, customer_id, run_no

),

longest_runs as (

    select
        as_of_date,
        customer_id,
        max(count_quarters) as longest_run_quarters
    from runs
    group by as_of_date, customer_id

),

measured as (

    select
        customer_months.*,
        as_of_dates.is_latest,
        as_of_dates.phase_build_up_visits,
        as_of_dates.pattern_early_visits,
        as_of_dates.pattern_early_tenure_days,
        longest_runs.longest_run_quarters,
        coalesce(customer_months.tenure_days >= as_of_dates.pattern_min_tenure_days, false)
            as is_pattern_mature,
        coalesce(longest_runs.longest_run_quarters >= as_of_dates.pattern_stable_quarters, false)
            as is_stable_reached,
        {{ days_between('customer_months.first_visit_on', 'customer_months.last_visit_on') }}
            as active_days
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    left join longest_runs
        on
            customer_months.as_of_date = longest_runs.as_of_date
            and customer_months.customer_id = longest_runs.customer_id

)

select  -- noqa: ST06
    customer_id,
    as_of_date,
    is_latest,
    home_store_key,
    excluded_reason,

    -- stage
    lifecycle_stage,
    case
        when lifecycle_stage in ('PROSPECT', 'LAPSED', 'LOST') then null
        when lifecycle_stage = 'NEW' then 'EXPLORATION'
        when lifecycle_stage in ('DECLINING', 'AT_RISK') then 'DECLINE'
        when
            lifecycle_stage in ('GROWING', 'REACTIVATED')
            or count_visits < phase_build_up_visits
            then 'BUILD_UP'
        else 'STABLE'
    end as relationship_phase,
    churn_status,

    -- rhythm and threshold
    inactivity_threshold_days,
    days_since_last_visit,
    cast(
        cast(days_since_last_visit as double) / nullif(inactivity_threshold_days, 0)
        as decimal(9, 6)
    ) as elapsed_ratio,
    count_gaps,
    mean_gap_days,
    threshold_mean_gap_days,
    threshold_k,

    -- spells
    churned_on,
    first_churned_on,
    case when first_visit_on is not null then count_spells_ended + 1 end as spell_no,
    returned_on,
    count_spells_ended > 0 as is_redeveloped,

    -- history
    first_visit_on,
    second_visit_on,
    last_visit_on,
    cast({{ days_between('first_visit_on', 'second_visit_on') }} as integer)
        as days_to_second_visit,
    count_visits,
    tenure_days,
    is_left_truncated,
    cast(active_days as integer) as active_days,
    cast(longest_run_quarters as integer) as longest_run_quarters,
    case when is_pattern_mature then is_stable_reached end as is_stable_reached,
    case
        when not is_pattern_mature then 'UNDETERMINED'
        when
            churn_status = 'CHURNED'
            and (
                count_visits <= pattern_early_visits
                or active_days <= pattern_early_tenure_days
            )
            then 'EARLY_ABORTION'
        when churn_status = 'CHURNED' and not is_stable_reached then 'MIDWAY_DEATH'
        when churn_status = 'CHURNED' then 'EARLY_EXIT'
        when is_stable_reached then 'LONG_TERM'
        else 'UNDETERMINED'
    end as pattern
from measured
