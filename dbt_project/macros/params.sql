{#- Names and types of all parameters: each is a typed column of dim_as_of. -#}
{% macro param_types() -%}
    {{ return({
        "company_name": "string",
        "currency": "string",
        "timezone": "string",
        "calendar": "string",
        "calendar_from": "date",
        "calendar_to": "date",
        "fiscal_year_start_month": "integer",
        "card_no_pattern": "string",
        "first_version_valid_from": "string",
        "survey_missing_codes": "string",
        "non_human_actor_types": "string",
        "default_vat_rate": "decimal(4, 3)",
        "window_days": "integer",
        "visit_min_net": "decimal(18, 2)",
        "min_n": "integer",
        "min_n_complaint": "integer",
        "bulk_receipt_min": "decimal(18, 2)",
        "bulk_buyer_share": "decimal(9, 6)",
        "shared_card_receipts_per_day": "integer",
        "shared_card_receipts_per_month": "integer",
        "margin_cost_coverage_min": "decimal(9, 6)",
        "value_known_share_min": "decimal(9, 6)",
        "rfm_scores": "integer",
        "abc_a_share": "decimal(9, 6)",
        "abc_b_share": "decimal(9, 6)",
        "abc_count_a_pct": "integer",
        "abc_count_b_pct": "integer",
        "pyramid_top_pct": "integer",
        "pyramid_major_pct": "integer",
        "pyramid_ordinary_pct": "integer",
        "value_high_pct": "integer",
        "value_medium_pct": "integer",
        "tau_prior_weight": "decimal(9, 3)",
        "tau_alpha": "decimal(9, 6)",
        "tau_min_days": "integer",
        "tau_max_days": "integer",
        "tau_last_gaps": "integer",
        "tau_gap_max_days": "integer",
        "tau_min_pool_gaps": "integer",
        "tau_method": "string",
        "tau_fixed_days": "integer",
        "tau_fixed_k": "decimal(9, 3)",
        "tau_default_mean_gap": "decimal(9, 3)",
        "tau_default_first_gap_p95": "decimal(9, 3)",
        "stage_new_days": "integer",
        "stage_reactivated_days": "integer",
        "stage_at_risk_ratio": "decimal(9, 6)",
        "stage_lost_ratio": "decimal(9, 6)",
        "stage_growth_ratio": "decimal(9, 6)",
        "stage_decline_ratio": "decimal(9, 6)",
        "stage_spend_days": "integer",
        "regularity_min_gaps": "integer",
        "attitude_high": "decimal(9, 3)",
        "attitude_max_age_days": "integer",
        "attitude_constructs": "string",
        "partial_churn_ratio": "decimal(9, 6)",
        "wilson_z": "decimal(9, 6)",
        "sla_response_minutes": "integer",
        "sla_resolution_minutes": "integer",
        "discount_rate_annual": "decimal(9, 6)",
        "clv_horizon_months": "integer",
        "clv_model": "string",
        "clv_min_customers": "integer",
        "clv_holdout_max_days": "integer",
        "clv_correlation_max": "decimal(9, 6)",
        "clv_first_margin": "string",
        "potential_min_peers": "integer",
        "potential_quantile": "decimal(9, 6)",
        "potential_household_cap": "integer",
        "curry_top_pct": "integer",
        "curry_major_pct": "integer",
        "curry_ordinary_pct": "integer",
        "aftersales_complaining_days": "integer",
        "need_price_index_min": "decimal(9, 6)",
        "need_service_quartile": "decimal(9, 6)",
        "pattern_min_tenure_days": "integer",
        "pattern_stable_quarters": "integer",
        "pattern_early_visits": "integer",
        "pattern_early_tenure_days": "integer",
        "repurchase_days": "string",
        "phase_build_up_visits": "integer",
        "rolling_mature_days": "integer",
        "csat_top_box_min": "decimal(9, 3)",
        "ces_top_box_min": "decimal(9, 3)",
        "nps_promoter_min": "decimal(9, 3)",
        "nps_detractor_max": "decimal(9, 3)",
        "servqual_min_share": "decimal(9, 6)",
        "importance_sum_min": "decimal(9, 3)",
        "importance_sum_max": "decimal(9, 3)",
        "acsi_weights": "string",
        "kano_questionable_share_max": "decimal(9, 6)",
        "kano_strength_min": "decimal(9, 6)",
        "survey_weight_cap": "decimal(9, 3)",
        "survey_straight_line_min_items": "integer",
        "survey_speeder_share": "decimal(9, 6)",
        "survey_max_age_days": "integer",
        "survey_wave_max_days": "integer",
        "survey_complete_min_share": "decimal(9, 6)",
        "survey_unusable_flags": "string",
        "acsi_constructs": "string",
        "apostle_satisfaction_min": "decimal(9, 3)",
        "mercenary_satisfaction_min": "decimal(9, 3)",
        "hostage_satisfaction_max": "decimal(9, 3)",
        "terrorist_satisfaction_max": "decimal(9, 3)",
        "terrorist_nps_max": "decimal(9, 3)",
        "handling_low_max": "decimal(9, 3)",
        "price_index_min_lines": "integer",
        "tolerance_min_days": "integer",
        "quality_reason_codes": "string",
        "satisfaction_retention_days": "integer",
        "competition_few_max": "integer",
        "churn_horizon_days": "integer",
        "churn_min_visits": "integer",
        "churn_min_customers": "integer",
        "churn_publish_margin": "decimal(9, 6)",
        "churn_use_simulated": "integer",
        "churn_reason_days": "integer",
        "sla_sanbao_resolution_minutes": "integer",
        "sla_response_clock": "string",
        "sla_resolution_clock": "string",
        "backlog_age_days": "string",
        "fcr_window_days": "integer",
        "handling_max_days": "integer",
        "handling_high_min": "decimal(9, 3)",
        "recovery_min_days": "integer",
        "recovery_max_days": "integer",
        "alert_tail_max": "decimal(9, 6)",
        "alert_min_count": "integer",
        "alert_baseline_days": "integer",
        "alert_rate_floor": "decimal(9, 6)",
        "repeat_complainer_min": "integer",
        "repeat_complainer_days": "integer",
        "silent_satisfaction_max": "decimal(9, 3)",
        "silent_window_days": "integer",
        "margin_pct_min": "decimal(9, 6)",
        "margin_pct_max": "decimal(9, 6)",
        "test_store_codes": "string",
        "test_store_names": "string",
        "rhythm_weekdays": "integer",
        "rhythm_min_traded": "integer",
        "rhythm_min_lines": "integer",
        "rhythm_min_gaps": "integer",
        "freshness_days": "integer",
        "shared_phone_members": "integer",
        "phone_placeholders": "string",
        "birth_date_placeholders": "string",
        "province_names": "string",
        "sku_reuse_gap_days": "integer",
        "gift_price_max": "decimal(18, 2)",
        "rounding_line_max": "decimal(18, 2)",
        "resume_max_minutes": "integer",
    }) }}
{%- endmacro %}

{#-
    The rows of the seed `param` that hold for the company's scope at a date, one per name:
    a row of `var('param_scope')` wins over `default`, a later validity over an earlier one.
    `at_dates` is a query with one column `as_of_date`.
-#}
{% macro params_at(at_dates) -%}
    select
        dates.as_of_date,
        param.name,
        param.value
    from ({{ at_dates }}) as dates
    inner join {{ ref("param") }} as param
        on
            param.valid_from <= dates.as_of_date
            and dates.as_of_date < param.valid_to
            and param.scope in ('default', '{{ var("param_scope") }}')
    qualify row_number() over (
        partition by dates.as_of_date, param.name
        order by
            case when param.scope = '{{ var("param_scope") }}' then 0 else 1 end,
            param.valid_from desc
    ) = 1
{%- endmacro %}

{#- One parameter at as_of_date as a scalar, typed as `param_types()` says. -#}
{% macro param(name) -%}
    {%- set data_type = kehu.param_types()[name] -%}
    {%- if data_type is not defined -%}
        {%- do exceptions.raise_compiler_error("param '" ~ name ~ "' is not listed in param_types()") -%}
    {%- endif -%}
    (
        select cast(resolved.value as {{ kehu.sql_type(data_type) }})
        from ({{ kehu.params_at("select " ~ kehu.as_of_date() ~ " as as_of_date") }}) as resolved
        where resolved.name = '{{ name }}'
    )
{%- endmacro %}

{#- One typed column per parameter from a relation of (name, value), to be grouped by date. -#}
{% macro param_columns(relation) -%}
    {%- for name, data_type in kehu.param_types().items() -%}
    cast(
        max({{ relation }}.value) filter (where {{ relation }}.name = '{{ name }}')
        as {{ kehu.sql_type(data_type) }}
    ) as {{ name }}{{ "," if not loop.last }}
    {% endfor -%}
{%- endmacro %}

{% macro sql_type(data_type) -%}
    {{ dbt.type_string() if data_type == "string" else data_type }}
{%- endmacro %}
