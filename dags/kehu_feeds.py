"""Bring in what the shops delivered: extract, judge, load.

One DAG for each group of feeds, every night at 02:30 of the company's timezone. The night (`as_of`)
is the local date on which the data interval starts: the run of 30 December 02:30 brings in the
29th. For a manual run give the parameter `as_of`.

- `collect` asks the databases of feeds that have one for what is new. One that does not answer is
  tried again; what arrived otherwise is loaded all the same, but the run then fails, so that the
  marts wait for it until their deadline.
- `plan` looks into `landing/` and divides the new files into at most 16 chunks.
- `extract` archives the bytes and types the rows of one chunk; chunks run side by side.
- `gate` puts bad rows into quarantine and refuses bad batches; the others go on.
- `load` writes the batches into the warehouse, one transaction each.

Nothing delivered is no error: `extract` is skipped and the rest succeeds. Every task may be run
again at any time: what is loaded already is skipped.
"""

from airflow.sdk import DAG, Asset, dag, get_current_context, task

from kehu_common import (
    FEED_CRON,
    GROUPS,
    MAX_CHUNKS,
    WRITER,
    asset_uri,
    cron,
    dag_arguments,
    night_of_context,
    run_name,
)


def feed_dag(group: str) -> DAG:
    """Return the DAG `kehu_<group>`."""
    loaded = Asset(name=asset_uri(group), uri=asset_uri(group))

    @dag(
        dag_id=f"kehu_{group}",
        schedule=cron(FEED_CRON),
        description=f"Extract, gate and load: {group}",
        doc_md=__doc__,
        **dag_arguments("feeds", group),
    )
    def build() -> None:
        @task
        def collect() -> dict:
            from kehu import night as kehu_night

            run = run_name(get_current_context())
            report = kehu_night.collect(group, run)
            kehu_night.require_collected(group, run)
            return report

        @task(trigger_rule="all_done")
        def plan() -> list[str]:
            from kehu import night as kehu_night

            return kehu_night.plan(group, run_name(get_current_context()), MAX_CHUNKS)

        @task
        def extract(chunk: str) -> dict:
            from kehu import night as kehu_night

            return kehu_night.extract(chunk)

        @task(trigger_rule="none_failed")
        def gate() -> dict:
            from kehu import night as kehu_night

            context = get_current_context()
            return kehu_night.gate(group, night_of_context(context), run_name(context))

        @task(pool=WRITER, outlets=[loaded])
        def load(*, outlet_events=None) -> dict:
            from kehu import night as kehu_night

            context = get_current_context()
            result = kehu_night.load(group, run_name(context))
            kehu_night.require_collected(group, run_name(context), loaded=True)
            outlet_events[loaded].extra = {"as_of": night_of_context(context).isoformat()}
            return result

        chunks = plan()
        collect() >> chunks
        extract.expand(chunk=chunks) >> gate() >> load()

    return build()


for _group in GROUPS:
    globals()[f"kehu_{_group}"] = feed_dag(_group)
