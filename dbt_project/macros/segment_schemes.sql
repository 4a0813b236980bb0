{#-
    The ways to divide customers into tiers: scheme, where customers are ranked, the column of
    int_segment__assigned that holds the tier, its tiers from the best down where they have an order,
    and what it is called to come into the scheme and to leave it (NEW and LOST are stages too).
-#}
{% macro segment_schemes() -%}
    {%- set schemes = [] -%}
    {%- for scope, prefix in {"COMPANY": "", "STORE": "store_"}.items() -%}
        {%- for scheme, column, tiers in [
            ("ABC_VALUE", "abc_class", ["A", "B", "C"]),
            ("ABC_COUNT", "abc_count_class", ["A", "B", "C"]),
            ("PYR_1_19_30_50", "pyramid_tier", ["TOP", "MAJOR", "ORDINARY", "SMALL"]),
            ("PYR_1_4_15_80", "curry_tier", ["TOP", "MAJOR", "ORDINARY", "SMALL"]),
        ] -%}
            {%- do schemes.append(
                {
                    "scheme": scheme, "scope": scope, "column": prefix ~ column, "tiers": tiers,
                    "entry": "NEW", "exit": "LOST",
                }
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {%- for scheme, column, entry, exit in [
        ("RFM", "rfm_segment", "NEW", "LOST"),
        ("STAGE", "lifecycle_stage", "NEW_CUSTOMER", "LOST_CUSTOMER"),
        ("CUBE", "cube_cell", "NEW", "LOST"),
    ] -%}
        {%- do schemes.append(
            {
                "scheme": scheme, "scope": "COMPANY", "column": column, "tiers": [],
                "entry": entry, "exit": exit,
            }
        ) -%}
    {%- endfor -%}
    {{ return(schemes) }}
{%- endmacro %}

{#- Place of a tier among its scheme's tiers, 1 best; NULL where the scheme has no order. -#}
{% macro tier_order(column, tiers) -%}
    {%- if tiers -%}
    case {{ column }}
        {%- for tier in tiers %} when '{{ tier }}' then {{ loop.index }}{% endfor %} end
    {%- else -%}
    cast(null as integer)
    {%- endif -%}
{%- endmacro %}
