with

judged as (

    select * from {{ ref('int_complaint__judged') }}

),

as_of_dates as (

    select * from {{ ref('dim_as_of') }}

),

customer_months as (

    select * from {{ ref('fct_customer_month') }}

),

visits as (

    select * from {{ ref('fct_visit') }}

),

scores as (

    select * from {{ ref('int_rfm__scored') }}

),

population as (

    select
        scores.as_of_date as snapshot_on,
        scores.customer_id,
        scores.rfm_code,
        scores.rfm_segment,
        customer_months.home_store_key
    from scores
    inner join customer_months
        on
            scores.as_of_date = customer_months.as_of_date
            and scores.customer_id = customer_months.customer_id
    where scores.as_of_date in (select judged.snapshot_on from judged)

),

complainers as (

    select distinct
        as_of_date,
        customer_id
    from judged
    where is_valid and is_identified

),

cases as (

    select
        judged.complaint_no,
        judged.as_of_date,
        judged.snapshot_on,
        judged.resolved_on,
        judged.recovery_until_on,
        population.rfm_code,
        population.rfm_segment,
        population.home_store_key,
        as_of_dates.min_n
    from judged
    inner join as_of_dates on judged.as_of_date = as_of_dates.as_of_date
    inner join population
        on
            judged.snapshot_on = population.snapshot_on
            and judged.snapshot_customer_id = population.customer_id
    where judged.is_recovery_matured

),

-- ------------------------------------------------------- how many peers there are on each level

cells as (

    select
        snapshot_on,
        rfm_segment,
        rfm_code,
        home_store_key,
        count(*) as count_customers
    from population
    group by snapshot_on, rfm_segment, rfm_code, home_store_key

),

complainer_cells as (

    select
        complainers.as_of_date,
        population.snapshot_on,
        population.rfm_code,
        population.home_store_key,
        count(*) as count_customers
    from complainers
    inner join population
        on
            complainers.customer_id = population.customer_id
            and complainers.as_of_date >= population.snapshot_on
    group by
        complainers.as_of_date,
        population.snapshot_on,
        population.rfm_code,
        population.home_store_key

),

dates_of_cases as (

    select distinct
        as_of_date,
        snapshot_on
    from cases

),

peers_of_store as (

    select
        dates_of_cases.as_of_date,
        cells.snapshot_on,
        cells.rfm_segment,
        cells.rfm_code,
        cells.home_store_key,
        cells.count_customers - coalesce(complainer_cells.count_customers, 0) as count_peers
    from dates_of_cases
    inner join cells on dates_of_cases.snapshot_on = cells.snapshot_on
    left join complainer_cells
        on
            dates_of_cases.as_of_date = complainer_cells.as_of_date
            and cells.snapshot_on = complainer_cells.snapshot_on
            and cells.rfm_code = complainer_cells.rfm_code
            and cells.home_store_key = complainer_cells.home_store_key

),

peers_of_cell as (

    select
        as_of_date,
        snapshot_on,
        rfm_code,
        sum(count_peers) as count_peers
    from peers_of_store
    group by as_of_date, snapshot_on, rfm_code

),

levelled as (

    select
        cases.complaint_no,
        cases.as_of_date,
        cases.snapshot_on,
        cases.resolved_on,
        cases.recovery_until_on,
        cases.rfm_segment,
        case when peers_of_cell.count_peers >= cases.min_n then cases.rfm_code end as rfm_code,
        case when peers_of_store.count_peers >= cases.min_n then cases.home_store_key end
            as home_store_key,
        case
            when peers_of_store.count_peers >= cases.min_n then 'CELL_AND_STORE'
            when peers_of_cell.count_peers >= cases.min_n then 'CELL'
            else 'SEGMENT'
        end as control_level
    from cases
    inner join peers_of_store
        on
            cases.as_of_date = peers_of_store.as_of_date
            and cases.snapshot_on = peers_of_store.snapshot_on
            and cases.rfm_code = peers_of_store.rfm_code
            and cases.home_store_key = peers_of_store.home_store_key
    inner join peers_of_cell
        on
            cases.as_of_date = peers_of_cell.as_of_date
            and cases.snapshot_on = peers_of_cell.snapshot_on
            and cases.rfm_code = peers_of_cell.rfm_code

),

-- ---------------------------------------------------------------- did they come in the same days

-- many complaints share their peers and their days
numbered as (

    select
        *,
        dense_rank() over (
            order by
                as_of_date asc nulls last,
                snapshot_on asc nulls last,
                resolved_on asc nulls last,
                recovery_until_on asc nulls last,
                control_level asc nulls last,
                rfm_segment asc nulls last,
                rfm_code asc nulls last,
                home_store_key asc nulls last
        ) as question_no
    from levelled

),

questions as (

    select distinct
        question_no,
        as_of_date,
        snapshot_on,
        resolved_on,
        recovery_until_on,
        control_level,
        rfm_segment,
        rfm_code,
        home_store_key
    from numbered

),

-- one equality join for each level; who is no customer any more at the date (his card belongs to
-- another one by now) can not be observed and is no peer
peers as (

    {% for level, columns in {
        'CELL_AND_STORE': ['rfm_code', 'home_store_key'],
        'CELL': ['rfm_code'],
        'SEGMENT': ['rfm_segment'],
    }.items() -%}
    select
        questions.question_no,
        questions.as_of_date,
        questions.resolved_on,
        questions.recovery_until_on,
        population.customer_id
    from questions
    inner join population
        on
            questions.snapshot_on = population.snapshot_on
            {% for column in columns -%}
            and questions.{{ column }} = population.{{ column }}
            {% endfor -%}
    inner join customer_months
        on
            questions.as_of_date = customer_months.as_of_date
            and population.customer_id = customer_months.customer_id
    left join complainers
        on
            questions.as_of_date = complainers.as_of_date
            and population.customer_id = complainers.customer_id
    where questions.control_level = '{{ level }}' and complainers.customer_id is null
    {% if not loop.last -%}
    union all
    {% endif -%}
    {% endfor %}

),

-- each customer and window once, whatever the number of dates; windows have passed by the dates
-- that ask for them, so that only later knowledge tells the dates apart
sightings as (

    select distinct
        windows.customer_id,
        windows.resolved_on,
        windows.recovery_until_on,
        visits.known_to,
        greatest(visits.known_from, windows.recovery_until_on) as known_from
    from (
        select distinct
            customer_id,
            resolved_on,
            recovery_until_on
        from peers
    ) as windows
    inner join visits
        on
            windows.customer_id = visits.customer_id
            and windows.resolved_on < visits.visit_on
            and windows.recovery_until_on >= visits.visit_on

),

answered as (

    select
        peers.question_no,
        count(distinct peers.customer_id) as count_control_peers,
        count(distinct sightings.customer_id) as count_control_repurchased
    from peers
    left join sightings
        on
            peers.customer_id = sightings.customer_id
            and peers.resolved_on = sightings.resolved_on
            and peers.recovery_until_on = sightings.recovery_until_on
            and peers.as_of_date >= sightings.known_from
            and peers.as_of_date < sightings.known_to
    group by peers.question_no

)

select
    numbered.complaint_no,
    numbered.as_of_date,
    numbered.rfm_segment as snapshot_rfm_segment,
    cast(coalesce(answered.count_control_peers, 0) as integer) as count_control_peers,
    cast(coalesce(answered.count_control_repurchased, 0) as integer)
        as count_control_repurchased,
    cast(
        cast(answered.count_control_repurchased as double)
        / nullif(answered.count_control_peers, 0) as decimal(9, 6)
    ) as control_repurchase_rate,
    case when answered.count_control_peers > 0 then numbered.control_level end as control_level
from numbered
left join answered on numbered.question_no = answered.question_no
