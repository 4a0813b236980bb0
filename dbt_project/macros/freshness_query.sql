{#-
    `loaded_at_query` of a source: the newest event up to as_of_date, moved by the distance between
    the end of as_of_date and now. dbt then reports its age as seen from as_of_date.
-#}
{% macro freshness_query(table, event_column) -%}
    select
        cast(now() as timestamp)
        - (
            cast({{ kehu.as_of_date() }} + 1 as timestamp)
            - coalesce(max(cast({{ event_column }} as timestamp)), timestamp '1900-01-01')
        )
    from {{ target.database }}.{{ table }}
    where cast({{ event_column }} as date) <= {{ kehu.as_of_date() }}
{%- endmacro %}
