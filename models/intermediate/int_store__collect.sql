with sales as (
    select store_code from {{ ref('stg_store_day') }}
),

answers as (
    select store_code from {{ ref('stg_survey_answer') }}
),

complaints as (
    select store_code from {{ ref('stg_complaint') }}
),

members as (
    select enrol_store_code as store_code from {{ ref('stg_member') }}
),

masters as (
    select store_code from {{ ref('stg_store') }}
),

named as (
    select store_code from sales
    union distinct
    select store_code from answers
    union distinct
    select store_code from complaints
    union distinct
    select store_code from members
    union distinct
    select store_code from masters
)

select store_code
from named
where store_code is not null
