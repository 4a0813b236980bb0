with versions as (
    select * from {{ ref('int_store__range') }}
),

codes as (
    select * from {{ ref('int_store__collect') }}
),

rows_of_codes as (
    select
        {{ surrogate_key(['codes.store_code']) }} as store_key,
        codes.store_code,
        versions.store_name,
        versions.format,
        versions.city,
        versions.district,
        versions.area_m2,
        versions.opened_on,
        versions.closed_on,
        coalesce(versions.is_test, false)
        or {{ is_one_of('codes.store_code', param('test_store_codes')) }}
        or coalesce({{ finds('versions.store_name', param('test_store_names')) }}, false)
            as is_test,
        versions.competitors_3km,
        coalesce(versions.is_inferred, true) as is_inferred,
        coalesce(versions.valid_from, {{ first_day() }}) as valid_from,
        coalesce(versions.valid_to, {{ last_day_of_time() }}) as valid_to
    from codes
    left join versions on codes.store_code = versions.store_code
),

final as (
    select * from rows_of_codes
    union all
    select
        {{ unknown_key() }} as store_key,
        'UNKNOWN' as store_code,
        null as store_name,
        null as format,
        null as city,
        null as district,
        null as area_m2,
        null as opened_on,
        null as closed_on,
        false as is_test,
        null as competitors_3km,
        false as is_inferred,
        {{ first_day() }} as valid_from,
        {{ last_day_of_time() }} as valid_to
)

select * from final
