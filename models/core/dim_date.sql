with days as (
    {{ date_series(param('calendar_from'), param('calendar_to')) }}
),

holidays as (
    select * from {{ ref('calendar') }}
),

own_holidays as (
    select
        date_on,
        holiday_name,
        is_closed
    from holidays
    where calendar = {{ param('calendar') }}
),

festivals as (
    select date_on
    from holidays
    where is_spring_festival
),

nearest_festival as (
    select
        days.date_on,
        {{ days_between('festivals.date_on', 'days.date_on') }} as days_from_spring_festival
    from days
    inner join festivals
        -- Two New Years are at most 385 days apart, so the nearer one is never further than this.
        on
            festivals.date_on >= days.date_on - 193
            and festivals.date_on <= days.date_on + 193
    qualify row_number() over (
        partition by days.date_on
        order by
            abs({{ days_between('festivals.date_on', 'days.date_on') }}),
            festivals.date_on
    ) = 1
),

parts as (
    select
        date_on,
        cast(date_trunc('week', date_on) as date) as week_start_date,
        cast(date_trunc('month', date_on) as date) as month_start_date,
        cast(date_trunc('quarter', date_on) as date) as quarter_start_date
    from days
),

final as (
    select
        parts.date_on,
        cast(extract(year from parts.week_start_date + 3) as integer) as iso_year,
        cast(floor((extract(doy from parts.week_start_date + 3) - 1) / 7) + 1 as integer)
            as iso_week,
        parts.week_start_date,
        parts.month_start_date,
        parts.quarter_start_date,
        cast(extract(year from parts.date_on) as integer) as year,
        cast({{ days_between('parts.week_start_date', 'parts.date_on') }} + 1 as integer)
            as day_of_week_iso,
        {{ days_between('parts.week_start_date', 'parts.date_on') }} >= 5 as is_weekend,
        own_holidays.date_on is not null as is_holiday,
        coalesce(own_holidays.is_closed, false) as is_closed,
        own_holidays.holiday_name,
        cast(nearest_festival.days_from_spring_festival as integer) as days_from_spring_festival,
        cast(
            (
                extract(month from parts.date_on)
                - {{ param('fiscal_year_start_month') }}
                + 12
            ) % 12 + 1 as integer
        ) as fiscal_month
    from parts
    left join own_holidays on parts.date_on = own_holidays.date_on
    left join nearest_festival on parts.date_on = nearest_festival.date_on
)

select * from final
