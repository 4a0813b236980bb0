with batches as (

    select * from {{ source('ledger', 'batch') }}

),

rules as (

    select * from {{ source('ledger', 'rule') }}

),

results as (

    select * from {{ source('ledger', 'check_result') }}

),

rejected as (

    select * from {{ source('quarantine', 'row') }}

),

repairs as (

    select * from {{ source('ledger', 'repair') }}

),

findings as (

    select * from {{ ref('fct_quality_finding') }}

),

nights as (

    select
        as_of_date as checked_on,
        feed,
        count(*) as count_batches,
        sum(rows_in) as count_rows
    from batches
    group by as_of_date, feed

),

-- a row counts once, under the first rule that it breaks, so that the rules of a feed add up
broken_rows as (

    select
        batches.as_of_date as checked_on,
        rejected.feed,
        rejected.rule_id,
        rejected.batch_id,
        rejected.line_no,
        rejected.column_name,
        rejected.severity,
        rejected.promise,
        count(*) over (
            partition by batches.as_of_date, rejected.feed, rejected.rule_id
        ) as count_failed
    from rejected
    inner join batches on rejected.batch_id = batches.batch_id
    qualify row_number() over (
        partition by batches.as_of_date, rejected.feed, rejected.rule_id
        order by rejected.batch_id nulls last, rejected.line_no nulls last
    ) = 1

),

row_rules as (

    select
        nights.checked_on,
        nights.feed,
        rules.rule_id
    from nights
    inner join rules
        on nights.feed = rules.feed and nights.checked_on >= rules.known_from
    where rules.rule_kind = 'ROW'
    union distinct
    select
        checked_on,
        feed,
        rule_id
    from broken_rows

),

by_row as (

    select
        row_rules.checked_on,
        row_rules.feed,
        row_rules.rule_id,
        'ROW' as rule_kind,
        rules.dimension,
        coalesce(rules.column_name, broken_rows.column_name) as column_name,
        coalesce(rules.severity, broken_rows.severity) as severity,
        nights.count_rows as count_checked,
        coalesce(broken_rows.count_failed, 0) as count_failed,
        broken_rows.batch_id as sample_batch_id,
        broken_rows.line_no as sample_line_no,
        cast(null as {{ dbt.type_string() }}) as observed,
        coalesce(rules.description, broken_rows.promise) as description
    from row_rules
    inner join nights
        on row_rules.checked_on = nights.checked_on and row_rules.feed = nights.feed
    left join rules on row_rules.feed = rules.feed and row_rules.rule_id = rules.rule_id
    left join broken_rows
        on
            row_rules.checked_on = broken_rows.checked_on
            and row_rules.feed = broken_rows.feed
            and row_rules.rule_id = broken_rows.rule_id

),

-- the last word on each check and batch; what a batch failed before it was judged again is over
last_results as (

    select
        results.as_of_date as checked_on,
        results.stage,
        results.feed,
        results.check_id as rule_id,
        results.batch_id,
        results.severity,
        results.success,
        results.description,
        case
            when results.observed like 'check errored%' then 'check errored'
            else nullif(results.observed, '')
        end as observed
    from results
    left join batches on results.batch_id = batches.batch_id
    where results.batch_id is null or batches.run_id = results.run_id
    qualify row_number() over (
        partition by
            results.as_of_date, results.stage, results.feed, results.check_id, results.batch_id
        order by results.checked_at desc, results.run_id desc
    ) = 1

),

failed_results as (

    select
        checked_on,
        feed,
        rule_id,
        batch_id,
        observed
    from last_results
    where not success
    qualify row_number() over (
        partition by checked_on, feed, rule_id
        order by batch_id nulls last, observed nulls last
    ) = 1

),

by_check as (

    select
        last_results.checked_on,
        last_results.feed,
        last_results.rule_id,
        max(last_results.stage) as judged_stage,
        max(last_results.severity) as severity,
        max(last_results.description) as description,
        count(*) as count_results,
        count(*) filter (where not last_results.success) as count_failed
    from last_results
    group by last_results.checked_on, last_results.feed, last_results.rule_id

),

by_batch as (

    select
        by_check.checked_on,
        by_check.feed,
        by_check.rule_id,
        case
            when rules.rule_kind is not null then rules.rule_kind
            when by_check.judged_stage = 'audit' then 'AUDIT'
            when by_check.judged_stage in ('core', 'marts') then 'MODEL'
            when failed_results.batch_id is null then 'FEED'
            else 'BATCH'
        end as rule_kind,
        rules.dimension,
        rules.column_name,
        by_check.severity,
        case
            when rules.rule_kind = 'BATCH' or failed_results.batch_id is not null
                then greatest(coalesce(nights.count_batches, 0), by_check.count_failed)
            else 1
        end as count_checked,
        by_check.count_failed,
        failed_results.batch_id as sample_batch_id,
        cast(null as bigint) as sample_line_no,
        failed_results.observed,
        coalesce(rules.description, by_check.description) as description
    from by_check
    left join rules on by_check.feed = rules.feed and by_check.rule_id = rules.rule_id
    left join nights
        on by_check.checked_on = nights.checked_on and by_check.feed = nights.feed
    left join failed_results
        on
            by_check.checked_on = failed_results.checked_on
            and by_check.feed = failed_results.feed
            and by_check.rule_id = failed_results.rule_id

),

repaired as (

    select
        batches.as_of_date as checked_on,
        repairs.feed,
        repairs.column_name,
        repairs.repair,
        repairs.batch_id,
        repairs.first_line,
        sum(repairs.count_rows) over (
            partition by batches.as_of_date, repairs.feed, repairs.column_name, repairs.repair
        ) as count_failed
    from repairs
    inner join batches on repairs.batch_id = batches.batch_id
    qualify row_number() over (
        partition by batches.as_of_date, repairs.feed, repairs.column_name, repairs.repair
        order by repairs.batch_id nulls last, repairs.first_line nulls last
    ) = 1

),

by_repair as (

    select
        repaired.checked_on,
        repaired.feed,
        'repair:' || coalesce(repaired.column_name || ':', '') || repaired.repair as rule_id,
        'REPAIR' as rule_kind,
        'VALIDITY' as dimension,
        repaired.column_name,
        'repaired' as severity,
        nights.count_rows as count_checked,
        repaired.count_failed,
        repaired.batch_id as sample_batch_id,
        repaired.first_line as sample_line_no,
        cast(null as {{ dbt.type_string() }}) as observed,
        'needs no ' || repaired.repair as description
    from repaired
    inner join nights
        on repaired.checked_on = nights.checked_on and repaired.feed = nights.feed

),

-- what only the star can judge; the subject that fails most is the sample
by_finding as (

    select
        as_of_date as checked_on,
        feed,
        'finding:' || check_id as rule_id,
        'FINDING' as rule_kind,
        'ACCURACY' as dimension,
        cast(null as {{ dbt.type_string() }}) as column_name,
        severity,
        sum(count_checked) over (partition by as_of_date, feed, check_id) as count_checked,
        sum(count_failed) over (partition by as_of_date, feed, check_id) as count_failed,
        cast(null as {{ dbt.type_string() }}) as sample_batch_id,
        cast(null as bigint) as sample_line_no,
        case when count_failed > 0 then store_code || ' ' || subject || ': ' || observed end
            as observed,
        expected as description
    from findings
    qualify row_number() over (
        partition by as_of_date, feed, check_id
        order by count_failed desc nulls last, store_code asc nulls last, subject asc nulls last
    ) = 1

),

together as (

    select * from by_row
    union all
    select * from by_batch
    union all
    select * from by_repair
    union all
    select * from by_finding

)

select
    checked_on,
    feed,
    rule_id,

    -- rule
    rule_kind,
    column_name,
    severity,
    description,

    -- result
    cast(count_checked as bigint) as count_checked,
    cast(count_failed as bigint) as count_failed,
    cast(
        case
            when count_checked > 0
                then cast(count_failed as double) / cast(count_checked as double)
        end
        as decimal(9, 6)
    ) as failed_share,

    -- evidence
    sample_batch_id,
    sample_line_no,
    observed,

    coalesce(dimension, 'CONSISTENCY') as dimension,
    count_failed = 0 as is_passed
from together
