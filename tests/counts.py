"""A pytest plugin for `make test`: how many checks stand behind the green line.

Tests that run dbt record how many dbt tests they ran (`record_property`); pytest-xdist carries that
from its workers to the process that prints the summary.
"""

from __future__ import annotations

import pytest

NAMES = {"dbt_unit_tests": "dbt unit tests", "dbt_data_tests": "dbt data tests"}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts, just above pytest's closing line."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind]
    calls = [r for r in reports if isinstance(r, pytest.TestReport) and r.when == "call"]
    recorded = {name: value for r in calls for name, value in r.user_properties}
    counts = {words: recorded.get(name, 0) for name, words in NAMES.items()}
    counts["pytest tests"] = len({r.nodeid for r in calls})
    terminalreporter.section("counts")
    for words, count in counts.items():
        terminalreporter.write_line(f"{count:>6} {words}")
    for told in (value for r in calls for name, value in r.user_properties if name == "histories"):
        terminalreporter.write_line(f"random faults: {told}")
    if "kills" in recorded:
        terminalreporter.write_line(f"nights killed in the midst of: {recorded['kills']}")
