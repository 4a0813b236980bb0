with versions as (
    select * from {{ ref('stg_member') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['member_id'],
        attributes=[
            'customer_type',
            'gender',
            'district',
            'household_size',
            'enrolled_on',
            'enrol_store_code',
            'enrol_channel',
            'referrer_card_no',
            'status',
        ],
    ) | indent(4) }}
)

select * from ranged
