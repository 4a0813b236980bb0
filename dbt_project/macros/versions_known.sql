{#-
    Versions in `history` (columns `names`) of which some date of `knowledge_span` knows, of those that
    meet `condition`.
-#}
{% macro versions_known(history, names, condition) -%}
select
    {%- for name in names + ["valid_from", "valid_to"] %}
    {{ history }}.{{ name }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ history }}
inner join knowledge_span
    on
        {{ history }}.valid_from <= knowledge_span.last_as_of_date
        and {{ history }}.valid_to > knowledge_span.first_as_of_date
where {{ condition }}
{%- endmacro %}
