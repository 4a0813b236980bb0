{#- What mart_report says of a row of mart_scorecard: the figure, its source and its owner. -#}
{% macro scorecard_figure(relation) -%}
    {{ relation }}.actual as value,
        {{ relation }}.unit,
        {{ relation }}.n,
        {{ relation }}.lo,
        {{ relation }}.hi,
        {{ relation }}.missing_reason,
        {{ relation }}.measured_on,
        {{ relation }}.source_mart,
        {{ relation }}.is_simulated,
        {{ relation }}.owner,
        cast(null as {{ dbt.type_string() }}) as strategy_code,
        cast(null as {{ dbt.type_string() }}) as success_kpi
{%- endmacro %}
