"""dbt in a process of its own, which keeps what Kehu wants to know of a run and nothing more.

    python -m kehu.dbt_run OUTCOME.json build --select ...

KEHU_DBT_DOCS names a file: where all went well, dbt's static page goes there (kehu.lineage).

The `dbt` command writes the whole manifest as JSON twice per call and each statement to a log file:
a sixth of a night of a small company.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner

from kehu import lineage

QUIET = ["--no-use-colors", "--no-write-json", "--log-level-file", "error"]


def main(outcome: Path, arguments: list[str]) -> int:
    """Run `arguments`, write `outcome`; 0 where all went well, 1 where a node failed, 2 if dbt did."""
    options = arguments[arguments.index("--project-dir") :]
    parsed = dbtRunner().invoke([*QUIET, "--quiet", "parse", *options])
    if parsed.exception is not None:
        return 2
    manifest: Any = parsed.result
    done = dbtRunner(manifest=manifest).invoke([*QUIET, *arguments])
    if not isinstance(done.result, RunExecutionResult):
        return 2
    results = [
        {
            "unique_id": result.node.unique_id,
            "status": str(result.status),
            "message": result.message,
            "failures": result.failures,
            "relation_name": getattr(result.node, "relation_name", None),
        }
        for result in done.result.results
    ]
    nodes = manifest.nodes.values()
    tables = [
        [n.database, n.schema, n.alias] for n in nodes if n.resource_type in ("model", "seed")
    ]
    tables += [[n.database, n.schema, n.identifier] for n in manifest.sources.values()]
    tests = [
        {
            "name": node.name,
            "path": node.path,
            "kind": node.test_metadata.name if hasattr(node, "test_metadata") else "singular",
            "model": (getattr(node, "attached_node", None) or "..").split(".")[2],
        }
        for node in nodes
        if node.resource_type == "test"
    ]
    told = {"results": results, "tables": tables, "tests": tests}
    page = os.environ.get("KEHU_DBT_DOCS")
    if page and done.success:
        try:
            target = Path(options[options.index("--target-path") + 1])
            lineage.write(manifest, options, target, Path(page))
        except Exception as error:  # whatever it is: a page is no reason to lose a night
            told["docs"] = f"{type(error).__name__}: {error}"
    outcome.write_text(json.dumps(told))
    return 0 if done.success else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
