with versions as (
    select * from {{ ref('int_customer__range') }}
),

identity as (
    select distinct customer_id from {{ ref('bridge_customer_identity') }}
),

ids as (
    select customer_id from identity
    union distinct
    select member_id as customer_id from versions
),

final as (
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

select * from final
