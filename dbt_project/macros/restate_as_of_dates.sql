{#-
    Incremental strategy `as_of_date` of fct_customer_month: delete every date whose input is not
    what its rows were computed from, or that left the set of dates, then insert what the model
    computed for the dates that are missing. Both stand in the one statement that dbt wraps in
    BEGIN and COMMIT. Deleting by comparison and not by the arriving rows is what empties a date
    that no customer has any more.
-#}
{% macro get_incremental_as_of_date_sql(arg_dict) -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }}
    where input_digest not in (
        select digests.input_digest from {{ ref("int_as_of__digested") }} as digests
    );

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict["temp_relation"] }}
{%- endmacro %}
