{#- Fails for each combination of `columns` that occurs more than once. -#}
{% test unique_combination(model, columns) %}
    select
        {{ columns | join(",\n        ") }},
        count(*) as count_rows
    from {{ model }}
    group by {{ columns | join(", ") }}
    having count(*) > 1
{% endtest %}

{#-
    Fails for each range of a key that does not begin where the one before it ends, for a first
    range that does not begin on the first day of time (unless `from_first_day` is false) and for a
    last range that does not reach the last one. So ranges never overlap and leave no gap.
-#}
{% test contiguous_ranges(model, key, from_first_day=true) %}
    with ranges as (
        select
            {{ key }},
            valid_from,
            valid_to,
            lag(valid_to) over (partition by {{ key }} order by valid_from, valid_to)
                as previous_valid_to,
            lead(valid_from) over (partition by {{ key }} order by valid_from, valid_to)
                as next_valid_from
        from {{ model }}
    )

    select *
    from ranges
    where
        valid_from >= valid_to
        or previous_valid_to <> valid_from
        or next_valid_from is null and valid_to <> {{ kehu.last_day_of_time() }}
        {%- if from_first_day %}
        or previous_valid_to is null and valid_from <> {{ kehu.first_day() }}
        {%- endif %}
{% endtest %}
