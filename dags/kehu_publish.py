"""Build, test and publish the marts of a night.

Runs when transactions, masters and complaints of a night are loaded, and at 05:00 of the company's
timezone at the latest, with what is there. Surveys are weekly and not waited for: what is loaded is
used. The night (`as_of`) is the latest one that the loads name, else the local date on which the
data interval starts, else the parameter `as_of`; it is never earlier than the publication that
stands, unless a person names it.

- `feeds` lets a night that is caught up on long after 05:00 wait for its feeds.
- `night` settles the date. Is it published already with all that is loaded, this is recorded and
  the rest is skipped.
- `transform_core` and `transform_marts` run dbt, one build each. Between them, `score` fits models
  and scores customers.
- `audit` judges what would be published; `publish` swaps it in.
- `serve` copies what readers see to the targets of `KEHU_PUBLISH_TO`, PostgreSQL or Parquet; it is
  skipped where there are none, and runs also where there was nothing to publish, for a target that
  did not answer the night before. A target that fails takes nothing back.

When another task fails, the previous publication stays as it is.
"""

from datetime import date

from airflow.sdk import Asset, AssetOrTimeSchedule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from kehu_common import (
    PUBLISH_CRON,
    REQUIRED,
    WRITER,
    asset_uri,
    cron,
    dag_arguments,
    feed_logical_date,
    night_of_context,
    run_name,
)


@dag(
    dag_id="kehu_publish",
    schedule=AssetOrTimeSchedule(
        timetable=cron(PUBLISH_CRON),
        assets=[Asset(name=asset_uri(group), uri=asset_uri(group)) for group in REQUIRED],
    ),
    description="Build, test and publish the marts of a night",
    doc_md=__doc__,
    **dag_arguments("marts"),
)
def kehu_publish() -> None:
    # It keeps its worker between two looks: the scheduler takes the end of one look for the death
    # of the next where looks are rescheduled (github.com/apache/airflow/issues/71172).
    @task.sensor(mode="poke", poke_interval=5, timeout=6 * 3600)
    def feeds() -> bool:
        import pendulum

        from kehu.orchestra import is_past

        context = get_current_context()
        run, ti = context["dag_run"], context["ti"]
        if run.run_type not in ("scheduled", "backfill"):
            return True
        if not is_past(run.data_interval_end, pendulum.now("UTC")):
            return True
        logical_date = feed_logical_date(night_of_context(context))
        ended = {"logical_dates": [logical_date], "states": ["success", "failed"]}
        return logical_date is None or all(
            ti.get_dr_count(dag_id=f"kehu_{group}", **ended) > 0 for group in REQUIRED
        )

    @task(pool=WRITER)
    def night() -> str:
        from kehu import night as kehu_night
        from kehu.orchestra import never_back
        from kehu.settings import Settings

        context = get_current_context()
        as_of = night_of_context(context)
        if not context["params"].get("as_of"):
            as_of = never_back(as_of, Settings().published)
        if kehu_night.is_published(as_of):
            kehu_night.record_noop(as_of, run_name(context))
            raise AirflowSkipException(f"{as_of} is published with all that is loaded")
        return as_of.isoformat()

    @task(pool=WRITER)
    def transform_core(as_of: str) -> dict:
        from kehu import night as kehu_night

        run = run_name(get_current_context())
        return kehu_night.transform("core", date.fromisoformat(as_of), run)

    @task(pool=WRITER)
    def score(as_of: str) -> dict:
        from kehu import night as kehu_night

        return kehu_night.score(date.fromisoformat(as_of), run_name(get_current_context()))

    @task(pool=WRITER)
    def transform_marts(as_of: str) -> dict:
        from kehu import night as kehu_night

        run = run_name(get_current_context())
        return kehu_night.transform("marts", date.fromisoformat(as_of), run)

    @task(pool=WRITER)
    def audit(as_of: str) -> dict:
        from kehu import night as kehu_night

        return kehu_night.audit(date.fromisoformat(as_of), run_name(get_current_context()))

    @task(pool=WRITER)
    def publish(as_of: str) -> dict:
        from kehu import night as kehu_night

        return kehu_night.publish(date.fromisoformat(as_of), run_name(get_current_context()))

    @task(trigger_rule="none_failed")
    def serve() -> dict:
        from kehu import night as kehu_night
        from kehu.serve.target import configured
        from kehu.settings import Settings

        if not configured(Settings()):
            raise AirflowSkipException("KEHU_PUBLISH_TO names no target")
        report = kehu_night.serve(run_name(get_current_context()))
        kehu_night.require_served(report)
        return report

    as_of = night()
    feeds() >> as_of
    core, marts = transform_core(as_of), transform_marts(as_of)
    core >> score(as_of) >> marts >> audit(as_of) >> publish(as_of) >> serve()


kehu_publish()
