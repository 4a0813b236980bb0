{#-
    Class of one Kano pair (Kano et al. 1984, table of Berger et al. 1993): `functional` and
    `dysfunctional` are answers from 1 (like) to 5 (dislike). A attractive, O one-dimensional,
    M must-be, I indifferent, R reverse, Q questionable.
-#}
{% macro kano_class(functional, dysfunctional) -%}
    substr(
        case {{ functional }} when 1 then 'QAAAO' when 5 then 'RRRRQ' else 'RIIIM' end,
        cast({{ dysfunctional }} as integer), 1
    )
{%- endmacro %}

{#- A score with the high end good, whatever the question's direction. -#}
{% macro oriented_score(relation) -%}
    case
        when {{ relation }}.higher_is_better then {{ relation }}.answer_num
        else {{ relation }}.scale_min + {{ relation }}.scale_max - {{ relation }}.answer_num
    end
{%- endmacro %}

{#- `score` moved linearly from the question's scale to `low` .. `high`. -#}
{% macro rescaled_score(score, scale_min, scale_max, low, high) -%}
    cast(
        {{ low }} + {{ high - low }} * cast({{ score }} - {{ scale_min }} as double)
        / nullif({{ scale_max }} - {{ scale_min }}, 0)
        as decimal(10, 6)
    )
{%- endmacro %}
