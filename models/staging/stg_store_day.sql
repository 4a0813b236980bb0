with source as (
    select * from {{ source('ops', 'store_day') }}
),

renamed as (
    select
        store_code,
        business_date,
        batch_id,
        md5(batch_id || digest) as source_version,
        count_rows,
        count_quarantined,
        is_clean
    from source
    where status = 'CURRENT'
)

select * from renamed
