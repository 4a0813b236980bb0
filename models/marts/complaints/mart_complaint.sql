with

judged as (

    select * from {{ ref('int_complaint__judged') }}

),

matched as (

    select * from {{ ref('int_complaint__matched') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

stores as (

    select * from {{ ref('dim_store') }}

),

reasons as (

    select * from {{ ref('dim_reason') }}

),

tiers as (

    select * from {{ ref('int_customer_value__ranked') }}

),

sales_lines as (

    select * from {{ ref('fct_sales_line') }}

),

-- each item once, whatever the number of dates
items as (

    select distinct
        orig_store_code,
        orig_business_date,
        orig_till_no,
        orig_receipt_no,
        product_key
    from judged
    where orig_receipt_no is not null and product_key <> {{ unknown_key() }}

),

item_values as (

    select
        items.orig_store_code,
        items.orig_business_date,
        items.orig_till_no,
        items.orig_receipt_no,
        items.product_key,
        cast(sum(sales_lines.net_amount) as decimal(18, 2)) as item_value
    from sales_lines
    inner join items
        on
            sales_lines.business_date = items.orig_business_date
            and sales_lines.product_key = items.product_key
            and sales_lines.receipt_no = items.orig_receipt_no
            and sales_lines.till_no = items.orig_till_no
            and sales_lines.store_code = items.orig_store_code
    where sales_lines.is_valid and sales_lines.qty > 0
    group by
        items.orig_store_code,
        items.orig_business_date,
        items.orig_till_no,
        items.orig_receipt_no,
        items.product_key

)

select
    judged.complaint_no,
    judged.as_of_date,
    as_of_dates.is_latest,

    -- what it is about
    judged.customer_id,
    coalesce(stores.store_code, 'UNKNOWN') as store_code,
    judged.product_key,
    judged.channel_code,
    judged.received_at,
    judged.received_on,
    judged.severity,
    judged.reason_code,
    reasons.keaveney,
    reasons.component,
    reasons.department,
    judged.complained_department,

    -- state
    judged.is_valid,
    judged.merged_into,
    judged.is_open,
    cast(
        case
            when judged.is_open
                then {{ days_between('judged.received_on', 'judged.as_of_date') }}
        end as integer
    ) as open_days,
    judged.acknowledged_at,
    judged.first_responded_at,
    judged.resolved_at,
    judged.reopened_at,
    judged.closed_at,
    judged.cancelled_at,

    -- P2
    judged.first_response_minutes,
    judged.first_response_business_minutes,

    -- P3
    judged.resolution_gross_minutes,
    judged.waiting_minutes,
    judged.resolution_net_minutes,

    -- P4
    judged.response_target_minutes,
    judged.is_response_sla_met,
    judged.resolution_target_minutes,
    judged.is_resolution_sla_met,

    -- P5, P6
    judged.count_reopened,
    judged.count_reopened > 0 as is_reopened,
    judged.is_fcr_eligible,
    judged.is_fcr,

    -- P7
    judged.entry_level,
    judged.max_level,
    judged.count_escalated,
    judged.is_skip_level,
    {% for level in range(1, 6) -%}
    judged.dwell_l{{ level }}_minutes,
    {% endfor %}
    -- P8
    judged.handling_score,
    judged.handling_distributive,
    judged.handling_procedural,
    judged.handling_interactional,
    judged.handling_on,

    -- P9
    judged.recovery_window_days,
    judged.recovery_until_on,
    judged.is_recovery_matured as is_matured,
    judged.repurchase_on,
    cast({{ days_between('judged.watched_from_on', 'judged.repurchase_on') }} as integer)
        as repurchase_days,
    judged.is_repurchased,
    judged.is_unresolved_repurchased,
    judged.has_later_complaint,
    judged.is_recovered,
    matched.control_level,
    matched.count_control_peers,
    matched.control_repurchase_rate,

    -- P11
    judged.compensation_type,
    judged.compensation_amount,
    item_values.item_value,
    cast(
        cast(judged.compensation_amount as double) / nullif(item_values.item_value, 0)
        as decimal(18, 6)
    ) as compensation_item_share,

    -- P14
    judged.count_complaints_recent,
    judged.is_repeat_complainer,
    cast(null as boolean) as is_abusive,
    'NO_ABUSE_MARK_FEED' as is_abusive_missing_reason,

    -- the customer before the complaint
    judged.snapshot_on as tier_on,
    tiers.pyramid_tier as pyramid_tier_at_receipt,
    tiers.value_class as value_class_at_receipt,
    tiers.abc_class as abc_class_at_receipt,
    judged.is_simulated
from judged
inner join as_of_dates on judged.as_of_date = as_of_dates.as_of_date
left join stores on judged.store_key = stores.store_key
left join reasons on judged.reason_code = reasons.reason_code
left join tiers
    on
        judged.snapshot_on = tiers.as_of_date
        and judged.snapshot_customer_id = tiers.customer_id
left join matched
    on
        judged.as_of_date = matched.as_of_date
        and judged.complaint_no = matched.complaint_no
left join item_values
    on
        judged.orig_store_code = item_values.orig_store_code
        and judged.orig_business_date = item_values.orig_business_date
        and judged.orig_till_no = item_values.orig_till_no
        and judged.orig_receipt_no = item_values.orig_receipt_no
        and judged.product_key = item_values.product_key
        and judged.as_of_date >= item_values.orig_business_date
