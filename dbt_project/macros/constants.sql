{#- The fixed rows of the dimensions and the ends of time, each named once. -#}

{% macro unknown_key() -%} -1 {%- endmacro %}
{% macro anonymous_key() -%} -2 {%- endmacro %}
{% macro first_day() -%} cast('1900-01-01' as date) {%- endmacro %}
{% macro last_day_of_time() -%} cast('9999-12-31' as date) {%- endmacro %}

{#-
    The date that every published number is a function of: the var `as_of_date` where one is given,
    else the date of the night, which `kehu` writes into ops.as_of. A var of its own for each night
    would make dbt read the whole project anew each night.
-#}
{% macro as_of_date() -%}
    {%- if var("as_of_date", none) is not none -%}
    cast('{{ var("as_of_date") }}' as date)
    {%- else -%}
    (select night.as_of_date from {{ target.database }}.ops.as_of as night)
    {%- endif -%}
{%- endmacro %}

{#- Key of a reference that may be absent: UNKNOWN where the source names nothing. -#}
{% macro reference_key(code) -%}
    case when {{ code }} is null then {{ kehu.unknown_key() }} else {{ kehu.surrogate_key([code]) }} end
{%- endmacro %}
