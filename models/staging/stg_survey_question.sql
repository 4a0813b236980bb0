with source as (
    select * from {{ source('raw', 'survey_question') }}
),

renamed as (
    select
        -- ids
        survey_id,
        question_id,
        pair_id,

        -- classes
        survey_type,
        text as question_text,
        construct,
        facet,
        servqual_item,
        dimension,
        role,

        -- numerics
        scale_min,
        scale_max,

        -- dates
        wave_start,
        wave_end,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash,

        -- flags
        higher_is_better = 1 as higher_is_better
    from source
)

select * from renamed
