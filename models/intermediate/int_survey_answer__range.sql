with versions as (
    select * from {{ ref('stg_survey_answer') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['response_id', 'question_id', 'option_seq'],
        attributes=[
            'survey_id',
            'invitation_id',
            'card_no',
            'complaint_no',
            'store_code',
            'started_at',
            'submitted_at',
            'answer_num',
            'answer_code',
            'is_simulated',
        ],
        infer_prefix=false,
        obey_start_param=false,
    ) | indent(4) }}
)

select * from ranged
