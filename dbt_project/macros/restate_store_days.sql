{#-
    The work list of a sales fact: store-days whose rows in `fact` are not what they should be.

    1. compared both ways with the ledger: a store-day that is new, replaced (other version),
       built by other rules (param card_no_pattern), emptied or withdrawn;
    2. store-days of a card that belongs to another customer now.

    It is a comparison of states, never of times: run twice, it is empty the second time, and a
    process killed at any instruction leaves nothing behind that it would not see.
-#}
{% macro store_days_to_restate(fact) -%}
    select
        coalesce(expected.store_code, built.store_code) as store_code,
        coalesce(expected.business_date, built.business_date) as business_date
    from (
        select
            store_code,
            business_date,
            source_version,
            {{ kehu.sales_rule_version() }} as rule_version
        from {{ ref("stg_store_day") }}
        where count_rows > 0
    ) as expected
    full outer join (
        select distinct
            store_code,
            business_date,
            source_version,
            rule_version
        from {{ fact }}
    ) as built
        on
            expected.store_code = built.store_code
            and expected.business_date = built.business_date
            and expected.source_version = built.source_version
            and expected.rule_version = built.rule_version
    where expected.store_code is null or built.store_code is null

    union distinct

    select
        fact_row.store_code,
        fact_row.business_date
    from {{ fact }} as fact_row
    inner join {{ ref("bridge_customer_identity") }} as identity
        on
            fact_row.card_key = identity.card_key
            and identity.valid_to = {{ kehu.last_day_of_time() }}
            and fact_row.customer_id <> identity.customer_id
{%- endmacro %}

{#- What a sales row depends on beside its store-day and its card's customer. -#}
{% macro sales_rule_version() -%}
    md5({{ kehu.param("card_no_pattern") }})
{%- endmacro %}

{#-
    Incremental strategy `store_day`: delete by the work list, then insert what the model selected
    for the same work list. Both stand in the one statement that dbt wraps in BEGIN and COMMIT, so
    a killed process leaves the fact as it was. Deleting by the work list and not by the arriving
    rows is what empties an emptied store-day.
-#}
{% macro get_incremental_store_day_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }}
    where (store_code, business_date) in (
        select
            work_list.store_code,
            work_list.business_date
        from ({{ kehu.store_days_to_restate(arg_dict["target_relation"]) }}) as work_list
    );

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
