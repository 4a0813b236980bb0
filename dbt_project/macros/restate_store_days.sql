{#-
    The work list of a sales fact: store-days whose rows in `fact` are not what they should be.

    1. compared both ways with the ledger: a store-day that is new, replaced (other version),
       built by other rules (a parameter of sales_rule_version), emptied or withdrawn;
    2. store-days of a card that belongs to another customer now;
    3. where the fact `has_products`: store-days of an article number that means another product now.

    It is a comparison of states, never of times: run twice, it is empty the second time, and a
    process killed at any instruction leaves nothing behind that it would not see.
-#}
{% macro store_days_to_restate(fact, has_products=false) -%}
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
    {%- if has_products %}

    union distinct

    select
        fact_row.store_code,
        fact_row.business_date
    from {{ fact }} as fact_row
    inner join (
        select
            sku_code,
            product_key,
            used_from,
            lead(used_from) over (partition by sku_code order by used_from) as used_to
        from {{ ref("dim_product") }}
        qualify count(*) over (partition by sku_code) > 1
    ) as product
        on
            fact_row.sku_code = product.sku_code
            and fact_row.business_date >= product.used_from
            and fact_row.business_date < coalesce(product.used_to, {{ kehu.last_day_of_time() }})
            and fact_row.product_key <> product.product_key

    union distinct

    select
        fact_row.store_code,
        fact_row.business_date
    from {{ fact }} as fact_row
    left join {{ ref("dim_product") }} as product on fact_row.product_key = product.product_key
    where fact_row.product_key is not null and product.product_key is null
    {%- endif %}
{%- endmacro %}

{#- What a sales row depends on beside its store-day and its card's customer. -#}
{% macro sales_rule_version() -%}
    md5(concat_ws(
        '|', {{ kehu.param("card_no_pattern") }},
        cast({{ kehu.param("gift_price_max") }} as {{ dbt.type_string() }}),
        cast({{ kehu.param("rounding_line_max") }} as {{ dbt.type_string() }}),
        cast({{ kehu.param("resume_max_minutes") }} as {{ dbt.type_string() }})
    ))
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
        from ({{ kehu.store_days_to_restate(
            arg_dict["target_relation"],
            has_products=arg_dict["target_relation"].identifier == "fct_sales_line"
        ) }}) as work_list
    );

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
