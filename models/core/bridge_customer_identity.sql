with

cards as (

    select * from {{ ref('dim_card_history') }}

),

-- members who share a telephone number with others, for all days; all the rest are themselves
identified as (

    select * from {{ ref('int_member__identify') }}

),

owned as (

    select
        cards.card_key,
        cards.card_no,
        cards.is_inferred,
        identified.match_reason,
        case
            when cards.card_key in ({{ unknown_key() }}, {{ anonymous_key() }}) then cards.card_no
            else coalesce(identified.customer_id, cards.member_id, 'card:' || cards.card_no)
        end as customer_id,
        coalesce(identified.is_shared_phone, false) as is_shared_phone,
        greatest(cards.valid_from, coalesce(identified.valid_from, {{ first_day() }}))
            as valid_from,
        least(cards.valid_to, coalesce(identified.valid_to, {{ last_day_of_time() }})) as valid_to,
        cards.valid_from as card_valid_from
    from cards
    left join identified
        on
            cards.member_id = identified.member_id
            and cards.valid_from < identified.valid_to
            and cards.valid_to > identified.valid_from

),

-- a new household alone changes nobody's identity
compared as (

    select
        *,
        lag(customer_id) over versions as previous_customer_id,
        lag(match_reason) over versions as previous_match_reason,
        lag(is_shared_phone) over versions as previous_is_shared_phone
    from owned
    window versions as (partition by card_key, card_valid_from order by valid_from asc nulls last)

),

pieces as (

    select
        *,
        lead(valid_from) over (
            partition by card_key order by valid_from asc nulls last
        ) as next_valid_from
    from compared
    where
        previous_customer_id is distinct from customer_id
        or previous_match_reason is distinct from match_reason
        or previous_is_shared_phone is distinct from is_shared_phone

)

select
    card_key,
    card_no,
    customer_id,
    match_reason,
    is_shared_phone,
    valid_from,
    coalesce(next_valid_from, {{ last_day_of_time() }}) as valid_to,
    is_inferred
from pieces
