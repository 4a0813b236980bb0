-- V10: kinds of peers from the closest to the widest
{% set levels = {
    'HOUSEHOLD': ['store_format', 'household_band'],
    'FORMAT': ['store_format'],
    'COMPANY': [],
} %}

with

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

store_history as (

    select * from {{ ref('dim_store_history') }}

),

customer_history as (

    select * from {{ ref('dim_customer_history') }}

),

buyers as (

    select  -- noqa: ST06
        customer_months.customer_id,
        customer_months.as_of_date,
        store_history.format as store_format,
        customer_months.net_sales_365d - customer_months.bulk_net_sales_365d as own_spend,
        -- least() skips a NULL
        case
            when customer_history.household_size is not null
                then least(customer_history.household_size, as_of_dates.potential_household_cap)
        end as household_band,
        as_of_dates.potential_quantile,
        as_of_dates.potential_min_peers
    from customer_months
    inner join as_of_dates on customer_months.as_of_date = as_of_dates.as_of_date
    left join store_history
        on
            customer_months.home_store_key = store_history.store_key
            and customer_months.as_of_date >= store_history.valid_from
            and customer_months.as_of_date < store_history.valid_to
    left join customer_history
        on
            customer_months.customer_id = customer_history.customer_id
            and customer_months.as_of_date >= customer_history.valid_from
            and customer_months.as_of_date < customer_history.valid_to
    where
        customer_months.excluded_reason is null
        and customer_months.count_visits_365d > 0

),

places as (

    select  -- noqa: ST06
        {% for level, columns in levels.items() -%}
        count(*) over (partition by {{ (['as_of_date'] + columns) | join(', ') }})
            as {{ level | lower }}_peers,
        row_number() over (
            partition by {{ (['as_of_date'] + columns) | join(', ') }}
            order by own_spend asc nulls last, customer_id asc
        ) as {{ level | lower }}_place,
        {% endfor -%}
        *
    from buyers

),

-- the lowest spend that at least the share potential_quantile of the peers does not exceed; it is
-- what one of them really spends, where a quantile between two would be nobody's
quantiles as (

    select  -- noqa: ST06
        {% for level, columns in levels.items() -%}
        min(
            case
                when {{ level | lower }}_place >= potential_quantile * {{ level | lower }}_peers
                    then own_spend
            end
        ) over (partition by {{ (['as_of_date'] + columns) | join(', ') }})
            as {{ level | lower }}_quantile,
        {% endfor -%}
        *
    from places

),

-- customers whose format or household is not known are no peers of one another
levels_chosen as (

    select
        *,
        case
            {% for level, columns in levels.items() -%}
            when
                {{ level | lower }}_peers >= potential_min_peers
                {%- for column in columns %}
                and {{ column }} is not null
                {%- endfor %}
                then '{{ level }}'
            {% endfor -%}
            else 'TOO_FEW'
        end as potential_peers
    from quantiles

),

peers_chosen as (

    select
        customer_id,
        as_of_date,
        own_spend,
        potential_peers,
        case potential_peers
            {% for level in levels -%}
            when '{{ level }}' then {{ level | lower }}_peers
            {% endfor -%}
        end as count_peers,
        case potential_peers
            {% for level in levels -%}
            when '{{ level }}' then {{ level | lower }}_quantile
            {% endfor -%}
        end as peer_spend
    from levels_chosen

),

estimated as (

    select
        customer_id,
        as_of_date,
        potential_peers,
        count_peers,
        peer_spend,
        case when peer_spend is not null then greatest(peer_spend - own_spend, 0) end
            as potential_est,
        case
            when peer_spend is not null and own_spend > 0
                then
                    cast(
                        cast(greatest(peer_spend - own_spend, 0) as double)
                        / cast(own_spend as double) as decimal(18, 6)
                    )
        end as potential_ratio
    from peers_chosen

),

thirds as (

    select
        *,
        floor(
            3 * (
                rank() over (
                    partition by as_of_date, potential_ratio is null
                    order by potential_ratio asc nulls last
                ) - 1
            )
            / nullif(count(*) over (partition by as_of_date, potential_ratio is null), 0)
        ) as third
    from estimated

)

select
    customer_id,
    as_of_date,
    potential_peers,
    cast(count_peers as integer) as count_peers,
    cast(peer_spend as decimal(18, 2)) as peer_spend,
    cast(potential_est as decimal(18, 2)) as potential_est,
    potential_ratio,
    case
        when potential_ratio is null then null
        when third = 2 then 'HIGH'
        when third = 1 then 'MEDIUM'
        else 'LOW'
    end as potential_class
from thirds
