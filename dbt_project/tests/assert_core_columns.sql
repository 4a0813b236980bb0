-- What is published carries no personal data and no inexact money: no column of core or marts is
-- named like a column of the pii schema (keys and lineage aside), nor is any of what core is made
-- of outside of that schema; every amount is decimal(18,2).
-- Reads the catalog only. depends_on: {{ ref('fct_receipt') }}
with columns as (
    select
        table_catalog,
        table_schema,
        table_name,
        column_name,
        data_type
    from system.information_schema.columns
),

personal as (
    select distinct column_name
    from columns
    where
        table_catalog = '{{ target.database }}'
        and table_schema = 'pii'
        and table_name in (
            'member', 'member_version', 'complaint', 'complaint_event', 'survey_answer'
        )
        and column_name not in (
            'member_id', 'complaint_no', 'seq', 'response_id', 'question_id', 'option_seq', 'name',
            -- what says of a member that is no personal data
            'customer_type', 'status', 'gender', 'enrolled_on', 'phone_status', 'address_status',
            'valid_from', 'valid_to', 'is_inferred'
        )
        and column_name not like '\_%' escape '\'
)

select
    columns.table_name,
    columns.column_name,
    columns.data_type
from columns
left join personal on columns.column_name = personal.column_name
where
    (
        personal.column_name is not null
        -- the words of a rule, not of a complaint
        and not (columns.table_name = 'mart_data_quality' and columns.column_name = 'description')
        and (
            (columns.table_catalog = 'marts' and columns.table_schema in ('core', 'marts'))
            or (
                columns.table_catalog = '{{ target.database }}'
                and columns.table_schema in ('staging', 'intermediate', 'raw')
            )
        )
    )
    or (
        columns.table_catalog = 'marts'
        and columns.table_schema in ('core', 'marts')
        and columns.column_name like '%amount'
        and columns.data_type <> 'DECIMAL(18,2)'
    )
