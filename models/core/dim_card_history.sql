with versions as (
    select * from {{ ref('int_card__range') }}
),

codes as (
    select * from {{ ref('int_card__collect') }}
),

rows_of_codes as (
    select
        {{ surrogate_key(['codes.card_no']) }} as card_key,
        codes.card_no,
        versions.member_id,
        versions.card_type,
        versions.issued_on,
        versions.valid_to_on,
        versions.status,
        versions.replaced_by,
        coalesce(versions.is_inferred, true) as is_inferred,
        coalesce(versions.valid_from, {{ first_day() }}) as valid_from,
        coalesce(versions.valid_to, {{ last_day_of_time() }}) as valid_to
    from codes
    left join versions on codes.card_no = versions.card_no
    where codes.is_well_formed
),

fixed as (
    select
        {{ unknown_key() }} as card_key,
        'UNKNOWN' as card_no
    union all
    select
        {{ anonymous_key() }} as card_key,
        'ANONYMOUS' as card_no
),

final as (
    select * from rows_of_codes
    union all
    select
        card_key,
        card_no,
        null as member_id,
        null as card_type,
        null as issued_on,
        null as valid_to_on,
        null as status,
        null as replaced_by,
        false as is_inferred,
        {{ first_day() }} as valid_from,
        {{ last_day_of_time() }} as valid_to
    from fixed
)

select * from final
