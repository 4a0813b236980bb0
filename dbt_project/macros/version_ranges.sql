{#-
    Versions of a key -> one row per key and validity range, any order of arrival.

    `relation` holds every version ever loaded: the key columns, `attributes`, `_version_at`,
    `_is_dated` (the row itself states when it was valid) and `_row_hash` (tie-breaker).
    A version counts from the day of `_version_at`; of several on one day the last one stands.
    The first version of a key counts from the first day of time where the row is undated or
    where the param first_version_valid_from is 'START' (`obey_start_param`).
    With `infer_prefix` an inferred row (attributes NULL) stands before the first known version,
    so that the ranges of a key cover all days without a gap. `valid_to` is exclusive.
-#}
{% macro version_ranges(relation, keys, attributes, infer_prefix=true, obey_start_param=true) -%}
    {%- set key_list = keys | join(", ") -%}
    with dated as (
        select
            {{ (keys + attributes) | join(",\n            ") }},
            _version_at,
            _row_hash,
            case
                when
                    _version_at = min(_version_at) over (partition by {{ key_list }})
                    and (
                        not _is_dated
                        {%- if obey_start_param %}
                        or {{ kehu.param("first_version_valid_from") }} = 'START'
                        {%- endif %}
                    )
                    then {{ kehu.first_day() }}
                else cast(_version_at as date)
            end as valid_from
        from {{ relation }}
    ),

    last_of_day as (
        select *
        from dated
        qualify row_number() over (
            partition by {{ key_list }}, valid_from
            order by _version_at desc, _row_hash desc
        ) = 1
    ),

    ranged as (
        select
            *,
            coalesce(
                lead(valid_from) over (partition by {{ key_list }} order by valid_from),
                {{ kehu.last_day_of_time() }}
            ) as valid_to,
            row_number() over (partition by {{ key_list }} order by valid_from) as version_number
        from last_of_day
    )

    select
        {{ (keys + attributes) | join(",\n        ") }},
        valid_from,
        valid_to,
        false as is_inferred
    from ranged
    {%- if infer_prefix %}
    union all
    select
        {{ keys | join(",\n        ") }},
        {%- for attribute in attributes %}
        null as {{ attribute }},
        {%- endfor %}
        {{ kehu.first_day() }} as valid_from,
        valid_from as valid_to,
        true as is_inferred
    from ranged
    where version_number = 1 and valid_from > {{ kehu.first_day() }}
    {%- endif %}
{%- endmacro %}
