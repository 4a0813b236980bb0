-- where a customer is ranked: prefix of the columns, rows among which
{% set scopes = {'': 'as_of_date', 'store_': 'as_of_date, home_store_key'} %}

with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

population as (

    select
        customer_months.customer_id,
        customer_months.as_of_date,
        customer_months.home_store_key,
        customer_months.value_365d,
        as_of_dates.abc_a_share,
        as_of_dates.abc_b_share,
        as_of_dates.abc_count_a_pct,
        as_of_dates.abc_count_b_pct,
        as_of_dates.pyramid_top_pct,
        as_of_dates.pyramid_major_pct,
        as_of_dates.pyramid_ordinary_pct,
        as_of_dates.curry_top_pct,
        as_of_dates.curry_major_pct,
        as_of_dates.curry_ordinary_pct,
        as_of_dates.value_high_pct,
        as_of_dates.value_medium_pct
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0
        and customer_months.value_365d is not null

),

ranked as (

    select  -- noqa: ST06
        {% for prefix, rows in scopes.items() -%}
        row_number() over (
            partition by {{ rows }} order by value_365d desc nulls last, customer_id asc
        ) as {{ prefix }}value_rank,
        count(*) over (partition by {{ rows }}) as {{ prefix }}count_ranked,
        sum(greatest(value_365d, 0)) over (partition by {{ rows }}) as {{ prefix }}positive_value,
        sum(greatest(value_365d, 0)) over (
            partition by {{ rows }}
            order by value_365d desc nulls last, customer_id asc
            rows between unbounded preceding and 1 preceding
        ) as {{ prefix }}positive_value_before,
        {% endfor -%}
        *
    from population

)

select
    customer_id,
    as_of_date,
    {% for p in scopes -%}
    {{ p }}value_rank,
    -- the customer who crosses a share still belongs to the class above it
    case
        when value_365d <= 0 then 'C'
        when coalesce({{ p }}positive_value_before, 0) < abc_a_share * {{ p }}positive_value
            then 'A'
        when coalesce({{ p }}positive_value_before, 0) < abc_b_share * {{ p }}positive_value
            then 'B'
        else 'C'
    end as {{ p }}abc_class,
    case
        when ({{ p }}value_rank - 1) * 100 < {{ p }}count_ranked * abc_count_a_pct then 'A'
        when ({{ p }}value_rank - 1) * 100 < {{ p }}count_ranked * abc_count_b_pct then 'B'
        else 'C'
    end as {{ p }}abc_count_class,
    {% for tier in ['pyramid', 'curry'] -%}
    case
        when ({{ p }}value_rank - 1) * 100 < {{ p }}count_ranked * {{ tier }}_top_pct then 'TOP'
        when ({{ p }}value_rank - 1) * 100 < {{ p }}count_ranked * {{ tier }}_major_pct
            then 'MAJOR'
        when ({{ p }}value_rank - 1) * 100 < {{ p }}count_ranked * {{ tier }}_ordinary_pct
            then 'ORDINARY'
        else 'SMALL'
    end as {{ p }}{{ tier }}_tier,
    {% endfor -%}
    {% endfor -%}
    case
        when (value_rank - 1) * 100 < count_ranked * value_high_pct then 'HIGH'
        when (value_rank - 1) * 100 < count_ranked * value_medium_pct then 'MEDIUM'
        else 'LOW'
    end as value_class
from ranked
