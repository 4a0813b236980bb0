with source as (
    select * from {{ source('ops', 'store_day') }}
),

renamed as (
    select
        store_code,
        business_date,
        batch_id,
        count_rows,
        count_quarantined,
        is_clean,
        md5(batch_id || digest) as source_version
    from source
    where status = 'CURRENT'
)

select * from renamed
