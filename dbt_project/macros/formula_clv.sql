{#-
    Value of a customer for life by formula (Gupta & Lehmann 2003), as money: `margin` per period,
    NULL where retention is not below 1 + interest. The first margin comes after the first period
    that the customer survives (END), m * r / (1 + i - r), or at once (START), which is m more.
-#}
{% macro formula_clv(margin, retention, interest, first_margin) -%}
    {%- set r = "cast(" ~ retention ~ " as double)" -%}
    case
        when {{ r }} < 1 + {{ interest }}
            then
                cast({{ margin }} * {{ r }} / (1 + {{ interest }} - {{ r }}) as decimal(18, 2))
                + case when {{ first_margin }} = 'START' then {{ margin }} else 0 end
    end
{%- endmacro %}
