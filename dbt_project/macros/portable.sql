{#-
    The few functions that DuckDB and Spark spell differently. Models call these and stay in the
    common subset; a new engine adds a `<engine>__` twin here and nowhere else.
-#}

{#- BIGINT key of the given text expressions: the first 15 hex digits (60 bits) of an md5. -#}
{% macro surrogate_key(expressions) -%}
    {%- set text = [] -%}
    {%- for expression in expressions -%}
        {%- do text.append("coalesce(cast(" ~ expression ~ " as " ~ dbt.type_string() ~ "), '')") -%}
    {%- endfor -%}
    {{ kehu.hex_to_bigint("substr(md5(" ~ text | join(" || chr(31) || ") ~ "), 1, 15)") }}
{%- endmacro %}

{% macro hex_to_bigint(expression) -%}
    {{ return(adapter.dispatch("hex_to_bigint", "kehu")(expression)) }}
{%- endmacro %}
{% macro default__hex_to_bigint(expression) -%}
    cast(('0x' || {{ expression }}) as bigint)
{%- endmacro %}
{% macro spark__hex_to_bigint(expression) -%}
    cast(conv({{ expression }}, 16, 10) as bigint)
{%- endmacro %}

{#- Whole days from the first date to the second; `date - date` differs between engines. -#}
{% macro days_between(from_date, to_date) -%}
    {{ return(adapter.dispatch("days_between", "kehu")(from_date, to_date)) }}
{%- endmacro %}
{% macro default__days_between(from_date, to_date) -%}
    date_diff('day', {{ from_date }}, {{ to_date }})
{%- endmacro %}
{% macro spark__days_between(from_date, to_date) -%}
    datediff({{ to_date }}, {{ from_date }})
{%- endmacro %}

{#- Whole minutes elapsed from the first timestamp to the second (59 seconds are 0 minutes). -#}
{% macro minutes_between(from_at, to_at) -%}
    {{ return(adapter.dispatch("minutes_between", "kehu")(from_at, to_at)) }}
{%- endmacro %}
{% macro default__minutes_between(from_at, to_at) -%}
    date_sub('minute', {{ from_at }}, {{ to_at }})
{%- endmacro %}
{% macro spark__minutes_between(from_at, to_at) -%}
    timestampdiff(minute, {{ from_at }}, {{ to_at }})
{%- endmacro %}

{#- Whole seconds elapsed from the first timestamp to the second. -#}
{% macro seconds_between(from_at, to_at) -%}
    {{ return(adapter.dispatch("seconds_between", "kehu")(from_at, to_at)) }}
{%- endmacro %}
{% macro default__seconds_between(from_at, to_at) -%}
    date_sub('second', {{ from_at }}, {{ to_at }})
{%- endmacro %}
{% macro spark__seconds_between(from_at, to_at) -%}
    timestampdiff(second, {{ from_at }}, {{ to_at }})
{%- endmacro %}

{#- True where the whole text matches the pattern. -#}
{% macro matches_fully(expression, pattern) -%}
    {{ return(adapter.dispatch("matches_fully", "kehu")(expression, pattern)) }}
{%- endmacro %}
{% macro default__matches_fully(expression, pattern) -%}
    regexp_full_match({{ expression }}, {{ pattern }})
{%- endmacro %}
{% macro spark__matches_fully(expression, pattern) -%}
    {{ expression }} rlike concat('^(', {{ pattern }}, ')$')
{%- endmacro %}

{#- True where the pattern is found anywhere in the text: `a|b` finds either word. -#}
{% macro finds(expression, pattern) -%}
    {{ return(adapter.dispatch("finds", "kehu")(expression, pattern)) }}
{%- endmacro %}
{% macro default__finds(expression, pattern) -%}
    regexp_matches({{ expression }}, {{ pattern }})
{%- endmacro %}
{% macro spark__finds(expression, pattern) -%}
    {{ expression }} rlike {{ pattern }}
{%- endmacro %}

{#- True where `item` is one of the `|`-separated items of `items`. -#}
{% macro is_one_of(item, items) -%}
    (('|' || {{ items }} || '|') like ('%|' || {{ item }} || '|%'))
{%- endmacro %}

{#- One row per item of the `|`-separated `items`; stands alone as a column of a select. -#}
{% macro split_items(items) -%}
    {{ return(adapter.dispatch("split_items", "kehu")(items)) }}
{%- endmacro %}
{% macro default__split_items(items) -%}
    unnest(string_split({{ items }}, '|'))
{%- endmacro %}
{% macro spark__split_items(items) -%}
    explode(split({{ items }}, '[|]'))
{%- endmacro %}

{#- One row per day, both ends included, as column `date_on`. -#}
{% macro date_series(from_date, to_date) -%}
    {{ return(adapter.dispatch("date_series", "kehu")(from_date, to_date)) }}
{%- endmacro %}
{% macro default__date_series(from_date, to_date) -%}
    select cast(unnest(generate_series({{ from_date }}, {{ to_date }}, interval '1 day')) as date) as date_on
{%- endmacro %}
{% macro spark__date_series(from_date, to_date) -%}
    select explode(sequence({{ from_date }}, {{ to_date }}, interval 1 day)) as date_on
{%- endmacro %}

{#- Quotient of two decimals as money; a bare `/` gives DOUBLE here and DECIMAL there. -#}
{% macro divide_to_money(numerator, denominator) -%}
    cast(
        cast({{ numerator }} as double) / nullif(cast({{ denominator }} as double), 0)
        as decimal(18, 2)
    )
{%- endmacro %}

{#- P(X >= x) of a Poisson variable with mean `mean` > 0; `x` is a whole number from 0 on. -#}
{% macro poisson_tail(x, mean) -%}
    {{ return(adapter.dispatch("poisson_tail", "kehu")(x, mean)) }}
{%- endmacro %}
{% macro default__poisson_tail(x, mean) -%}
    greatest(
        0,
        1 - coalesce(
            list_sum(
                list_transform(
                    range(0, cast({{ x }} as bigint)),
                    lambda k: exp(-{{ mean }} + k * ln({{ mean }}) - lgamma(k + 1))
                )
            ),
            0
        )
    )
{%- endmacro %}
{#- Spark has no lgamma: each term is made of the one before it. -#}
{% macro spark__poisson_tail(x, mean) -%}
    case
        when {{ x }} < 1 then 1
        when {{ x }} = 1 then 1 - exp(-{{ mean }})
        else aggregate(
            sequence(1, cast({{ x }} as int) - 1),
            named_struct('term', exp(-{{ mean }}), 'total', exp(-{{ mean }})),
            (state, k) -> named_struct(
                'term', state.term * {{ mean }} / k,
                'total', state.total + state.term * {{ mean }} / k
            ),
            state -> greatest(0, 1 - state.total)
        )
    end
{%- endmacro %}

{#- Texts of a group in their order, separated by commas; NULL left out, '' or NULL where none is. -#}
{% macro text_list(expression) -%}
    {{ return(adapter.dispatch("text_list", "kehu")(expression)) }}
{%- endmacro %}
{% macro default__text_list(expression) -%}
    string_agg({{ expression }}, ', ' order by {{ expression }})
{%- endmacro %}
{% macro spark__text_list(expression) -%}
    array_join(sort_array(collect_list({{ expression }})), ', ')
{%- endmacro %}
