with batches as (

    select *
    from {{ source('ledger', 'batch') }}
    where status <> 'REFUSED'

),

feeds as (

    select * from {{ source('ledger', 'feed') }}

),

store_days as (

    select *
    from {{ source('ledger', 'store_day') }}
    where status = 'CURRENT'

),

stores as (

    select * from {{ ref('dim_store') }}

),

dates as (

    select * from {{ ref('dim_date') }}

),

parameters as (

    select *
    from {{ ref('dim_as_of') }}
    where is_latest

),

-- store-days: what was expected in the last days, by the store's own weekdays and holidays

by_store as (

    select
        store_days.store_code,
        min(store_days.business_date) as first_on,
        max(store_days.business_date) as last_on,
        max(store_days.arrived_at) as last_arrived_at
    from store_days
    inner join parameters on store_days.business_date <= parameters.as_of_date
    group by store_days.store_code

),

looked_at as (

    select
        by_store.store_code,
        by_store.first_on,
        dates.date_on,
        dates.holiday_name,
        parameters.rhythm_weekdays,
        parameters.rhythm_min_traded,
        parameters.rhythm_min_lines,
        coalesce(dates.is_holiday, false) as is_holiday,
        coalesce(dates.is_closed, false) as is_closed
    from by_store
    cross join parameters
    inner join dates
        on
            parameters.as_of_date - parameters.freshness_days < dates.date_on
            and parameters.as_of_date >= dates.date_on
            and by_store.first_on <= dates.date_on
    left join stores on by_store.store_code = stores.store_code
    where
        not coalesce(stores.is_test, false)
        and dates.date_on <= coalesce(stores.closed_on, dates.date_on)

),

weekdays as (

    select
        looked_at.store_code,
        looked_at.date_on,
        count(*) filter (
            where
            {{ days_between('store_days.business_date', 'looked_at.date_on') }} % 7 = 0
            and store_days.count_rows > 0
        ) as count_same_weekday,
        count(*) filter (where store_days.count_rows > 0) as count_any_day,
        percentile_cont(0.5) within group (
            order by
                case
                    when
                        {{ days_between('store_days.business_date', 'looked_at.date_on') }} % 7 = 0
                        and store_days.count_rows > 0
                        then cast(store_days.count_rows as double)
                end
        ) as median_lines
    from looked_at
    inner join store_days
        on
            looked_at.store_code = store_days.store_code
            and looked_at.date_on > store_days.business_date
            and looked_at.date_on - 7 * looked_at.rhythm_weekdays <= store_days.business_date
    group by looked_at.store_code, looked_at.date_on

),

holidays as (

    select
        looked_at.store_code,
        looked_at.date_on,
        count(*) as count_holidays,
        count(*) filter (where store_days.count_rows > 0) as count_traded
    from looked_at
    inner join dates
        on
            looked_at.holiday_name = dates.holiday_name
            and looked_at.first_on <= dates.date_on
            and looked_at.date_on > dates.date_on
    left join store_days
        on
            looked_at.store_code = store_days.store_code
            and dates.date_on = store_days.business_date
    group by looked_at.store_code, looked_at.date_on

),

expected as (

    select
        looked_at.store_code,
        looked_at.date_on,
        store_days.store_code is not null as has_arrived
    from looked_at
    inner join weekdays
        on
            looked_at.store_code = weekdays.store_code
            and looked_at.date_on = weekdays.date_on
    left join holidays
        on
            looked_at.store_code = holidays.store_code
            and looked_at.date_on = holidays.date_on
    left join store_days
        on
            looked_at.store_code = store_days.store_code
            and looked_at.date_on = store_days.business_date
    where
        not looked_at.is_closed
        and weekdays.count_same_weekday >= looked_at.rhythm_min_traded
        -- a store that sells little may sell nothing on a day, unless it has never done so
        and (
            weekdays.median_lines >= looked_at.rhythm_min_lines
            or weekdays.count_any_day = 7 * looked_at.rhythm_weekdays
        )
        -- a holiday as it was on the same holiday before; as any such weekday where none is known
        and (
            holidays.count_holidays is null
            or 2 * holidays.count_traded >= holidays.count_holidays
        )

),

expected_by_store as (

    select
        store_code,
        count(*) as count_expected,
        count(*) filter (where not has_arrived) as count_missing,
        max(date_on) as last_expected_on,
        min(date_on) filter (where not has_arrived) as first_missing_on,
        max(date_on) filter (where not has_arrived) as last_missing_on,
        {{ text_list(
            "case when not has_arrived then cast(date_on as " ~ dbt.type_string() ~ ") end"
        ) }} as missing_days
    from expected
    group by store_code

),

store_feeds as (

    select
        feeds.feed,
        by_store.store_code,
        by_store.last_arrived_at,
        by_store.last_on as last_data_on,
        expected_by_store.last_expected_on,
        coalesce(expected_by_store.count_expected, 0) as count_expected,
        coalesce(expected_by_store.count_missing, 0) as count_missing,
        expected_by_store.first_missing_on,
        expected_by_store.last_missing_on,
        nullif(expected_by_store.missing_days, '') as missing_days
    from feeds
    cross join by_store
    left join expected_by_store on by_store.store_code = expected_by_store.store_code
    where feeds.is_by_store

),

-- other feeds: the longest of their last pauses between nights with a file says how long to wait

arrivals as (

    select
        batches.feed,
        batches.as_of_date as night_on,
        max(batches.arrived_at) as arrived_at
    from batches
    inner join feeds on batches.feed = feeds.feed
    inner join parameters on batches.as_of_date <= parameters.as_of_date
    where not feeds.is_by_store
    group by batches.feed, batches.as_of_date

),

pauses as (

    select
        feed,
        night_on,
        arrived_at,
        {{ days_between(
            'lag(night_on) over (partition by feed order by night_on)', 'night_on'
        ) }} as pause_days,
        row_number() over (partition by feed order by night_on desc) as place
    from arrivals

),

rhythms as (

    select
        pauses.feed,
        cast(
            max(pauses.pause_days) filter (where pauses.place <= parameters.rhythm_weekdays)
            as integer
        ) as longest_pause_days,
        max(pauses.arrived_at) as last_arrived_at,
        max(pauses.night_on) as last_night_on,
        count(pauses.pause_days) filter (where pauses.place <= parameters.rhythm_weekdays)
            as count_pauses
    from pauses
    cross join parameters
    group by pauses.feed

),

due as (

    select
        feeds.feed,
        rhythms.last_arrived_at,
        rhythms.last_night_on,
        parameters.as_of_date,
        case
            when rhythms.count_pauses >= parameters.rhythm_min_gaps
                then rhythms.last_night_on + rhythms.longest_pause_days
        end as due_on
    from feeds
    cross join parameters
    left join rhythms on feeds.feed = rhythms.feed
    where not feeds.is_by_store

),

other_feeds as (

    select
        feed,
        'ALL' as store_code,
        last_arrived_at,
        last_night_on as last_data_on,
        case
            when due_on < as_of_date then due_on
            when due_on is not null then last_night_on
        end as last_expected_on,
        case when due_on is null then 0 else 1 end as count_expected,
        case when due_on < as_of_date then 1 else 0 end as count_missing,
        case when due_on < as_of_date then due_on end as first_missing_on
    from due

),

together as (

    select * from store_feeds
    union all
    select
        feed,
        store_code,
        last_arrived_at,
        last_data_on,
        last_expected_on,
        count_expected,
        count_missing,
        first_missing_on,
        first_missing_on as last_missing_on,
        cast(first_missing_on as {{ dbt.type_string() }}) as missing_days
    from other_feeds

)

select
    together.feed,
    together.store_code,
    parameters.as_of_date,

    -- state
    case
        when together.last_data_on is null then 'NEVER'
        when together.count_expected = 0 then 'NO_RHYTHM'
        when together.count_missing = 0 then 'OK'
        when together.last_missing_on = together.last_expected_on then 'MISSING'
        else 'GAPS'
    end as freshness_status,

    -- arrival
    together.last_arrived_at,
    together.last_data_on,
    cast({{ days_between('together.last_data_on', 'parameters.as_of_date') }} as integer)
        as days_since_last,

    -- expectation
    together.last_expected_on,
    cast(together.count_expected as integer) as count_expected,
    cast(together.count_expected - together.count_missing as integer) as count_arrived,
    cast(together.count_missing as integer) as count_missing,
    together.first_missing_on,
    together.last_missing_on,
    together.missing_days
from together
cross join parameters
