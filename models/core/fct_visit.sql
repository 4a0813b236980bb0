-- A visit is a visit as far as one knows: a card may get another customer later, a store may turn
-- out to be a test store, a parameter may change. Each row therefore carries the dates of
-- knowledge for which it holds, as the histories of the dimensions do.

with

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

receipts as (

    select * from {{ ref('fct_receipt') }}

),

identity_history as (

    select * from {{ ref('bridge_customer_identity') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

-- the parameters that decide, and the dates on which they took another value
settings as (

    select
        as_of_date,
        bulk_receipt_min,
        visit_min_net,
        lag(bulk_receipt_min) over dates as previous_bulk_receipt_min,
        lag(visit_min_net) over dates as previous_visit_min_net
    from as_of_dates
    window dates as (order by as_of_date asc nulls last)

),

setting_ranges as (

    select
        bulk_receipt_min,
        visit_min_net,
        case when row_number() over dates = 1 then {{ first_day() }} else as_of_date end
            as valid_from,
        coalesce(lead(as_of_date) over dates, {{ last_day_of_time() }}) as valid_to
    from settings
    where
        bulk_receipt_min is distinct from previous_bulk_receipt_min
        or visit_min_net is distinct from previous_visit_min_net
    window dates as (order by as_of_date asc nulls last)

),

-- receipts of one card in one store and day, for each range of knowledge
pieces as (

    select
        identity_history.customer_id,
        receipts.business_date as visit_on,
        greatest(
            receipts.business_date,
            identity_history.valid_from,
            setting_ranges.valid_from,
            coalesce(store_history.valid_from, {{ first_day() }})
        ) as known_from,
        least(
            identity_history.valid_to,
            setting_ranges.valid_to,
            coalesce(store_history.valid_to, {{ last_day_of_time() }})
        ) as known_to,
        setting_ranges.visit_min_net,
        sum(receipts.valid_net_amount) as net_amount,
        count(case when receipts.is_sale_visit then 1 end) as count_sale_receipts
    from receipts
    inner join identity_history on receipts.card_key = identity_history.card_key
    inner join setting_ranges on receipts.valid_net_amount <= setting_ranges.bulk_receipt_min
    left join store_history on receipts.store_key = store_history.store_key
    where
        receipts.status = 'COMPLETED'
        and receipts.receipt_type in ('SALE', 'RETURN', 'EXCHANGE')
        and identity_history.customer_id not in ('ANONYMOUS', 'UNKNOWN')
        and identity_history.valid_to > receipts.business_date
        and not coalesce(store_history.is_test, false)
    group by all

),

known_pieces as (

    select * from pieces
    where known_from < known_to

),

-- several pieces make one day of a customer, each known for its own time: the day is put together
-- anew between any two dates on which something about it changed
edges as (

    select
        customer_id,
        visit_on,
        known_from as edge_on
    from known_pieces
    union distinct
    select
        customer_id,
        visit_on,
        known_to as edge_on
    from known_pieces

),

spans as (

    select
        customer_id,
        visit_on,
        edge_on as known_from,
        lead(edge_on) over (
            partition by customer_id, visit_on order by edge_on asc nulls last
        ) as known_to
    from edges

),

days as (

    select
        spans.customer_id,
        spans.visit_on,
        spans.known_from,
        spans.known_to,
        max(known_pieces.visit_min_net) as visit_min_net,
        sum(known_pieces.net_amount) as net_amount,
        sum(known_pieces.count_sale_receipts) as count_sale_receipts
    from spans
    inner join known_pieces
        on
            spans.customer_id = known_pieces.customer_id
            and spans.visit_on = known_pieces.visit_on
            and spans.known_from >= known_pieces.known_from
            and spans.known_from < known_pieces.known_to
    group by spans.customer_id, spans.visit_on, spans.known_from, spans.known_to

)

select
    customer_id,
    visit_on,
    known_from,
    known_to,
    cast(net_amount as decimal(18, 2)) as net_amount,
    cast(count_sale_receipts as integer) as count_sale_receipts
from days
where
    count_sale_receipts > 0
    and net_amount >= visit_min_net
