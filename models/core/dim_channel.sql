with channels as (
    select * from {{ ref('channel') }}
),

final as (
    select
        channel_code,
        name_en,
        name_zh,
        used_by
    from channels
    union all
    select
        'UNKNOWN' as channel_code,
        'No channel recorded' as name_en,
        '未知' as name_zh,
        null as used_by
)

select * from final
