"""A connection that Airflow keeps in its own database is found inside a task, and nowhere else."""

import json
from pathlib import Path

import pendulum
import pytest
from airflow.utils.state import DagRunState, TaskInstanceState

from kehu.database import find_database
from kehu.errors import SourceFailed

pytestmark = pytest.mark.usefixtures("database")

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = "source: {connection: till_system, query: select * from complaint_event}"


def project_with_source(folder: Path) -> Path:
    """A project whose complaint events come from a database that Airflow knows."""
    for path in PROJECT.iterdir():
        if path.name != "expectations":
            (folder / path.name).symlink_to(path)
    (folder / "expectations" / "feeds").mkdir(parents=True)
    (folder / "expectations" / "suites").symlink_to(PROJECT / "expectations" / "suites")
    for path in (PROJECT / "expectations" / "feeds").glob("*.yml"):
        source = SOURCE if path.stem == "complaint_event" else ""
        text = path.read_text(encoding="utf-8") + source
        (folder / "expectations" / "feeds" / path.name).write_text(text, encoding="utf-8")
    return folder


def test_a_task_finds_what_airflow_keeps(parse, tmp_path):
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(
            Connection(
                conn_id="till_system",
                conn_type="mysql",
                host="127.0.0.1",
                login="kehu",
                password="p@ss/word",
                schema="shop",
                port=1,  # where nothing answers
                extra='{"local_infile": true}',
            )
        )
    (tmp_path / "project").mkdir()
    places = {
        "KEHU_HOME": str(tmp_path / "home"),
        "KEHU_LANDING": str(tmp_path / "landing"),
        "KEHU_PROJECT": str(project_with_source(tmp_path / "project")),
    }
    bag = parse(**places, KEHU_RETRIES="0", KEHU_RETRY_DELAY="0")
    done = bag.dags["kehu_complaints"].test(
        logical_date=pendulum.now("UTC"), run_conf={"as_of": "2017-12-29"}
    )
    assert done.state == DagRunState.FAILED
    states = {each.task_id: each.state for each in done.get_task_instances()}
    assert states["collect"] == states["load"] == TaskInstanceState.FAILED
    assert states["gate"] == TaskInstanceState.SUCCESS
    log = (tmp_path / "home" / "log" / "steps.jsonl").read_text()
    notes = [json.loads(line) for line in log.splitlines()]
    errors = {note["step"]: note["error"] for note in notes if note["state"] == "failed"}
    told = "complaint_event: no connection to till_system (kehu@127.0.0.1:1/shop): "
    assert errors["collect:complaint_event"].startswith(told)
    assert errors["airflow:kehu_complaints.collect"].startswith(told)
    assert "Everything else that arrived is loaded" in errors["airflow:kehu_complaints.load"]
    assert "p@ss" not in log
    with pytest.raises(SourceFailed, match="'till_system' is not known"):
        find_database("till_system")  # outside of a task
