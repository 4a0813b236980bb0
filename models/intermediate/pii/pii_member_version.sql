{{ config(materialized='table', schema='pii', alias='member_version') }}

-- What identifies a member, made comparable. A masked, placeholder or malformed number is no key.
with members as (
    select * from {{ source('raw', 'member') }}
),

personal as (
    select * from {{ source('pii', 'member') }}
),

-- words, not a pattern: one that is no constant would be read anew for each row
provinces as (
    select string_split({{ param('province_names') }}, '|') as words
),

halved as (
    select
        members.member_id,
        members.customer_type,
        members.status,
        members.gender,
        members.enrolled_on,
        members._version_at,
        members._is_dated,
        members._row_hash,
        case
            when
                not {{ is_one_of(
                    'cast(personal.birth_date as varchar)', param('birth_date_placeholders')
                ) }}
                -- the day of the form stands for a birthday that nobody asked for
                and personal.birth_date < members.enrolled_on
                and personal.birth_date < cast(members._version_at as date)
                then personal.birth_date
        end as birth_date,
        nullif(trim({{ half_width('personal.phone') }}), '') as phone_text,
        nullif(trim({{ half_width('personal.address') }}), '') as address_text,
        nullif(
            regexp_replace(upper({{ half_width('personal.name') }}), '[\s.·・•,''\-_]', '', 'g'), ''
        ) as name_key
    from members
    left join personal
        on
            members.member_id = personal.member_id
            and members._version_at = personal._version_at
            and members._row_hash = personal._row_hash
),

numbered as (
    select
        halved.*,
        provinces.words as province_words,
        nullif(
            regexp_extract(
                regexp_replace(halved.phone_text, '[\s()\-]', '', 'g'),
                '^(?:\+?86|0086|0)?(1[3-9][0-9]{9})(?:\.0)?$', 1
            ), ''
        ) as phone_number
    from halved
    cross join provinces
),

classified as (
    select
        *,
        case
            when phone_text is null then 'EMPTY'
            when phone_text like '%*%' or phone_text ilike '%x%' then 'MASKED'
            when phone_number is null then 'INVALID'
            when
                {{ is_one_of('phone_number', param('phone_placeholders')) }}
                or replace(right(phone_number, 8), right(phone_number, 1), '') = ''
                then 'PLACEHOLDER'
            else 'OK'
        end as phone_status,
        case
            when address_text is null then 'EMPTY'
            when {{ finds('address_text', "'^(同上|同前|见上)'") }} then 'SAME_AS_ABOVE'
            when {{ finds('address_text', "'(^|[^0-9])1[3-9][0-9]{9}([^0-9]|$)'") }}
                then 'PHONE_INSIDE'
            when not {{ finds('address_text', "'[一-龥]'") }} then 'PINYIN'
            when
                not list_bool_or(
                    list_transform(province_words, lambda word: contains(address_text, word))
                )
                then 'NO_PROVINCE'
            else 'OK'
        end as address_status
    from numbered
),

versions as (
    select
        *,
        case when phone_status = 'OK' and status <> 'ERASED' then phone_number end as phone_key
    from classified
),

ranged as (
    {{ version_ranges(
        relation='versions',
        keys=['member_id'],
        attributes=[
            'customer_type',
            'status',
            'gender',
            'enrolled_on',
            'birth_date',
            'name_key',
            'phone_status',
            'phone_key',
            'address_status',
        ],
        infer_prefix=false,
    ) | indent(4) }}
)

select * from ranged
