with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

behaviour as (

    select * from {{ ref('int_behaviour__indexed') }}

),

voices as (

    select * from {{ ref('fct_customer_voice') }}

),

complaints as (

    select * from {{ ref('fct_complaint_month') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

customer_history as (

    select * from {{ ref('dim_customer_history') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

-- Y8: an incident has been watched long enough when it is as many days old as the customer may
-- stay away; the latest such incident of the window counts
incidents as (

    select
        complaints.as_of_date,
        complaints.customer_id,
        complaints.received_on,
        as_of_dates.window_days,
        greatest(
            as_of_dates.tolerance_min_days, coalesce(customer_months.inactivity_threshold_days, 0)
        ) as tolerance_days
    from complaints
    inner join as_of_dates on complaints.as_of_date = as_of_dates.as_of_date
    inner join customer_months
        on
            complaints.as_of_date = customer_months.as_of_date
            and complaints.customer_id = customer_months.customer_id
    where
        complaints.is_valid
        and customer_months.excluded_reason is null
        and {{ is_one_of('complaints.reason_code', 'as_of_dates.quality_reason_codes') }}

),

mature_incidents as (

    select
        as_of_date,
        customer_id,
        max(received_on) as quality_incident_on,
        max(tolerance_days) as tolerance_days
    from incidents
    where
        received_on + tolerance_days <= as_of_date
        and received_on + tolerance_days > as_of_date - window_days
    group by as_of_date, customer_id

),

tolerances as (

    select
        mature_incidents.as_of_date,
        mature_incidents.customer_id,
        mature_incidents.quality_incident_on,
        mature_incidents.tolerance_days,
        coalesce(
            min(visits.visit_on)
            <= mature_incidents.quality_incident_on + mature_incidents.tolerance_days, false
        ) as tolerance_flag
    from mature_incidents
    left join visits
        on
            mature_incidents.customer_id = visits.customer_id
            and mature_incidents.as_of_date >= visits.known_from
            and mature_incidents.as_of_date < visits.known_to
            and mature_incidents.quality_incident_on < visits.visit_on
    group by
        mature_incidents.as_of_date,
        mature_incidents.customer_id,
        mature_incidents.quality_incident_on,
        mature_incidents.tolerance_days

),

-- Y9
members as (

    select
        as_of_dates.as_of_date,
        customer_history.customer_id,
        customer_history.referrer_card_key,
        customer_history.enrolled_on > as_of_dates.as_of_date - as_of_dates.window_days
        and customer_history.enrolled_on <= as_of_dates.as_of_date as is_enrolled_in_window
    from as_of_dates
    inner join customer_history
        on
            as_of_dates.as_of_date >= customer_history.valid_from
            and as_of_dates.as_of_date < customer_history.valid_to
    where
        not customer_history.is_inferred
        and customer_history.merged_into is null
        and customer_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')

),

referrals as (

    select
        members.as_of_date,
        identity_history.customer_id,
        count(*) as referral_count
    from members
    inner join identity_history
        on
            members.referrer_card_key = identity_history.card_key
            and members.as_of_date >= identity_history.valid_from
            and members.as_of_date < identity_history.valid_to
    where
        members.is_enrolled_in_window
        and members.customer_id <> identity_history.customer_id
    group by members.as_of_date, identity_history.customer_id

),

referrers_named as (

    select
        as_of_date,
        bool_or(referrer_card_key <> {{ unknown_key() }}) as has_referrers
    from members
    group by as_of_date

),

-- what the feeds say about a date at all
coverages as (

    select
        customer_months.as_of_date,
        min(customer_months.first_visit_on) as first_visit_on,
        coalesce(bool_or(referrers_named.has_referrers), false) as has_referrers
    from customer_months
    left join referrers_named on customer_months.as_of_date = referrers_named.as_of_date
    group by customer_months.as_of_date

),

joined as (

    select  -- noqa: ST06
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.home_store_key,
        customer_months.excluded_reason,
        customer_months.count_visits_365d,
        customer_months.count_visits_previous_365d,
        customer_months.net_sales_365d - customer_months.bulk_net_sales_365d as own_sales,
        customer_months.sales_previous_365d,
        members.customer_id is not null as is_member,

        -- behaviour, attitude, satisfaction
        behaviour.regularity_percentile,
        behaviour.frequency_percentile,
        behaviour.tenure_percentile,
        behaviour.breadth_percentile,
        behaviour.months_active_percentile,
        behaviour.behaviour_index,
        behaviour.behaviour_class,
        coalesce(behaviour.behaviour_class, 'LOW') as patronage_class,
        customer_months.attitude_score is not null as is_surveyed,
        customer_months.attitude_survey_date,
        case when customer_months.excluded_reason is null then customer_months.attitude_score end
            as attitude_score,
        case
            when customer_months.excluded_reason is null
                then customer_months.attitude_score >= as_of_dates.attitude_high
        end as is_attitude_high,
        case
            when customer_months.excluded_reason is null
                then coalesce(
                    customer_months.count_visits_365d >= behaviour.median_visits_365d
                    and customer_months.churn_status = 'ACTIVE',
                    false
                )
        end as is_patronage_high,
        case when customer_months.excluded_reason is null then voices.satisfaction_score end
            as satisfaction_score,
        case when customer_months.excluded_reason is null then voices.satisfaction_on end
            as satisfaction_on,
        case when customer_months.excluded_reason is null then voices.nps_score end as nps_score,
        voices.handling_score,
        coalesce(voices.count_complaints_unresolved, 0) as count_complaints_unresolved,
        customer_months.attitude_is_simulated,
        customer_months.attitude_is_simulated or coalesce(voices.is_simulated, false)
            as is_simulated,

        -- deeds that follow
        tolerances.quality_incident_on,
        tolerances.tolerance_days,
        tolerances.tolerance_flag,
        case
            when customer_months.excluded_reason is null and coverages.has_referrers
                then coalesce(referrals.referral_count, 0)
        end as referral_count,
        case
            when customer_months.excluded_reason is not null then 'EXCLUDED'
            when not coverages.has_referrers then 'NO_REFERRER_IN_MEMBER_FEED'
        end as referral_missing_reason,
        case
            when customer_months.excluded_reason is not null then 'EXCLUDED'
            when
                coverages.first_visit_on is null
                or coverages.first_visit_on
                > customer_months.as_of_date - 2 * as_of_dates.window_days + 1
                then 'HISTORY_TOO_SHORT'
            when
                customer_months.count_visits_365d = 0
                or customer_months.count_visits_previous_365d = 0
                then 'NOT_IN_BOTH_WINDOWS'
            when customer_months.sales_previous_365d <= 0 then 'NO_PREVIOUS_SPEND'
        end as increment_missing_reason,

        -- parameters
        as_of_dates.apostle_satisfaction_min,
        as_of_dates.mercenary_satisfaction_min,
        as_of_dates.hostage_satisfaction_max,
        as_of_dates.terrorist_satisfaction_max,
        as_of_dates.nps_promoter_min,
        as_of_dates.terrorist_nps_max,
        as_of_dates.handling_low_max
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    inner join coverages on customer_months.as_of_date = coverages.as_of_date
    left join behaviour
        on
            customer_months.as_of_date = behaviour.as_of_date
            and customer_months.customer_id = behaviour.customer_id
    left join voices
        on
            customer_months.as_of_date = voices.as_of_date
            and customer_months.customer_id = voices.customer_id
    left join members
        on
            customer_months.as_of_date = members.as_of_date
            and customer_months.customer_id = members.customer_id
    left join tolerances
        on
            customer_months.as_of_date = tolerances.as_of_date
            and customer_months.customer_id = tolerances.customer_id
    left join referrals
        on
            customer_months.as_of_date = referrals.as_of_date
            and customer_months.customer_id = referrals.customer_id

)

select  -- noqa: ST06
    customer_id,
    as_of_date,
    home_store_key,
    is_member,
    excluded_reason,

    -- behaviour
    regularity_percentile,
    frequency_percentile,
    tenure_percentile,
    breadth_percentile,
    months_active_percentile,
    behaviour_index,
    behaviour_class,

    -- attitude by patronage
    is_surveyed,
    attitude_score,
    attitude_survey_date,
    is_attitude_high,
    is_patronage_high,
    case
        when is_attitude_high is null then 'UNKNOWN'
        when is_attitude_high and is_patronage_high then 'TRUE'
        when is_attitude_high then 'LATENT'
        when is_patronage_high then 'SPURIOUS'
        else 'NONE'
    end as loyalty_type,

    -- satisfaction by behaviour
    satisfaction_score,
    satisfaction_on,
    nps_score,
    nps_score >= nps_promoter_min as is_promoter,
    case
        when satisfaction_score is null then 'UNKNOWN'
        -- satisfied
        when
            satisfaction_score >= apostle_satisfaction_min
            and patronage_class = 'HIGH'
            and nps_score >= nps_promoter_min
            then 'APOSTLE'
        when satisfaction_score >= mercenary_satisfaction_min and patronage_class = 'HIGH'
            then 'LOYALIST'
        when satisfaction_score >= mercenary_satisfaction_min then 'MERCENARY'
        -- not satisfied
        when satisfaction_score <= hostage_satisfaction_max and patronage_class = 'HIGH'
            then 'HOSTAGE'
        when
            satisfaction_score <= terrorist_satisfaction_max
            and (
                nps_score <= terrorist_nps_max
                or count_complaints_unresolved > 0
                or handling_score <= handling_low_max
            )
            then 'TERRORIST'
        when satisfaction_score <= hostage_satisfaction_max then 'DEFECTOR'
        -- between the two
        else 'UNKNOWN'
    end as apostle_type,
    attitude_is_simulated,
    is_simulated,

    -- deeds that follow
    quality_incident_on,
    tolerance_days,
    tolerance_flag,
    referral_count,
    referral_missing_reason,
    count_visits_365d > 0 and count_visits_previous_365d > 0 as is_in_both_windows,
    own_sales,
    sales_previous_365d,
    case
        when increment_missing_reason is null
            then cast(
                cast(own_sales as double) / nullif(cast(sales_previous_365d as double), 0)
                as decimal(18, 6)
            )
    end as increment_ratio,
    increment_missing_reason
from joined
