-- 1. Which key customers (class A or the top 20 %) complained in the last 30 days and have not
--   bought since?
-- 中文：哪些重要客户（A 类或前 20%）在最近 30 天内投诉，此后再未购买？
-- Trap: "since" begins when the complaint was received; an exchange is no purchase; the class is
--   that of the day of the complaint, not of today.
-- Definitions: S1, S2, P1
with complaints as (
    select
        customer_id,
        complaint_no,
        received_at,
        reason_code,
        severity,
        is_open,
        as_of_date,
        abc_class_at_receipt,
        pyramid_tier_at_receipt,
        row_number() over (
            partition by customer_id
            order by received_at desc nulls last, complaint_no desc nulls last
        ) as complaint_rank
    from marts.mart_complaint
    where
        is_latest
        and is_valid
        and received_on > as_of_date - 30
        and customer_id not in ('ANONYMOUS', 'UNKNOWN')
),

purchases as (
    select
        receipts.customer_id,
        receipts.sold_at
    from core.fct_receipt as receipts
    inner join core.dim_as_of as as_of_dates
        on receipts.business_date <= as_of_dates.as_of_date
    where
        as_of_dates.is_latest
        and receipts.receipt_type = 'SALE'
        and receipts.status = 'COMPLETED'
        and receipts.valid_net_amount > 0
)

select
    complaints.customer_id,
    complaints.complaint_no,
    complaints.received_at,
    complaints.reason_code,
    complaints.severity,
    complaints.is_open,
    complaints.abc_class_at_receipt,
    complaints.pyramid_tier_at_receipt
from complaints
where
    complaints.complaint_rank = 1
    and (
        complaints.abc_class_at_receipt = 'A'
        or complaints.pyramid_tier_at_receipt in ('TOP', 'MAJOR')
    )
    and not exists (
        select 1
        from purchases
        where
            purchases.customer_id = complaints.customer_id
            and purchases.sold_at > complaints.received_at
    )
order by complaints.severity desc nulls last, complaints.customer_id asc
