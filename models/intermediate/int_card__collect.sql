with lines as (
    select card_no from {{ ref('stg_sales_line') }}
),

answers as (
    select card_no from {{ ref('stg_survey_answer') }}
),

complaints as (
    select card_no from {{ ref('stg_complaint') }}
),

masters as (
    select card_no from {{ ref('stg_member_card') }}
),

named as (
    select card_no from lines
    union distinct
    select card_no from answers
    union distinct
    select card_no from complaints
    union distinct
    select card_no from masters
)

select
    card_no,
    coalesce({{ matches_fully('card_no', param('card_no_pattern')) }}, false) as is_well_formed
from named
where card_no is not null
