with history as (
    select * from {{ ref('dim_store_history') }}
)

select
    store_key,
    store_code,
    store_name,
    format,
    city,
    district,
    area_m2,
    opened_on,
    closed_on,
    is_test,
    competitors_3km,
    is_inferred
from history
where valid_to = {{ last_day_of_time() }}
