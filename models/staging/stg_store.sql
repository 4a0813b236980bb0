with source as (
    select * from {{ source('raw', 'store') }}
),

renamed as (
    select
        -- ids
        store_code,

        -- classes
        name as store_name,
        format,
        city,
        district,

        -- numerics
        area_m2,
        competitors_3km,

        -- dates
        opened_on,
        closed_on,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash,

        -- flags
        is_test = 1 as is_test
    from source
)

select * from renamed
