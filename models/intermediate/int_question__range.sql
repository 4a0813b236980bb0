with source_versions as (
    select * from {{ ref('stg_survey_question') }}
),

versions as (
    select
        survey_id,
        question_id,
        survey_type,
        question_text,
        construct,
        facet,
        servqual_item,
        dimension,
        role,
        pair_id,
        scale_min,
        scale_max,
        higher_is_better,
        wave_start,
        wave_end,
        _version_at,
        _row_hash,
        -- The first version holds from the first day of time whatever its date: no answer is older
        -- than its question, so one that is must be an answer to the question as it is first known.
        -- To the ranges that is what an undated version is; the dates of later versions stand.
        false as _is_dated,
        first_value(
            case when _is_dated then cast(_version_at as date) else {{ first_day() }} end
        ) over (
            partition by survey_id, question_id order by _version_at, _is_dated, _row_hash
            rows between unbounded preceding and current row
        ) as first_version_on
    from source_versions
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['survey_id', 'question_id'],
        attributes=[
            'survey_type',
            'question_text',
            'construct',
            'facet',
            'servqual_item',
            'dimension',
            'role',
            'pair_id',
            'scale_min',
            'scale_max',
            'higher_is_better',
            'wave_start',
            'wave_end',
            'first_version_on',
        ],
        infer_prefix=false,
        obey_start_param=false,
    ) | indent(4) }}
)

select * from ranged
