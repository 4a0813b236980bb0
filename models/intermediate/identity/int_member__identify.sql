{{ config(materialized='table') }}

-- Q4: members with one telephone number are one customer where their names agree or their birthdays
-- are the same, a household where not, and nobody's where too many have it. A state of each day:
-- what was written until then decides, and a corrected number ends what it began.
with recursive

members as (
    select * from {{ ref('pii_member_version') }}
    where phone_key is not null
),

readings as (
    select * from {{ ref('pinyin') }}
),

-- ------------------------------------------------------------- numbers that two members ever had

held_numbers as (
    select phone_key
    from members
    group by phone_key
    having count(distinct member_id) > 1
),

holders as (
    select members.*
    from members
    inner join held_numbers on members.phone_key = held_numbers.phone_key
),

changes as (
    select
        phone_key,
        changed_on,
        sum(difference) as difference
    from (
        select
            phone_key,
            valid_from as changed_on,
            1 as difference
        from holders
        union all
        select
            phone_key,
            valid_to as changed_on,
            -1 as difference
        from holders
    ) as arrivals
    group by phone_key, changed_on
),

counted as (
    select
        phone_key,
        changed_on as span_from,
        lead(changed_on) over (partition by phone_key order by changed_on) as span_to,
        sum(difference) over (partition by phone_key order by changed_on) as count_members
    from changes
),

spans as (
    select
        phone_key,
        span_from,
        span_to,
        count_members > {{ param('shared_phone_members') }} as is_shared
    from counted
    where count_members > 1 and span_to is not null
),

-- spans of a shared number in one piece, lest a number of thousands meets its thousand changes
shared_spans as (
    select
        phone_key,
        min(span_from) as span_from,
        max(span_to) as span_to
    from (
        select
            phone_key,
            span_from,
            span_to,
            sum(case when span_from = previous_to then 0 else 1 end) over (
                partition by phone_key order by span_from
            ) as piece
        from (
            select
                phone_key,
                span_from,
                span_to,
                lag(span_to) over (partition by phone_key order by span_from) as previous_to
            from spans
            where is_shared
        ) as neighbours
    ) as pieces
    group by phone_key, piece
),

-- --------------------------------------------------------------------- who is who in a small group

present as (
    select
        spans.span_from,
        spans.span_to,
        holders.phone_key,
        holders.member_id,
        holders.customer_type,
        holders.gender,
        holders.enrolled_on,
        holders.birth_date,
        holders.name_key,
        regexp_full_match(holders.name_key, '[A-Z]+') as is_latin
    from spans
    inner join holders
        on
            spans.phone_key = holders.phone_key
            and spans.span_from >= holders.valid_from
            and spans.span_from < holders.valid_to
    where not spans.is_shared
),

pairs as (
    select
        one.phone_key,
        one.span_from,
        one.member_id,
        other.member_id as other_member_id,
        case when one.is_latin and not other.is_latin then one.name_key end as latin_name,
        case when one.is_latin and not other.is_latin then other.name_key end as han_name,
        one.name_key = other.name_key as is_same_name,
        one.birth_date = other.birth_date as is_same_birthday,
        coalesce(one.birth_date <> other.birth_date, false)
        or (
            one.gender in ('F', 'M') and other.gender in ('F', 'M') and one.gender <> other.gender
        ) as is_conflicting
    from present as one
    inner join present as other
        on
            one.phone_key = other.phone_key
            and one.span_from = other.span_from
            and one.customer_type = other.customer_type
            and one.member_id <> other.member_id
),

-- a name of up to four characters in every way it is read, family name first or last
spelt as (
    select
        spoken.han_name,
        first_one.pinyin as first_reading,
        coalesce(second_one.pinyin, '') as second_reading,
        coalesce(third_one.pinyin, '') as third_reading,
        coalesce(fourth_one.pinyin, '') as fourth_reading
    from (
        select distinct pairs.han_name
        from pairs
        where length(pairs.han_name) <= 4
    ) as spoken
    inner join readings as first_one on substr(spoken.han_name, 1, 1) = first_one.han
    left join readings as second_one on substr(spoken.han_name, 2, 1) = second_one.han
    left join readings as third_one on substr(spoken.han_name, 3, 1) = third_one.han
    left join readings as fourth_one on substr(spoken.han_name, 4, 1) = fourth_one.han
),

spellings as (
    select
        han_name,
        first_reading || second_reading || third_reading || fourth_reading as latin_name
    from spelt
    union distinct
    select
        han_name,
        second_reading || third_reading || fourth_reading || first_reading as latin_name
    from spelt
    union distinct
    select
        han_name,
        third_reading || fourth_reading || first_reading || second_reading as latin_name
    from spelt
    where fourth_reading <> ''
),

judged as (
    select
        pairs.phone_key,
        pairs.span_from,
        pairs.member_id,
        pairs.other_member_id,
        case
            when pairs.is_same_name then 'SAME_NAME'
            when spellings.latin_name is not null and not pairs.is_conflicting then 'PINYIN_NAME'
            when pairs.is_same_birthday and not pairs.is_conflicting then 'SAME_BIRTHDAY'
        end as match_reason
    from pairs
    left join spellings
        on pairs.latin_name = spellings.latin_name and pairs.han_name = spellings.han_name
),

links as (
    select
        phone_key,
        span_from,
        member_id,
        other_member_id,
        match_reason
    from judged
    where match_reason is not null
    union distinct
    select
        phone_key,
        span_from,
        other_member_id as member_id,
        member_id as other_member_id,
        match_reason
    from judged
    where match_reason is not null
),

reached as (
    select
        phone_key,
        span_from,
        member_id,
        member_id as other_member_id
    from present
    union
    select
        reached.phone_key,
        reached.span_from,
        reached.member_id,
        links.other_member_id
    from reached
    inner join links
        on
            reached.phone_key = links.phone_key
            and reached.span_from = links.span_from
            and reached.other_member_id = links.member_id
),

-- the customer is named by the member who enrolled first
survivors as (
    select
        reached.phone_key,
        reached.span_from,
        reached.member_id,
        reached.other_member_id as customer_id,
        companions.enrolled_on
    from reached
    inner join present as companions
        on
            reached.phone_key = companions.phone_key
            and reached.span_from = companions.span_from
            and reached.other_member_id = companions.member_id
    qualify row_number() over (
        partition by reached.phone_key, reached.span_from, reached.member_id
        order by companions.enrolled_on asc nulls last, companions.member_id asc
    ) = 1
),

reasons as (
    select
        phone_key,
        span_from,
        member_id,
        match_reason
    from links
    qualify row_number() over (
        partition by phone_key, span_from, member_id
        order by case match_reason when 'SAME_NAME' then 1 when 'SAME_BIRTHDAY' then 2 else 3 end
    ) = 1
),

-- persons who stay apart share a household, named by the customer who enrolled first
households as (
    select
        survivors.phone_key,
        survivors.span_from,
        'household:' || min_by(
            survivors.customer_id, (survivors.enrolled_on, survivors.customer_id)
        ) as household_id
    from survivors
    inner join present
        on
            survivors.phone_key = present.phone_key
            and survivors.span_from = present.span_from
            and survivors.member_id = present.member_id
    where present.customer_type = 'PERSON'
    group by survivors.phone_key, survivors.span_from
    having count(distinct survivors.customer_id) > 1
),

resolved as (
    select
        present.member_id,
        survivors.customer_id,
        households.household_id,
        present.span_from as valid_from,
        present.span_to as valid_to,
        case when survivors.customer_id <> present.member_id then reasons.match_reason end
            as match_reason,
        false as is_shared_phone
    from present
    inner join survivors
        on
            present.phone_key = survivors.phone_key
            and present.span_from = survivors.span_from
            and present.member_id = survivors.member_id
    left join reasons
        on
            present.phone_key = reasons.phone_key
            and present.span_from = reasons.span_from
            and present.member_id = reasons.member_id
    left join households
        on
            present.phone_key = households.phone_key
            and present.span_from = households.span_from
            and present.customer_type = 'PERSON'

    union all

    select
        holders.member_id,
        holders.member_id as customer_id,
        null as household_id,
        greatest(holders.valid_from, shared_spans.span_from) as valid_from,
        least(holders.valid_to, shared_spans.span_to) as valid_to,
        null as match_reason,
        true as is_shared_phone
    from holders
    inner join shared_spans
        on
            holders.phone_key = shared_spans.phone_key
            and holders.valid_from < shared_spans.span_to
            and holders.valid_to > shared_spans.span_from
),

-- --------------------------------------------------- all days of these members, in whole pieces

edges as (
    select
        member_id,
        valid_from as edge_on
    from resolved
    union distinct
    select
        member_id,
        valid_to as edge_on
    from resolved
    where valid_to < {{ last_day_of_time() }}
    union distinct
    select
        member_id,
        {{ first_day() }} as edge_on
    from resolved
),

filled as (
    select
        edges.member_id,
        resolved.household_id,
        resolved.match_reason,
        edges.edge_on as valid_from,
        coalesce(resolved.customer_id, edges.member_id) as customer_id,
        coalesce(resolved.is_shared_phone, false) as is_shared_phone
    from edges
    left join resolved
        on edges.member_id = resolved.member_id and edges.edge_on = resolved.valid_from
),

compared as (
    select
        *,
        lag(customer_id) over versions as previous_customer_id,
        lag(household_id) over versions as previous_household_id,
        lag(match_reason) over versions as previous_match_reason,
        lag(is_shared_phone) over versions as previous_is_shared_phone
    from filled
    window versions as (partition by member_id order by valid_from)
),

whole as (
    select
        member_id,
        customer_id,
        household_id,
        match_reason,
        is_shared_phone,
        valid_from,
        coalesce(
            lead(valid_from) over (partition by member_id order by valid_from),
            {{ last_day_of_time() }}
        ) as valid_to
    from compared
    where
        previous_customer_id is distinct from customer_id
        or previous_household_id is distinct from household_id
        or previous_match_reason is distinct from match_reason
        or previous_is_shared_phone is distinct from is_shared_phone
)

select * from whole
