{#-
    Bound of the Wilson interval of the proportion `count_hits / count_all` (Wilson 1927), NULL
    where nothing was counted. `side` is '-' for the lower and '+' for the upper bound.
-#}
{% macro wilson_bound(count_hits, count_all, z, side) -%}
    {%- set n = "cast(" ~ count_all ~ " as double)" -%}
    {%- set z = "cast(" ~ z ~ " as double)" -%}
    {#- greatest() and least() skip NULLs, so that the empty case needs its own branch -#}
    case when {{ count_all }} > 0 then cast(least(1.0, greatest(0.0, (
        {{ count_hits }} + {{ z }} * {{ z }} / 2
        {{ side }} {{ z }} * sqrt(
            {{ count_hits }} * ({{ n }} - {{ count_hits }}) / {{ n }} + {{ z }} * {{ z }} / 4
        )
    ) / ({{ n }} + {{ z }} * {{ z }}))) as decimal(9, 6)) end
{%- endmacro %}

{#-
    The proportion hits / base and its Wilson bounds as three columns `name`, `name`_lo and
    `name`_hi; NULL where nothing was counted. `counts` is [hits, base], whole numbers; `z` a column
    of doubles. For marts with many shares: it says the same as wilson_bound in fewer words.
-#}
{% macro wilson_share(name, counts, z) -%}
    {%- set h, n = counts -%}
    cast({{ h }} / nullif({{ n }}, 0) as decimal(9, 6)) as {{ name }}
    {%- for side, sign in [("lo", "-"), ("hi", "+")] -%},
    cast(({{ h }} + {{ z }} * {{ z }} / 2 {{ sign }} {{ z }} * sqrt({{ h }} * ({{ n }} - {{ h }}) / nullif({{ n }}, 0) + {{ z }} * {{ z }} / 4)) / nullif({{ n }} + {{ z }} * {{ z }}, 0) as decimal(9, 6)) as {{ name }}_{{ side }}
    {%- endfor -%}
{%- endmacro %}
