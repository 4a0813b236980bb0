with reasons as (
    select * from {{ ref('reason_map') }}
),

final as (
    select
        reason_code,
        name_en,
        name_zh,
        keaveney,
        component,
        department,
        false as is_inferred
    from reasons
    union all
    select
        'UNMAPPED' as reason_code,
        'Reason that reason_map does not list' as name_en,
        '未映射' as name_zh,
        null as keaveney,
        null as component,
        null as department,
        true as is_inferred
    union all
    select
        'UNKNOWN' as reason_code,
        'No reason recorded' as name_en,
        '未知' as name_zh,
        null as keaveney,
        null as component,
        null as department,
        true as is_inferred
)

select * from final
