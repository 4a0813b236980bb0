with versions as (
    select * from {{ ref('stg_store') }}
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['store_code'],
        attributes=[
            'store_name',
            'format',
            'city',
            'district',
            'area_m2',
            'opened_on',
            'closed_on',
            'is_test',
            'competitors_3km',
        ],
    ) | indent(4) }}
)

select * from ranged
