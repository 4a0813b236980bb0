with batches as (

    select * from {{ source('ledger', 'batch') }}

),

feeds as (

    select * from {{ source('ledger', 'feed') }}

),

deliveries as (

    select * from {{ source('ledger', 'delivery') }}

),

store_days as (

    select * from {{ source('ledger', 'store_day') }}

),

-- a version that was current gives way to a later one: its rows were accepted, and are replaced now
by_batch as (

    select
        batch_id,
        count(*) as count_store_days,
        sum(case when status = 'CURRENT' then count_rows else 0 end) as count_current,
        sum(case when status = 'REPLACED' then count_rows else 0 end) as count_replaced,
        sum(case when status in ('SUPERSEDED', 'HELD') then count_rows else 0 end)
            as count_superseded
    from store_days
    group by batch_id

),

delivered as (

    select
        batch_id,
        count(*) as count_deliveries,
        count(*) filter (where status = 'SKIPPED') as count_skipped_deliveries
    from deliveries
    group by batch_id

)

select
    batches.batch_id,

    -- file
    batches.feed,
    batches.path,
    batches.bytes,
    batches.encoding,
    batches.is_simulated,
    cast(coalesce(delivered.count_deliveries, 0) as integer) as count_deliveries,
    cast(coalesce(delivered.count_skipped_deliveries, 0) as integer) as count_skipped_deliveries,

    -- times
    batches.as_of_date as judged_for_on,
    batches.generated_at,
    batches.arrived_at,
    batches.loaded_at,
    cast(batches.seconds as decimal(18, 3)) as duration_seconds,

    -- what became of it
    batches.status,
    batches.refused_by,

    -- rows in = accepted + quarantined + replaced + superseded + skipped + refused
    batches.rows_in as count_rows_in,
    cast(coalesce(by_batch.count_current, batches.rows_loaded) as bigint) as count_accepted,
    batches.rows_quarantined as count_quarantined,
    cast(coalesce(by_batch.count_replaced, 0) as bigint) as count_replaced,
    cast(coalesce(by_batch.count_superseded, batches.rows_superseded) as bigint)
        as count_superseded,
    batches.rows_skipped as count_skipped,
    batches.rows_refused as count_refused,
    cast(coalesce(by_batch.count_store_days, 0) as integer) as count_store_days,
    cast(batches.control_sum as decimal(38, 2)) as control_sum,

    coalesce(batches.waived, '') <> '' as is_waived,
    -- a message about a feed with personal data can quote a header or a cell: it stays private
    case
        when batches.message is null then null
        when coalesce(feeds.has_pii, true) then 'kehu explain ' || batches.batch_id
        else batches.message
    end as message
from batches
left join feeds on batches.feed = feeds.feed
left join by_batch on batches.batch_id = by_batch.batch_id
left join delivered on batches.batch_id = delivered.batch_id
