{#- Text in half width: digits, Latin letters, brackets and spaces as a Latin keyboard has them. -#}
{% macro half_width(expression) -%}
    {%- set wide = ["　（）－＋．，＊"] -%}
    {%- set narrow = [" ()-+.,*"] -%}
    {%- for wide_first, narrow_first, count in [(65296, 48, 10), (65313, 65, 26), (65345, 97, 26)] -%}
        {%- for i in range(count) -%}
            {%- do wide.append("%c" | format(wide_first + i)) -%}
            {%- do narrow.append("%c" | format(narrow_first + i)) -%}
        {%- endfor -%}
    {%- endfor -%}
    translate({{ expression }}, '{{ wide | join }}', '{{ narrow | join }}')
{%- endmacro %}
