with versions as (
    select * from {{ ref('stg_complaint') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['complaint_no'],
        attributes=[
            'received_at',
            'channel_code',
            'entry_level',
            'card_no',
            'store_code',
            'department',
            'sku_code',
            'kind',
            'reason_code',
            'severity',
            'merged_into',
            'compensation_type',
            'compensation_amount',
            'orig_store_code',
            'orig_business_date',
            'orig_till_no',
            'orig_receipt_no',
            'is_simulated',
        ],
        infer_prefix=false,
    ) | indent(4) }}
)

select * from ranged
