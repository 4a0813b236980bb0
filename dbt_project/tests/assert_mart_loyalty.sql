-- Every customer has a row; nobody has a loyalty type without having been asked; excluded
-- customers have no score.
with loyalty as (
    select * from {{ ref('mart_loyalty') }}
)

select
    'customer without a row, or row without a customer' as failure,
    coalesce(months.customer_id, loyalty.customer_id) as customer_id,
    coalesce(months.as_of_date, loyalty.as_of_date) as as_of_date
from {{ ref('fct_customer_month') }} as months
full outer join loyalty
    on
        months.customer_id = loyalty.customer_id
        and months.as_of_date = loyalty.as_of_date
where months.customer_id is null or loyalty.customer_id is null

union all

select
    'score, class or type disagrees with the population' as failure,
    customer_id,
    as_of_date
from loyalty
where
    (excluded_reason is null and count_visits_365d > 0) <> (behaviour_index is not null)
    or (behaviour_index is null) <> (behaviour_class is null)
    or behaviour_index not between 0 and 100
    or (excluded_reason is null and is_surveyed) <> (attitude_score is not null)
    or (attitude_score is null) <> (loyalty_type = 'UNKNOWN')
    or attitude_score not between 0 and 100
    or behaviour_class not in ('HIGH', 'MEDIUM', 'LOW')
    or loyalty_type not in ('TRUE', 'LATENT', 'SPURIOUS', 'NONE', 'UNKNOWN')
