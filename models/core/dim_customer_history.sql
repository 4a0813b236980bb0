with

versions as (

    select * from {{ ref('int_customer__range') }}

),

identity as (

    select distinct customer_id from {{ ref('bridge_customer_identity') }}

),

-- members who share a telephone number with others, for all days
identified as (

    select * from {{ ref('int_member__identify') }}

),

ids as (

    select customer_id from identity

    union distinct

    select member_id as customer_id from versions

),

described as (

    select
        ids.customer_id,
        case
            when ids.customer_id in ('UNKNOWN', 'ANONYMOUS') then ids.customer_id
            else versions.customer_type
        end as customer_type,
        versions.gender,
        versions.district,
        versions.household_size,
        versions.enrolled_on,
        {{ reference_key('versions.enrol_store_code') }} as enrol_store_key,
        versions.enrol_channel,
        {{ reference_key('versions.referrer_card_no') }} as referrer_card_key,
        versions.status,
        ids.customer_id not in ('UNKNOWN', 'ANONYMOUS')
        and coalesce(versions.is_inferred, true) as is_inferred,
        coalesce(versions.valid_from, {{ first_day() }}) as valid_from,
        coalesce(versions.valid_to, {{ last_day_of_time() }}) as valid_to
    from ids
    left join versions on ids.customer_id = versions.member_id

)

select
    described.customer_id,
    described.customer_type,
    described.gender,
    described.district,
    described.household_size,
    identified.household_id,
    described.enrolled_on,
    described.enrol_store_key,
    described.enrol_channel,
    described.referrer_card_key,
    described.status,
    case
        when identified.customer_id <> described.customer_id then identified.customer_id
    end as merged_into,
    described.is_inferred,
    greatest(described.valid_from, coalesce(identified.valid_from, {{ first_day() }}))
        as valid_from,
    least(described.valid_to, coalesce(identified.valid_to, {{ last_day_of_time() }})) as valid_to
from described
left join identified
    on
        described.customer_id = identified.member_id
        and described.valid_from < identified.valid_to
        and described.valid_to > identified.valid_from
