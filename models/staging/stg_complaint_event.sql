with source as (
    select * from {{ source('raw', 'complaint_event') }}
),

renamed as (
    select
        -- ids
        complaint_no,
        seq,

        -- classes
        event,
        level,
        actor_type,

        -- timestamps
        occurred_at,

        -- lineage
        _version_at,
        _row_hash,
        _is_simulated as is_simulated
    from source
)

select * from renamed
