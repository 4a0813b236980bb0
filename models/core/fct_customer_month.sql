{{
    config(
        materialized='incremental',
        incremental_strategy='as_of_date',
        on_schema_change='fail',
    )
}}

-- Computes the dates whose input digest is not that of the rows that stand; the strategy deletes
-- exactly those that stand with another digest (see the macro restate_as_of_dates).

-- L1: months that end with the month of the date
{% set active_months = 12 %}

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

digests as (

    select * from {{ ref('int_as_of__digested') }}

),

calendar as (

    select * from {{ ref('dim_date') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

),

sales_lines as (

    select * from {{ ref('fct_sales_line') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

customer_history as (

    select * from {{ ref('dim_customer_history') }}

),

card_history as (

    select * from {{ ref('dim_card_history') }}

),

product_history as (

    select * from {{ ref('dim_product_history') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

questions as (

    select * from {{ ref('int_question__known') }}

),

answer_history as (

    select * from {{ ref('fct_survey_answer_history') }}

),

complaint_history as (

    select * from {{ ref('fct_complaint_history') }}

),

-- ---------------------------------------------------------------- dates to compute and knowledge

work_list as (

    select
        as_of_dates.*,
        digests.input_digest
    from as_of_dates
    inner join digests on as_of_dates.as_of_date = digests.as_of_date
    {% if is_incremental() %}
    where digests.input_digest not in (select done.input_digest from {{ this }} as done)
    {% endif %}

),

sales_days as (

    select distinct business_date from receipts

),

-- equality on business_date keeps the large joins hash joins
days_known as (

    select
        work_list.as_of_date,
        work_list.bulk_receipt_min,
        sales_days.business_date,
        sales_days.business_date > work_list.as_of_date - work_list.window_days as is_in_window
    from work_list
    inner join sales_days on work_list.as_of_date >= sales_days.business_date

),

cards_known as (

    select
        work_list.as_of_date,
        identity_history.card_key,
        identity_history.customer_id,
        identity_history.is_shared_phone
    from work_list
    inner join identity_history
        on
            work_list.as_of_date >= identity_history.valid_from
            and work_list.as_of_date < identity_history.valid_to
    where identity_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')

),

stores_known as (

    select
        work_list.as_of_date,
        store_history.store_key,
        store_history.is_test
    from work_list
    inner join store_history
        on
            work_list.as_of_date >= store_history.valid_from
            and work_list.as_of_date < store_history.valid_to

),

members_known as (

    select
        work_list.as_of_date,
        customer_history.customer_id,
        customer_history.status,
        customer_history.enrolled_on,
        customer_history.enrol_store_key,
        coalesce(stores_known.is_test, false) as is_test_member
    from work_list
    inner join customer_history
        on
            work_list.as_of_date >= customer_history.valid_from
            and work_list.as_of_date < customer_history.valid_to
    left join stores_known
        on
            work_list.as_of_date = stores_known.as_of_date
            and customer_history.enrol_store_key = stores_known.store_key
    where
        not customer_history.is_inferred
        and customer_history.merged_into is null
        and customer_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')

),

staff as (

    select distinct
        cards_known.as_of_date,
        cards_known.customer_id
    from cards_known
    inner join card_history
        on
            cards_known.card_key = card_history.card_key
            and cards_known.as_of_date >= card_history.valid_from
            and cards_known.as_of_date < card_history.valid_to
    where card_history.card_type = 'STAFF'

),

-- ------------------------------------------------------------------------------------- receipts

receipts_known as (

    select
        days_known.as_of_date,
        cards_known.customer_id,
        receipts.card_key,
        receipts.store_key,
        receipts.business_date,
        receipts.is_sale_visit,
        receipts.valid_net_amount,
        days_known.is_in_window,
        receipts.status = 'COMPLETED'
        and receipts.receipt_type in ('SALE', 'RETURN', 'EXCHANGE')
        and not coalesce(stores_known.is_test, false) as is_valid,
        receipts.valid_net_amount > days_known.bulk_receipt_min as is_bulk
    from receipts
    inner join days_known on receipts.business_date = days_known.business_date
    inner join cards_known
        on
            days_known.as_of_date = cards_known.as_of_date
            and receipts.card_key = cards_known.card_key
    left join stores_known
        on
            days_known.as_of_date = stores_known.as_of_date
            and receipts.store_key = stores_known.store_key

),

customer_store_days as (

    select
        as_of_date,
        customer_id,
        store_key,
        business_date,
        count(*) as count_receipts_known,
        sum(case when is_valid and not is_bulk then valid_net_amount end) as net_amount,
        count(case when is_valid and not is_bulk and is_sale_visit then 1 end)
            as count_sale_receipts
    from receipts_known
    group by as_of_date, customer_id, store_key, business_date

),

customer_days as (

    select
        as_of_date,
        customer_id,
        business_date,
        sum(net_amount) as net_amount,
        sum(count_sale_receipts) as count_sale_receipts
    from customer_store_days
    group by as_of_date, customer_id, business_date

),

visits as (

    select
        customer_days.as_of_date,
        customer_days.customer_id,
        customer_days.business_date as visit_on,
        customer_days.count_sale_receipts,
        work_list.tau_gap_max_days,
        work_list.tau_last_gaps
    from customer_days
    inner join work_list on customer_days.as_of_date = work_list.as_of_date
    where
        customer_days.count_sale_receipts > 0
        and customer_days.net_amount >= work_list.visit_min_net

),

card_months as (

    select
        as_of_date,
        customer_id,
        max(count_day_receipts) as max_day_receipts,
        sum(count_day_receipts) as count_month_receipts
    from (
        select
            as_of_date,
            customer_id,
            card_key,
            business_date,
            count(*) as count_day_receipts
        from receipts_known
        where is_valid and is_in_window
        group by as_of_date, customer_id, card_key, business_date
    ) as card_days
    group by as_of_date, customer_id, card_key, date_trunc('month', business_date)

),

shared_cards as (

    select
        card_months.as_of_date,
        card_months.customer_id
    from card_months
    inner join work_list on card_months.as_of_date = work_list.as_of_date
    where
        card_months.max_day_receipts > work_list.shared_card_receipts_per_day
        or card_months.count_month_receipts > work_list.shared_card_receipts_per_month
    group by card_months.as_of_date, card_months.customer_id

    union

    select
        as_of_date,
        customer_id
    from cards_known
    where is_shared_phone

),

-- ------------------------------------------------------------------- gaps between visits (L2, C1)

gaps as (

    select
        as_of_date,
        customer_id,
        visit_on,
        count_sale_receipts,
        tau_gap_max_days,
        tau_last_gaps,
        lead(visit_on) over customer_visits as next_visit_on,
        row_number() over customer_visits as visit_no,
        {{ days_between('lag(visit_on) over customer_visits', 'visit_on') }} as days_since_previous
    from visits
    window customer_visits as (partition by as_of_date, customer_id order by visit_on)

),

running_gaps as (

    select
        as_of_date,
        customer_id,
        visit_on,
        count_sale_receipts,
        next_visit_on,
        visit_no,
        gap_days,
        visit_no - tau_last_gaps as older_visit_no,
        count(gap_days) over visits_so_far as count_gaps,
        coalesce(sum(gap_days) over visits_so_far, 0) as sum_gap_days,
        coalesce(sum(gap_days * gap_days) over visits_so_far, 0) as sum_squared_gap_days
    from (
        select
            as_of_date,
            customer_id,
            visit_on,
            count_sale_receipts,
            next_visit_on,
            visit_no,
            tau_last_gaps,
            case when days_since_previous <= tau_gap_max_days then days_since_previous end
                as gap_days
        from gaps
    ) as limited_gaps
    window
        visits_so_far as (
            partition by as_of_date, customer_id
            order by visit_on
            rows between unbounded preceding and current row
        )

),

-- the last gaps only; their number is a param, which a window frame does not take
visit_rhythms as (

    select
        running_gaps.as_of_date,
        running_gaps.customer_id,
        running_gaps.visit_on,
        running_gaps.count_sale_receipts,
        running_gaps.next_visit_on,
        running_gaps.visit_no,
        running_gaps.gap_days,
        running_gaps.count_gaps - coalesce(older.count_gaps, 0) as count_gaps,
        running_gaps.sum_gap_days - coalesce(older.sum_gap_days, 0) as sum_gap_days,
        running_gaps.sum_squared_gap_days - coalesce(older.sum_squared_gap_days, 0)
            as sum_squared_gap_days
    from running_gaps
    left join running_gaps as older
        on
            running_gaps.as_of_date = older.as_of_date
            and running_gaps.customer_id = older.customer_id
            and running_gaps.older_visit_no = older.visit_no

),

-- rhythm of the whole company as known on the date: frozen for the visits of the next quarter
computed_pools as (

    select
        as_of_date,
        sum(case when next_visit_on is null then count_gaps end) as pool_count_gaps,
        median(
            case
                when next_visit_on is null and count_gaps > 0
                    then cast(sum_gap_days as double) / count_gaps
            end
        ) as pool_mean_gap_days,
        percentile_cont(0.95) within group (
            order by case when visit_no = 2 then cast(gap_days as double) end
        ) as pool_first_gap_p95_days
    from visit_rhythms
    group by as_of_date

),

pools as (

    select
        as_of_date,
        pool_count_gaps,
        pool_mean_gap_days,
        pool_first_gap_p95_days
    from computed_pools
    {% if is_incremental() %}
    union all

    select
        done.as_of_date,
        max(done.pool_count_gaps) as pool_count_gaps,
        max(done.pool_mean_gap_days) as pool_mean_gap_days,
        max(done.pool_first_gap_p95_days) as pool_first_gap_p95_days
    from {{ this }} as done
    inner join digests
        on
            done.as_of_date = digests.as_of_date
            and done.input_digest = digests.input_digest
    group by done.as_of_date
    {% endif %}

),

-- running number of holidays up to each day
holidays as (

    select
        date_on,
        sum(case when is_holiday or is_closed then 1 else 0 end)
            over (order by date_on)
            as count_holidays
    from calendar

),

holiday_total as (

    select
        max(count_holidays) as count_holidays,
        max(date_on) as last_date_on
    from holidays

),

visit_means as (

    select
        visit_rhythms.as_of_date,
        visit_rhythms.customer_id,
        visit_rhythms.visit_on,
        visit_rhythms.count_sale_receipts,
        visit_rhythms.next_visit_on,
        visit_rhythms.count_gaps,
        visit_rhythms.sum_gap_days,
        visit_rhythms.sum_squared_gap_days,
        work_list.tau_alpha,
        work_list.tau_min_days,
        work_list.tau_max_days,
        work_list.tau_method,
        work_list.tau_fixed_days,
        work_list.tau_fixed_k,
        cast(work_list.tau_prior_weight as double) + visit_rhythms.count_gaps as weight,
        cast(work_list.tau_prior_weight as double) * case
            when pools.pool_count_gaps >= work_list.tau_min_pool_gaps
                then pools.pool_mean_gap_days
            else cast(work_list.tau_default_mean_gap as double)
        end + visit_rhythms.sum_gap_days as weighted_gap_days,
        case
            when pools.pool_count_gaps >= work_list.tau_min_pool_gaps
                then pools.pool_first_gap_p95_days
            else cast(work_list.tau_default_first_gap_p95 as double)
        end as first_gap_p95_days
    from visit_rhythms
    inner join work_list on visit_rhythms.as_of_date = work_list.as_of_date
    left join pools
        on cast(date_trunc('quarter', visit_rhythms.visit_on) as date) - 1 = pools.as_of_date

),

visit_bases as (

    select
        as_of_date,
        customer_id,
        visit_on,
        count_sale_receipts,
        next_visit_on,
        count_gaps,
        sum_gap_days,
        sum_squared_gap_days,
        tau_min_days,
        tau_max_days,
        first_gap_p95_days,
        case when tau_method = 'FIXED_DAYS' then tau_fixed_days end as fixed_days,
        case
            when count_gaps = 0 or tau_method = 'FIXED_DAYS' then null
            when tau_method = 'K_MEAN' then cast(tau_fixed_k as double)
            else weight * (power(cast(tau_alpha as double), -1.0 / weight) - 1)
        end as threshold_k,
        case
            when count_gaps = 0 or tau_method = 'FIXED_DAYS' then null
            when tau_method = 'K_MEAN' then cast(sum_gap_days as double) / count_gaps
            else weighted_gap_days / weight
        end as threshold_mean_gap_days
    from visit_means

),

visit_clips as (

    select
        as_of_date,
        customer_id,
        visit_on,
        count_sale_receipts,
        next_visit_on,
        count_gaps,
        sum_gap_days,
        sum_squared_gap_days,
        threshold_k,
        threshold_mean_gap_days,
        -- rounded first, lest the last bit of a float decide about a day
        coalesce(fixed_days, cast(floor(round(least(
            tau_max_days,
            greatest(
                tau_min_days,
                coalesce(threshold_mean_gap_days * threshold_k, first_gap_p95_days)
            )
        ), 6)) as integer)) as base_days
    from visit_bases

),

visit_thresholds as (

    select
        visit_clips.as_of_date,
        visit_clips.customer_id,
        visit_clips.visit_on,
        visit_clips.count_sale_receipts,
        visit_clips.next_visit_on,
        visit_clips.count_gaps,
        visit_clips.sum_gap_days,
        visit_clips.sum_squared_gap_days,
        visit_clips.threshold_k,
        visit_clips.threshold_mean_gap_days,
        visit_clips.base_days + cast(
            coalesce(threshold_ends.count_holidays, holiday_total.count_holidays, 0)
            - coalesce(
                threshold_starts.count_holidays,
                case
                    when visit_clips.visit_on > holiday_total.last_date_on
                        then holiday_total.count_holidays
                end,
                0
            ) as integer
        ) as threshold_days
    from visit_clips
    left join holidays as threshold_starts on visit_clips.visit_on = threshold_starts.date_on
    left join holidays as threshold_ends
        on visit_clips.visit_on + visit_clips.base_days = threshold_ends.date_on
    cross join holiday_total

),

visit_spells as (

    select
        visit_thresholds.as_of_date,
        visit_thresholds.customer_id,
        visit_thresholds.visit_on,
        visit_thresholds.count_sale_receipts,
        visit_thresholds.next_visit_on,
        visit_thresholds.count_gaps,
        visit_thresholds.sum_gap_days,
        visit_thresholds.sum_squared_gap_days,
        visit_thresholds.threshold_k,
        visit_thresholds.threshold_mean_gap_days,
        visit_thresholds.threshold_days,
        visit_thresholds.visit_on + visit_thresholds.threshold_days + 1 as churn_on,
        coalesce(
            visit_thresholds.next_visit_on
            > visit_thresholds.visit_on + visit_thresholds.threshold_days + 1,
            false
        ) as is_spell_ended,
        work_list.window_days,
        work_list.period_start_date,
        cast(date_trunc('month', work_list.period_start_date) as date) - 1
            as previous_period_start_date,
        cast(
            date_trunc('month', work_list.as_of_date)
            - interval '{{ active_months - 1 }} months' as date
        ) as active_months_start_date
    from visit_thresholds
    inner join work_list on visit_thresholds.as_of_date = work_list.as_of_date

),

customer_visits as (

    select
        as_of_date,
        customer_id,
        min(visit_on) as first_visit_on,
        max(visit_on) as last_visit_on,
        min(next_visit_on) as second_visit_on,
        min(case
            when is_spell_ended or (next_visit_on is null and churn_on <= as_of_date) then churn_on
        end) as first_churned_on,
        count(*) as count_visits,
        count(case when visit_on > as_of_date - window_days then 1 end) as count_visits_365d,
        count(case
            when
                visit_on > as_of_date - 2 * window_days
                and visit_on <= as_of_date - window_days
                then 1
        end) as count_visits_previous_365d,
        sum(case when visit_on > as_of_date - window_days then count_sale_receipts else 0 end)
            as count_receipts_365d,
        count(distinct case
            when visit_on >= active_months_start_date then date_trunc('month', visit_on)
        end) as months_active_12,
        max(case when next_visit_on is null then count_gaps end) as count_gaps,
        max(case when next_visit_on is null then sum_gap_days end) as sum_gap_days,
        max(case when next_visit_on is null then sum_squared_gap_days end)
            as sum_squared_gap_days,
        max(case when next_visit_on is null then threshold_k end) as threshold_k,
        max(case when next_visit_on is null then threshold_mean_gap_days end)
            as threshold_mean_gap_days,
        max(case when next_visit_on is null then threshold_days end) as inactivity_threshold_days,
        max(case when next_visit_on is null then churn_on end) as next_churn_on,
        count(case when is_spell_ended then 1 end) as count_spells_ended,
        max(case when is_spell_ended then next_visit_on end) as returned_on,
        bool_or(
            visit_on <= period_start_date
            and coalesce(next_visit_on > period_start_date, true)
            and churn_on > period_start_date
        ) as was_active_at_start,
        bool_or(
            visit_on <= period_start_date
            and coalesce(next_visit_on > period_start_date, true)
            and churn_on <= period_start_date
        ) as was_churned_at_start,
        bool_or(
            churn_on > period_start_date
            and churn_on <= as_of_date
            and (next_visit_on is null or is_spell_ended)
        ) as has_churn_in_period,
        bool_or(visit_on > period_start_date) as visited_in_period,
        bool_or(visit_on > previous_period_start_date and visit_on <= period_start_date)
            as bought_in_previous_period
    from visit_spells
    group by as_of_date, customer_id

),

-- the store of most visits in the window that ends with the last visit
store_visits as (

    select
        customer_store_days.as_of_date,
        customer_store_days.customer_id,
        customer_store_days.store_key,
        count(*) as count_visits,
        max(customer_store_days.business_date) as last_visit_on
    from customer_store_days
    inner join customer_visits
        on
            customer_store_days.as_of_date = customer_visits.as_of_date
            and customer_store_days.customer_id = customer_visits.customer_id
    inner join work_list on customer_store_days.as_of_date = work_list.as_of_date
    where
        customer_store_days.count_sale_receipts > 0
        and customer_store_days.business_date
        > customer_visits.last_visit_on - work_list.window_days
    group by
        customer_store_days.as_of_date,
        customer_store_days.customer_id,
        customer_store_days.store_key

),

home_stores as (

    select
        as_of_date,
        customer_id,
        store_key
    from store_visits
    qualify
        row_number() over (
            partition by as_of_date, customer_id
            order by count_visits desc, last_visit_on desc, store_key asc
        ) = 1

),

-- ---------------------------------------------------------------------------------------- lines

-- Lines are joined with what is known of card, store and product once, whatever the number of
-- dates: each row carries the dates of knowledge (known_from, known_to) for which it holds, and is
-- summed within slices of time that no window cuts.

line_settings as (

    select distinct
        bulk_receipt_min,
        default_vat_rate
    from work_list

),

edges as (

    select as_of_date as edge_date from work_list
    union
    select as_of_date - window_days as edge_date from work_list
    union
    select as_of_date - 2 * window_days as edge_date from work_list
    union
    select as_of_date - stage_spend_days as edge_date from work_list
    union
    select as_of_date - 2 * stage_spend_days as edge_date from work_list
    union
    select as_of_date - 4 * stage_spend_days as edge_date from work_list
    union
    -- what is older than every window still counts for the totals
    select {{ first_day() }} as edge_date

),

day_slices as (

    select
        sales_days.business_date,
        max(edges.edge_date) as slice_date
    from sales_days
    inner join edges on sales_days.business_date > edges.edge_date
    group by sales_days.business_date

),

slices_known as (

    select distinct
        work_list.as_of_date,
        work_list.bulk_receipt_min,
        work_list.default_vat_rate,
        day_slices.slice_date,
        work_list.as_of_date - work_list.window_days as window_opens_after,
        day_slices.slice_date >= work_list.as_of_date - work_list.window_days as is_in_window,
        day_slices.slice_date >= work_list.as_of_date - 2 * work_list.window_days
        and day_slices.slice_date < work_list.as_of_date - work_list.window_days
            as is_in_previous_window,
        case
            when day_slices.slice_date >= work_list.as_of_date - work_list.stage_spend_days then 1
            when day_slices.slice_date >= work_list.as_of_date - 2 * work_list.stage_spend_days
                then 2
            when day_slices.slice_date >= work_list.as_of_date - 4 * work_list.stage_spend_days
                then 3
        end as spend_period
    from work_list
    inner join day_slices on work_list.as_of_date > day_slices.slice_date

),

line_days as (

    select
        business_date,
        slice_date
    from day_slices
    where slice_date in (select slices_known.slice_date from slices_known)

),

knowledge_span as (

    select
        min(as_of_date) as first_as_of_date,
        max(as_of_date) as last_as_of_date
    from work_list

),

card_versions as (

    {{ versions_known(
        'identity_history',
        ['card_key', 'customer_id'],
        "identity_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')",
    ) | indent(4) }}

),

store_versions as (

    {{ versions_known(
        'store_history', ['store_key'], 'not store_history.is_test'
    ) | indent(4) }}

),

product_versions as (

    select
        product_history.product_key,
        product_history.vat_rate,
        case
            when
                not product_history.is_bag
                and product_history.category_2_code is not null
                then {{ surrogate_key(['product_history.category_2_code']) }}
        end as category_key,
        product_history.valid_from,
        product_history.valid_to
    from product_history
    inner join knowledge_span
        on
            product_history.valid_from <= knowledge_span.last_as_of_date
            and product_history.valid_to > knowledge_span.first_as_of_date
    where product_history.is_revenue

),

bulk_receipts as (

    select
        line_settings.bulk_receipt_min,
        receipts.receipt_key,
        receipts.store_code,
        receipts.business_date,
        receipts.till_no,
        receipts.receipt_no
    from receipts
    inner join line_settings on receipts.valid_net_amount > line_settings.bulk_receipt_min

),

line_versions as (

    select
        card_versions.customer_id,
        line_settings.bulk_receipt_min,
        line_settings.default_vat_rate,
        line_days.slice_date,
        product_versions.category_key,
        sales_lines.orig_business_date,
        greatest(
            card_versions.valid_from, store_versions.valid_from, product_versions.valid_from
        ) as known_from,
        least(card_versions.valid_to, store_versions.valid_to, product_versions.valid_to)
            as known_to,
        (sales_lines.receipt_key, line_settings.bulk_receipt_min) in (
            select
                bulk_receipts.receipt_key,
                bulk_receipts.bulk_receipt_min
            from bulk_receipts
        ) as is_bulk,
        coalesce(
            (
                sales_lines.orig_store_code,
                sales_lines.orig_business_date,
                sales_lines.orig_till_no,
                sales_lines.orig_receipt_no,
                line_settings.bulk_receipt_min
            ) in (
                select
                    bulk_receipts.store_code,
                    bulk_receipts.business_date,
                    bulk_receipts.till_no,
                    bulk_receipts.receipt_no,
                    bulk_receipts.bulk_receipt_min
                from bulk_receipts
            ),
            false
        ) as is_bulk_returned,
        sales_lines.net_amount,
        sales_lines.cost_amount,
        case
            when sales_lines.cost_amount is null then null
            when sales_lines.net_ex_vat is not null then sales_lines.net_ex_vat
            else
                {{ divide_to_money(
                    'sales_lines.net_amount',
                    '1 + coalesce(sales_lines.vat_rate, product_versions.vat_rate, '
                    ~ 'line_settings.default_vat_rate)'
                ) }}
        end as costed_net_ex_vat,
        -- a gift was not chosen, a coupon is no goods
        case
            when sales_lines.is_gift or sales_lines.discount_type is not null then 0
            else sales_lines.qty
        end as chosen_qty
    from sales_lines
    inner join line_days on sales_lines.business_date = line_days.business_date
    inner join card_versions on sales_lines.card_key = card_versions.card_key
    inner join store_versions on sales_lines.store_key = store_versions.store_key
    inner join product_versions on sales_lines.product_key = product_versions.product_key
    cross join line_settings
    where sales_lines.is_valid

),

category_slices as (

    select
        customer_id,
        known_from,
        known_to,
        bulk_receipt_min,
        default_vat_rate,
        slice_date,
        category_key,
        orig_business_date,
        sum(net_amount) as net_sales,
        sum(case when is_bulk then net_amount else 0 end) as bulk_net_sales,
        sum(costed_net_ex_vat - cost_amount) as margin,
        sum(abs(net_amount)) as turnover,
        sum(case when cost_amount is not null then abs(net_amount) else 0 end)
            as costed_turnover,
        count(*) as count_lines,
        count(cost_amount) as count_costed_lines,
        sum(case when is_bulk or is_bulk_returned then 0 else chosen_qty end) as behaviour_qty
    from line_versions
    where known_from < known_to
    group by
        customer_id,
        known_from,
        known_to,
        bulk_receipt_min,
        default_vat_rate,
        slice_date,
        category_key,
        orig_business_date

),

customer_slices as (

    select
        customer_id,
        known_from,
        known_to,
        bulk_receipt_min,
        default_vat_rate,
        slice_date,
        sum(net_sales) as net_sales,
        sum(bulk_net_sales) as bulk_net_sales,
        sum(margin) as margin,
        sum(turnover) as turnover,
        sum(costed_turnover) as costed_turnover,
        sum(count_lines) as count_lines,
        sum(count_costed_lines) as count_costed_lines
    from category_slices
    group by
        customer_id, known_from, known_to, bulk_receipt_min, default_vat_rate, slice_date

),

customer_sales as (

    select
        slices_known.as_of_date,
        customer_slices.customer_id,
        sum(case when slices_known.is_in_window then customer_slices.net_sales else 0 end)
            as net_sales_365d,
        sum(case when slices_known.is_in_window then customer_slices.bulk_net_sales else 0 end)
            as bulk_net_sales_365d,
        sum(case when slices_known.is_in_window then customer_slices.margin end) as margin_365d,
        sum(case when slices_known.is_in_window then customer_slices.turnover else 0 end)
            as turnover_365d,
        sum(case when slices_known.is_in_window then customer_slices.costed_turnover else 0 end)
            as costed_turnover_365d,
        sum(case when slices_known.is_in_window then customer_slices.count_lines else 0 end)
            as count_lines_365d,
        sum(case
            when slices_known.is_in_window then customer_slices.count_costed_lines else 0
        end) as count_costed_lines_365d,
        sum(case
            when slices_known.spend_period = 1
                then customer_slices.net_sales - customer_slices.bulk_net_sales
            else 0
        end) as sales_90d,
        sum(case
            when slices_known.spend_period = 2
                then customer_slices.net_sales - customer_slices.bulk_net_sales
            else 0
        end) as sales_previous_90d,
        sum(case
            when slices_known.spend_period = 3
                then customer_slices.net_sales - customer_slices.bulk_net_sales
            else 0
        end) as sales_previous_180d,
        sum(case
            when slices_known.is_in_previous_window
                then customer_slices.net_sales - customer_slices.bulk_net_sales
            else 0
        end) as sales_previous_365d,
        sum(customer_slices.net_sales) as net_sales_total,
        sum(customer_slices.margin) as margin_total,
        sum(customer_slices.count_lines) as count_lines_total,
        sum(customer_slices.count_costed_lines) as count_costed_lines_total
    from customer_slices
    inner join slices_known
        on
            customer_slices.slice_date = slices_known.slice_date
            and customer_slices.bulk_receipt_min = slices_known.bulk_receipt_min
            and customer_slices.default_vat_rate = slices_known.default_vat_rate
            and customer_slices.known_from <= slices_known.as_of_date
            and customer_slices.known_to > slices_known.as_of_date
    group by slices_known.as_of_date, customer_slices.customer_id

),

-- what was bought before the window or in bulk does not lessen, when it is returned, what was
-- bought here
category_quantities as (

    select
        slices_known.as_of_date,
        category_slices.customer_id,
        sum(category_slices.behaviour_qty) as behaviour_qty
    from category_slices
    inner join slices_known
        on
            category_slices.slice_date = slices_known.slice_date
            and category_slices.bulk_receipt_min = slices_known.bulk_receipt_min
            and category_slices.default_vat_rate = slices_known.default_vat_rate
            and category_slices.known_from <= slices_known.as_of_date
            and category_slices.known_to > slices_known.as_of_date
    where
        slices_known.is_in_window
        and category_slices.category_key is not null
        and coalesce(
            category_slices.orig_business_date > slices_known.window_opens_after, true
        )
    group by
        slices_known.as_of_date,
        category_slices.customer_id,
        category_slices.category_key

),

customer_categories as (

    select
        as_of_date,
        customer_id,
        count(*) as count_categories_365d
    from category_quantities
    where behaviour_qty > 0
    group by as_of_date, customer_id

),

-- ----------------------------------------------------------------------- answers and complaints

attitude_answers as (

    select
        work_list.as_of_date,
        cards_known.customer_id,
        questions.construct,
        answer_history.answered_on,
        answer_history.is_simulated,
        cast(
            100.0 * case
                when questions.higher_is_better
                    then answer_history.answer_num - questions.scale_min
                else questions.scale_max - answer_history.answer_num
            end / nullif(questions.scale_max - questions.scale_min, 0) as decimal(18, 6)
        ) as score
    from work_list
    inner join answer_history
        on
            work_list.as_of_date >= answer_history.valid_from
            and work_list.as_of_date < answer_history.valid_to
            and work_list.as_of_date >= answer_history.answered_on
    inner join questions
        on
            work_list.as_of_date = questions.as_of_date
            and answer_history.question_key = questions.question_key
    inner join cards_known
        on
            work_list.as_of_date = cards_known.as_of_date
            and answer_history.card_key = cards_known.card_key
    where
        answer_history.answered_on > work_list.as_of_date - work_list.attitude_max_age_days
        and answer_history.answer_num is not null
        and {{ is_one_of('questions.construct', 'work_list.attitude_constructs') }}

),

-- the latest day on which the customer was asked about each construct
construct_scores as (

    select
        as_of_date,
        customer_id,
        construct,
        cast(avg(score) as decimal(18, 6)) as score,
        max(answered_on) as answered_on,
        bool_or(is_simulated) as is_simulated
    from (
        select
            as_of_date,
            customer_id,
            construct,
            answered_on,
            is_simulated,
            score,
            rank() over (
                partition by as_of_date, customer_id, construct order by answered_on desc
            ) as recency
        from attitude_answers
        where score is not null
    ) as ranked_answers
    where recency = 1
    group by as_of_date, customer_id, construct

),

attitudes as (

    select
        as_of_date,
        customer_id,
        avg(score) as attitude_score,
        max(answered_on) as attitude_survey_date,
        bool_or(is_simulated) as attitude_is_simulated
    from construct_scores
    group by as_of_date, customer_id

),

complaints as (

    select
        work_list.as_of_date,
        cards_known.customer_id,
        count(*) as count_complaints_365d
    from work_list
    inner join complaint_history
        on
            work_list.as_of_date >= complaint_history.valid_from
            and work_list.as_of_date < complaint_history.valid_to
            and work_list.as_of_date >= complaint_history.received_on
    inner join cards_known
        on
            work_list.as_of_date = cards_known.as_of_date
            and complaint_history.card_key = cards_known.card_key
    where
        complaint_history.received_on > work_list.as_of_date - work_list.window_days
        and complaint_history.kind = 'COMPLAINT'
        and complaint_history.merged_into is null
    group by work_list.as_of_date, cards_known.customer_id

),

-- ------------------------------------------------------------------------------------ customers

customers as (

    select
        as_of_date,
        customer_id
    from members_known

    union

    select
        as_of_date,
        customer_id
    from customer_store_days

),

data_start as (

    select min(business_date) as first_sales_date from sales_days

),

measured as (

    select
        customers.as_of_date,
        customers.customer_id,
        work_list.input_digest,
        work_list.period_start_date,
        work_list.window_days,
        work_list.stage_new_days,
        work_list.stage_reactivated_days,
        work_list.stage_at_risk_ratio,
        work_list.stage_lost_ratio,
        work_list.stage_growth_ratio,
        work_list.stage_decline_ratio,
        work_list.margin_cost_coverage_min,
        work_list.bulk_buyer_share,
        coalesce(home_stores.store_key, members_known.enrol_store_key, -1) as home_store_key,
        members_known.enrolled_on < data_start.first_sales_date as is_left_truncated,
        members_known.status,
        members_known.is_test_member,
        staff.customer_id is not null as is_staff,
        shared_cards.customer_id is not null as is_shared_card,
        customer_visits.first_visit_on,
        customer_visits.last_visit_on,
        customer_visits.second_visit_on,
        customer_visits.first_churned_on,
        coalesce(customer_visits.count_visits, 0) as count_visits,
        coalesce(customer_visits.count_visits_365d, 0) as count_visits_365d,
        coalesce(customer_visits.count_visits_previous_365d, 0) as count_visits_previous_365d,
        coalesce(customer_visits.count_receipts_365d, 0) as count_receipts_365d,
        coalesce(customer_visits.months_active_12, 0) as months_active_12,
        coalesce(customer_visits.count_gaps, 0) as count_gaps,
        customer_visits.sum_gap_days,
        customer_visits.sum_squared_gap_days,
        customer_visits.threshold_k,
        customer_visits.threshold_mean_gap_days,
        customer_visits.inactivity_threshold_days,
        customer_visits.next_churn_on,
        coalesce(customer_visits.count_spells_ended, 0) as count_spells_ended,
        customer_visits.returned_on,
        {{ days_between('customer_visits.last_visit_on', 'customers.as_of_date') }}
            as days_since_last_visit,
        {{ days_between('customer_visits.first_visit_on', 'customers.as_of_date') }}
            as tenure_days,
        coalesce(customer_visits.was_active_at_start, false) as was_active_at_start,
        coalesce(customer_visits.was_churned_at_start, false) as was_churned_at_start,
        coalesce(customer_visits.has_churn_in_period, false) as has_churn_in_period,
        coalesce(customer_visits.visited_in_period, false) as visited_in_period,
        coalesce(customer_visits.bought_in_previous_period, false) as bought_in_previous_period,
        coalesce(customer_sales.net_sales_365d, 0) as net_sales_365d,
        coalesce(customer_sales.bulk_net_sales_365d, 0) as bulk_net_sales_365d,
        coalesce(customer_sales.margin_365d, 0) as margin_365d,
        coalesce(customer_sales.turnover_365d, 0) as turnover_365d,
        coalesce(customer_sales.costed_turnover_365d, 0) as costed_turnover_365d,
        coalesce(customer_sales.count_lines_365d, 0) as count_lines_365d,
        coalesce(customer_sales.count_costed_lines_365d, 0) as count_costed_lines_365d,
        coalesce(customer_categories.count_categories_365d, 0) as count_categories_365d,
        coalesce(customer_sales.sales_90d, 0) as sales_90d,
        coalesce(customer_sales.sales_previous_90d, 0) as sales_previous_90d,
        coalesce(customer_sales.sales_90d + customer_sales.sales_previous_90d, 0) as sales_180d,
        coalesce(customer_sales.sales_previous_180d, 0) as sales_previous_180d,
        coalesce(customer_sales.sales_previous_365d, 0) as sales_previous_365d,
        coalesce(customer_sales.net_sales_total, 0) as net_sales_total,
        coalesce(customer_sales.margin_total, 0) as margin_total,
        coalesce(customer_sales.count_lines_total, 0) as count_lines_total,
        coalesce(customer_sales.count_costed_lines_total, 0) as count_costed_lines_total,
        coalesce(complaints.count_complaints_365d, 0) as count_complaints_365d,
        attitudes.attitude_score,
        attitudes.attitude_survey_date,
        attitudes.attitude_is_simulated,
        computed_pools.pool_count_gaps,
        computed_pools.pool_mean_gap_days,
        computed_pools.pool_first_gap_p95_days
    from customers
    inner join work_list on customers.as_of_date = work_list.as_of_date
    cross join data_start
    left join members_known
        on
            customers.as_of_date = members_known.as_of_date
            and customers.customer_id = members_known.customer_id
    left join staff
        on
            customers.as_of_date = staff.as_of_date
            and customers.customer_id = staff.customer_id
    left join shared_cards
        on
            customers.as_of_date = shared_cards.as_of_date
            and customers.customer_id = shared_cards.customer_id
    left join customer_visits
        on
            customers.as_of_date = customer_visits.as_of_date
            and customers.customer_id = customer_visits.customer_id
    left join home_stores
        on
            customers.as_of_date = home_stores.as_of_date
            and customers.customer_id = home_stores.customer_id
    left join customer_sales
        on
            customers.as_of_date = customer_sales.as_of_date
            and customers.customer_id = customer_sales.customer_id
    left join customer_categories
        on
            customers.as_of_date = customer_categories.as_of_date
            and customers.customer_id = customer_categories.customer_id
    left join complaints
        on
            customers.as_of_date = complaints.as_of_date
            and customers.customer_id = complaints.customer_id
    left join attitudes
        on
            customers.as_of_date = attitudes.as_of_date
            and customers.customer_id = attitudes.customer_id
    left join computed_pools on customers.as_of_date = computed_pools.as_of_date

),

company as (

    select
        as_of_date,
        sum(turnover_365d) as turnover_365d,
        sum(costed_turnover_365d) as costed_turnover_365d,
        sum(count_costed_lines_365d) as count_costed_lines_365d,
        cast(sum(sales_90d) as double) / nullif(sum(sales_previous_90d), 0) as seasonal_index,
        cast(sum(sales_180d) as double) / nullif(sum(sales_previous_180d), 0)
            as seasonal_index_180d
    from measured
    group by as_of_date

),

compared as (

    select
        measured.*,
        company.seasonal_index,
        company.seasonal_index_180d,
        case
            when measured.sales_previous_90d > 0
                then
                    cast(measured.sales_90d as double) / measured.sales_previous_90d
                    / nullif(company.seasonal_index, 0)
        end as growth_ratio,
        case
            when measured.sales_previous_180d > 0
                then
                    cast(measured.sales_180d as double) / measured.sales_previous_180d
                    / nullif(company.seasonal_index_180d, 0)
        end as growth_ratio_180d,
        case
            when
                company.costed_turnover_365d
                >= measured.margin_cost_coverage_min * company.turnover_365d
                and company.turnover_365d > 0
                then 'MARGIN'
            else 'SALES'
        end as value_basis,
        case
            when coalesce(company.count_costed_lines_365d, 0) = 0 then 'NO_COST_FEED'
            when measured.count_costed_lines_365d < measured.count_lines_365d
                then 'LINES_WITHOUT_COST'
        end as margin_missing_reason,
        case
            when coalesce(company.count_costed_lines_365d, 0) = 0 then 'NO_COST_FEED'
            when measured.count_costed_lines_total < measured.count_lines_total
                then 'LINES_WITHOUT_COST'
        end as margin_total_missing_reason,
        case
            when measured.count_gaps > 1 and measured.sum_gap_days > 0
                then sqrt(
                    (
                        measured.sum_squared_gap_days
                        - cast(measured.sum_gap_days as double) * measured.sum_gap_days
                        / measured.count_gaps
                    ) / (measured.count_gaps - 1)
                ) * measured.count_gaps / measured.sum_gap_days
        end as gap_cv
    from measured
    left join company on measured.as_of_date = company.as_of_date

)

select
    customer_id,
    as_of_date,
    period_start_date,
    cast(home_store_key as bigint) as home_store_key,
    is_left_truncated,
    case
        when status = 'ERASED' then 'ERASED'
        when is_test_member then 'TEST_MEMBER'
        when is_staff then 'STAFF_CARD'
        when is_shared_card then 'SHARED_CARD'
        when
            bulk_net_sales_365d > 0
            and bulk_net_sales_365d > bulk_buyer_share * net_sales_365d
            then 'BULK_BUYER'
    end as excluded_reason,

    -- visits
    first_visit_on,
    second_visit_on,
    last_visit_on,
    cast(count_visits as integer) as count_visits,
    cast(count_visits_365d as integer) as count_visits_365d,
    cast(count_visits_previous_365d as integer) as count_visits_previous_365d,
    cast(count_receipts_365d as integer) as count_receipts_365d,
    cast(months_active_12 as integer) as months_active_12,
    cast(count_categories_365d as integer) as count_categories_365d,
    cast(tenure_days as integer) as tenure_days,
    cast(days_since_last_visit as integer) as days_since_last_visit,

    -- money
    cast(net_sales_365d as decimal(18, 2)) as net_sales_365d,
    cast(bulk_net_sales_365d as decimal(18, 2)) as bulk_net_sales_365d,
    cast(case when margin_missing_reason is null then margin_365d end as decimal(18, 2))
        as margin_365d,
    margin_missing_reason,
    cast(cast(costed_turnover_365d as double) / nullif(turnover_365d, 0) as decimal(9, 6))
        as cost_coverage_365d,
    cast(
        case
            when value_basis = 'SALES' then net_sales_365d
            when margin_missing_reason is null then margin_365d
        end as decimal(18, 2)
    ) as value_365d,
    value_basis,
    net_sales_365d < 0 as is_returns_exceed_sales,
    cast(net_sales_total as decimal(18, 2)) as net_sales_total,
    cast(case when margin_total_missing_reason is null then margin_total end as decimal(18, 2))
        as margin_total,
    margin_total_missing_reason,
    cast(sales_90d as decimal(18, 2)) as sales_90d,
    cast(sales_previous_90d as decimal(18, 2)) as sales_previous_90d,
    seasonal_index,
    growth_ratio,
    cast(sales_180d as decimal(18, 2)) as sales_180d,
    cast(sales_previous_180d as decimal(18, 2)) as sales_previous_180d,
    cast(sales_previous_365d as decimal(18, 2)) as sales_previous_365d,
    growth_ratio_180d,

    -- rhythm and threshold
    cast(count_gaps as integer) as count_gaps,
    case when count_gaps > 0 then cast(sum_gap_days as double) / count_gaps end as mean_gap_days,
    gap_cv,
    threshold_mean_gap_days,
    threshold_k,
    inactivity_threshold_days,
    cast(pool_count_gaps as integer) as pool_count_gaps,
    pool_mean_gap_days,
    pool_first_gap_p95_days,

    -- lifecycle and churn
    case
        when last_visit_on is null then 'PROSPECT'
        when days_since_last_visit > stage_lost_ratio * inactivity_threshold_days then 'LOST'
        when days_since_last_visit > inactivity_threshold_days then 'LAPSED'
        when {{ days_between('returned_on', 'as_of_date') }} <= stage_reactivated_days
            then 'REACTIVATED'
        when tenure_days <= stage_new_days then 'NEW'
        when days_since_last_visit > stage_at_risk_ratio * inactivity_threshold_days then 'AT_RISK'
        when growth_ratio >= stage_growth_ratio then 'GROWING'
        when growth_ratio <= stage_decline_ratio then 'DECLINING'
        else 'STABLE'
    end as lifecycle_stage,
    case
        when last_visit_on is null then 'NEVER_BOUGHT'
        when days_since_last_visit > inactivity_threshold_days then 'CHURNED'
        else 'ACTIVE'
    end as churn_status,
    case
        when days_since_last_visit > inactivity_threshold_days then next_churn_on
    end as churned_on,
    first_churned_on,
    cast(count_spells_ended as integer) as count_spells_ended,
    returned_on,
    was_active_at_start,
    was_churned_at_start,
    was_active_at_start and has_churn_in_period as churned_in_period,
    visited_in_period,
    bought_in_previous_period,

    -- attitude and complaints
    cast(attitude_score as decimal(9, 4)) as attitude_score,
    attitude_survey_date,
    coalesce(attitude_is_simulated, false) as attitude_is_simulated,
    cast(count_complaints_365d as integer) as count_complaints_365d,

    -- what the row was computed from
    input_digest
from compared
