with source as (
    select * from {{ source('raw', 'survey_answer') }}
),

renamed as (
    select
        -- ids
        response_id,
        question_id,
        option_seq,
        survey_id,
        invitation_id,
        card_no,
        complaint_no,
        store_code,

        -- measures
        answer_num,
        answer_code,

        -- timestamps
        started_at,
        submitted_at,

        -- lineage
        _version_at,
        _is_dated,
        _row_hash,
        _is_simulated as is_simulated
    from source
)

select * from renamed
