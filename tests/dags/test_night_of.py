"""Which night a run belongs to, and when a publication may not go back."""

import json
from datetime import UTC, date, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from kehu.orchestra import is_past, never_back, night_of

SHANGHAI, NEW_YORK = "Asia/Shanghai", "America/New_York"


def local(zone: str, *clock: int) -> datetime:
    return datetime(*clock, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK])
@pytest.mark.parametrize("clock", [(2, 30), (5, 0), (0, 0), (23, 30)])
def test_a_scheduled_run_belongs_to_the_local_date_its_interval_starts(zone, clock):
    start = local(zone, 2017, 12, 29, *clock)
    end = local(zone, 2017, 12, 30, *clock)
    night = night_of(timezone=zone, run_after=end, interval_start=start, logical_date=start)
    assert night == date(2017, 12, 29)


def test_a_scheduled_interval_that_starts_at_utc_midnight_is_no_bare_date():
    start = datetime(2017, 12, 30, tzinfo=UTC)  # 19:00 of the 29th in New York
    night = night_of(timezone=NEW_YORK, run_after=start, interval_start=start, logical_date=start)
    assert night == date(2017, 12, 29)


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK])
def test_a_bare_date_of_a_backfill_means_that_day_everywhere(zone):
    midnight = datetime(2017, 12, 29, tzinfo=UTC)
    night = night_of(
        timezone=zone,
        run_after=midnight,
        interval_start=local(zone, 2017, 12, 28, 2, 30),
        logical_date=midnight,
        is_scheduled=False,
    )
    assert night == date(2017, 12, 29)


def test_a_backfill_on_the_schedule_belongs_to_its_interval():
    start = local(NEW_YORK, 2017, 12, 29, 2, 30)
    night = night_of(
        timezone=NEW_YORK,
        run_after=start,
        interval_start=start,
        logical_date=start,
        is_scheduled=False,
    )
    assert night == date(2017, 12, 29)


def test_the_latest_loaded_night_wins_over_the_clock_and_a_person_over_both():
    now = local(SHANGHAI, 2018, 1, 5, 4, 0)
    known = {"timezone": SHANGHAI, "run_after": now}
    assert night_of(**known) == date(2018, 1, 4)
    loaded = ["2017-12-29", "2017-12-31", "2017-12-30"]
    assert night_of(**known, loaded=loaded) == date(2017, 12, 31)
    assert night_of(**known, loaded=loaded, param="2017-12-28") == date(2017, 12, 28)
    with pytest.raises(ValueError):
        night_of(**known, param="28/12/2017")


def test_daylight_saving_moves_no_night():
    for day in (date(2017, 3, 11), date(2017, 3, 12), date(2017, 11, 4), date(2017, 11, 5)):
        start = local(NEW_YORK, day.year, day.month, day.day, 2, 30)
        assert night_of(timezone=NEW_YORK, run_after=start, interval_start=start) == day


def test_a_publication_never_goes_back(tmp_path):
    assert never_back(date(2017, 12, 29), tmp_path) == date(2017, 12, 29)
    (tmp_path / "manifest.json").write_text(json.dumps({"as_of_date": "2017-12-30"}))
    assert never_back(date(2017, 12, 29), tmp_path) == date(2017, 12, 30)
    assert never_back(date(2017, 12, 31), tmp_path) == date(2017, 12, 31)


def test_a_night_is_past_three_hours_after_its_time():
    end = local(SHANGHAI, 2017, 12, 30, 5, 0)
    assert not is_past(end, local(SHANGHAI, 2017, 12, 30, 7, 59))
    assert is_past(end, local(SHANGHAI, 2017, 12, 30, 8, 0))


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK])
def test_dags_hand_over_what_airflow_says(parse, zone):
    parse(KEHU_TIMEZONE=zone)
    import kehu_common

    start = local(zone, 2017, 12, 29, 2, 30)
    run = SimpleNamespace(
        run_after=local(zone, 2017, 12, 30, 2, 30),
        data_interval_start=start,
        logical_date=start,
        run_type="scheduled",
    )
    context = {"dag_run": run, "params": {"as_of": None}, "triggering_asset_events": {}}
    assert kehu_common.night_of_context(context) == date(2017, 12, 29)
    event = SimpleNamespace(extra={"as_of": "2017-12-31"})
    bare = SimpleNamespace(extra={})
    events = {"kehu://loaded/masters": [bare, event]}
    assert kehu_common.night_of_context(context | {"triggering_asset_events": events}) == date(
        2017, 12, 31
    )
    by_hand = context | {"params": {"as_of": "2017-12-27"}, "triggering_asset_events": events}
    assert kehu_common.night_of_context(by_hand) == date(2017, 12, 27)
    assert kehu_common.feed_logical_date(date(2017, 12, 29)) == start


def test_a_weekly_schedule_has_no_run_on_other_days(parse):
    parse(KEHU_SCHEDULE="30 2 * * 1")
    import kehu_common

    assert kehu_common.feed_logical_date(date(2017, 12, 29)) is None
    assert kehu_common.feed_logical_date(date(2017, 12, 25)) is not None
