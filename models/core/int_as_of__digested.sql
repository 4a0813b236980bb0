{{ config(materialized='table', database=target.database, schema='intermediate') }}

-- One digest per as_of_date of everything that the rows of that date can depend on: knowledge and
-- sales up to the date, parameters and calendar. The digest has no load time and no run id in it,
-- so equal input gives an equal digest and a changed one names what has to be computed again.
-- Inferred rows of the histories say nothing that the absence of a row would not, and are left out.
{% set logic_version = '4' %}
{% set sources = [
    'sales', 'identity', 'customer', 'card', 'product', 'store', 'answer', 'complaint', 'event', 'param',
] %}
{% set params = [
    'period_start_date', 'window_days', 'visit_min_net', 'bulk_receipt_min', 'bulk_buyer_share',
    'shared_card_receipts_per_day', 'shared_card_receipts_per_month', 'default_vat_rate',
    'margin_cost_coverage_min', 'attitude_max_age_days', 'attitude_constructs', 'tau_prior_weight', 'tau_alpha',
    'tau_method', 'tau_fixed_days', 'tau_fixed_k', 'tau_min_days', 'tau_max_days', 'tau_last_gaps', 'tau_gap_max_days', 'tau_min_pool_gaps', 'tau_default_mean_gap',
    'tau_default_first_gap_p95', 'stage_at_risk_ratio', 'stage_lost_ratio', 'stage_new_days',
    'stage_reactivated_days', 'stage_spend_days', 'stage_growth_ratio', 'stage_decline_ratio',
    'price_index_min_lines',
] %}

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

calendar as (

    select * from {{ ref('dim_date') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

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

question_history as (

    select * from {{ ref('dim_question_history') }}

),

answer_history as (

    select * from {{ ref('fct_survey_answer_history') }}

),

complaint_history as (

    select * from {{ ref('fct_complaint_history') }}

),

complaint_events as (

    select * from {{ ref('fct_complaint_event') }}

),

-- the content of a store-day's lines is in its source_version; sums of its receipts say how the
-- star read them
store_days as (

    select
        store_key,
        business_date,
        source_version,
        rule_version,
        count(*) as count_receipts,
        sum(cast(card_key as decimal(38, 0))) as sum_card_keys,
        sum(valid_net_amount) as valid_net_amount
    from receipts
    group by store_key, business_date, source_version, rule_version

),

known_rows as (

    select
        'SALES' as source,
        business_date as known_on,
        {{ surrogate_key([
            'store_key', 'business_date', 'source_version', 'rule_version', 'count_receipts',
            'sum_card_keys', 'valid_net_amount',
        ]) }} as row_hash
    from store_days

    union all

    select
        'IDENTITY' as source,
        valid_from as known_on,
        {{ surrogate_key([
            'card_key', 'customer_id', 'is_shared_phone', 'valid_from',
        ]) }} as row_hash
    from identity_history
    where not is_inferred

    union all

    select
        'CUSTOMER' as source,
        valid_from as known_on,
        {{ surrogate_key([
            'customer_id', 'status', 'enrolled_on', 'enrol_store_key', 'merged_into',
            'valid_from',
        ]) }} as row_hash
    from customer_history
    where not is_inferred

    union all

    select
        'CARD' as source,
        valid_from as known_on,
        {{ surrogate_key(['card_key', 'card_type', 'valid_from']) }} as row_hash
    from card_history
    where not is_inferred

    union all

    select
        'PRODUCT' as source,
        valid_from as known_on,
        {{ surrogate_key([
            'product_key', 'is_revenue', 'is_bag', 'vat_rate', 'category_2_code', 'valid_from',
        ]) }} as row_hash
    from product_history
    where not is_inferred

    union all

    select
        'STORE' as source,
        valid_from as known_on,
        {{ surrogate_key(['store_key', 'is_test', 'valid_from']) }} as row_hash
    from store_history
    -- a code alone can make a test store
    where not is_inferred or is_test

    union all

    -- an answer with its question as it was: a changed question is another row from its day on
    select
        'ANSWER' as source,
        greatest(answers.valid_from, questions.valid_from) as known_on,
        {{ surrogate_key([
            'answers.response_id', 'answers.question_id', 'answers.option_seq',
            'answers.card_key', 'answers.answered_on', 'answers.answer_num',
            'answers.is_simulated', 'answers.valid_from', 'questions.survey_type',
            'questions.construct', 'questions.scale_min', 'questions.scale_max',
            'questions.higher_is_better',
        ]) }} as row_hash
    from answer_history as answers
    inner join question_history as questions
        on
            answers.question_key = questions.question_key
            and answers.valid_from < questions.valid_to
            and answers.valid_to > questions.valid_from

    union all

    select
        'COMPLAINT' as source,
        valid_from as known_on,
        {{ surrogate_key([
            'complaint_no', 'received_on', 'card_key', 'kind', 'merged_into', 'reason_code',
            'severity', 'valid_from',
        ]) }} as row_hash
    from complaint_history

    union all

    select
        'EVENT' as source,
        occurred_on as known_on,
        {{ surrogate_key(['complaint_no', 'seq', 'occurred_at', 'event', 'level', 'actor_type']) }}
            as row_hash
    from complaint_events

    union all

    -- thresholds are frozen with the parameters and the identity of earlier quarter ends
    select
        'PARAM' as source,
        as_of_date as known_on,
        {{ surrogate_key(['as_of_date'] + params) }} as row_hash
    from as_of_dates
    where is_month_end

),

known_days as (

    select
        source,
        known_on,
        count(*) as count_rows,
        sum(cast(row_hash as decimal(38, 0))) as hash_sum
    from known_rows
    group by source, known_on

),

known_sources as (

    select
        as_of_dates.as_of_date,
        known_days.source,
        sum(known_days.count_rows) as count_rows,
        md5(concat_ws(
            '|',
            cast(sum(known_days.count_rows) as string),
            cast(sum(known_days.hash_sum) as string)
        )) as digest
    from as_of_dates
    inner join known_days on as_of_dates.as_of_date >= known_days.known_on
    group by as_of_dates.as_of_date, known_days.source

),

source_digests as (

    select
        as_of_date,
        {% for source in sources -%}
        max(case when source = '{{ source | upper }}' then digest end) as {{ source }}_digest,
        {% endfor -%}
        sum(count_rows) as count_rows
    from known_sources
    group by as_of_date

),

-- holidays lengthen thresholds, which reach beyond the date itself
calendar_digests as (

    select
        as_of_dates.as_of_date,
        count(*) as count_holidays,
        sum(cast({{ surrogate_key(['calendar.date_on']) }} as decimal(38, 0))) as hash_sum
    from as_of_dates
    inner join calendar
        on as_of_dates.as_of_date + as_of_dates.tau_max_days >= calendar.date_on
    where calendar.is_holiday or calendar.is_closed
    group by as_of_dates.as_of_date

),

{% set as_of_params = [] %}
{% for param in params %}{% do as_of_params.append('as_of_dates.' ~ param) %}{% endfor %}
digested as (

    select
        as_of_dates.as_of_date,
        {% for source in sources -%}
        coalesce(source_digests.{{ source }}_digest, md5('')) as {{ source }}_digest,
        {% endfor -%}
        {{ surrogate_key(as_of_params) }} as own_param_hash,
        md5(concat_ws(
            '|',
            coalesce(cast(calendar_digests.count_holidays as string), '0'),
            coalesce(cast(calendar_digests.hash_sum as string), '0')
        )) as calendar_digest
    from as_of_dates
    left join source_digests on as_of_dates.as_of_date = source_digests.as_of_date
    left join calendar_digests on as_of_dates.as_of_date = calendar_digests.as_of_date

)

select
    as_of_date,
    sales_digest,
    identity_digest,
    customer_digest,
    card_digest,
    product_digest,
    store_digest,
    answer_digest,
    complaint_digest,
    event_digest,
    calendar_digest,
    param_digest,
    md5(concat_ws(
        '|', '{{ logic_version }}', cast(as_of_date as string), sales_digest, identity_digest,
        customer_digest, card_digest, product_digest, store_digest, answer_digest,
        complaint_digest, event_digest, calendar_digest, param_digest,
        cast(own_param_hash as string)
    )) as input_digest
from digested
