with versions as (
    select * from {{ ref('stg_member_card') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['card_no'],
        attributes=[
            'member_id',
            'card_type',
            'issued_on',
            'valid_to_on',
            'status',
            'replaced_by',
        ],
    ) | indent(4) }}
)

select * from ranged
