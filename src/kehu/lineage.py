"""docs.html beside the marts: every table, column, test and its SQL, with the lineage, in one file.

It is dbt's own static page, made at the end of the first build with a version of the project and kept
under that version's digest, so that other nights only give the file another name. What would tell of
the machine is taken out, and a content security policy forbids the page to ask any network.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from kehu.errors import KehuError
from kehu.files import same_file, write_atomically
from kehu.settings import Settings

NAME = "docs.html"
READ_BY_DBT = ("dbt_project.yml", "models/**/*", "dbt_project/**/*", "seeds/*.yml")

# of the manifest and the catalog: who ran it, where and when
OF_THE_RUN = (
    "invocation_id",
    "invocation_started_at",
    "run_started_at",
    "generated_at",
    "user_id",
    "project_id",
    "env",
)
OF_THE_MACHINE = ("root_path", "build_path", "compiled_path", "created_at")

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data:; font-src data:; base-uri 'none'; form-action 'none'"
)


def cached(settings: Settings) -> Path:
    """Where the page of this version of the project is kept, whether it is made or not."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for pattern in READ_BY_DBT:
        for path in sorted(settings.project.glob(pattern)):
            if path.is_file():
                digest.update(path.relative_to(settings.project).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return settings.home / "dbt" / "docs" / f"{digest.hexdigest()[:20]}.html"


def place(settings: Settings, folder: Path) -> bool:
    """Give the page its name in the folder of a publication; False where none was made."""
    try:
        same_file(cached(settings), folder / NAME)
    except OSError:
        (folder / NAME).unlink(missing_ok=True)
        return False
    return True


def write(manifest: Any, options: list[str], target: Path, page: Path) -> None:
    """Let dbt make its static page of a parsed project; `page` is its only file afterwards.

    The SQL is that of the builds that have just been: dbt leaves it in `target`.
    """
    from dbt.cli.main import dbtRunner

    made = [target / f"{name}.json" for name in ("manifest", "catalog")]
    made += [target / f"{name}.html" for name in ("index", "static_index")]
    content = manifest.writable_manifest().to_dict(omit_none=False)
    inlined = [_inline(cleaned(content, target))]
    try:
        made[0].write_text(inlined[0], encoding="utf-8")
        quiet = ["--quiet", "--no-use-colors", "--log-level-file", "none"]
        generate = ["docs", "generate", "--static", "--no-compile"]
        done = dbtRunner(manifest=manifest).invoke([*quiet, *generate, *options])
        if not done.success:
            raise KehuError(f"dbt docs generate: {done.exception or 'it did not succeed'}")
        catalog = made[1].read_text(encoding="utf-8")
        inlined.append(_inline(cleaned(json.loads(catalog), target)))
        text = made[3].read_text(encoding="utf-8").replace(catalog, inlined[1])
        if not all(part in text for part in inlined):
            raise KehuError("the static page of this version of dbt is made in another way")
        folders = [target, Path(options[options.index("--project-dir") + 1]), Path.home()]
        if problems := told("".join(inlined), folders):
            raise KehuError(f"{NAME} would tell of this machine: {', '.join(problems)}")
        page.parent.mkdir(parents=True, exist_ok=True)
        for older in page.parent.glob("*.html"):
            older.unlink()
        write_atomically(page, offline(text))
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def offline(text: str) -> str:
    """dbt's page with a policy that lets nothing be loaded, and without what it would try to load."""
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    text = text.replace("<head>", f"<head>{policy}", 1)
    text = re.sub(r'<link rel="(shortcut icon|canonical)"[^>]*>', "", text)
    return text.replace('<use xlink:href="{{', '<use ng-attr-href="{{')


def cleaned(content: dict[str, Any], target: Path) -> dict[str, Any]:
    """A manifest or catalog without its run and its machine, with the SQL that dbt left in `target`.

    dbt's own macros go as well: nobody looks for them here, and they are a sixth of the file.
    """
    metadata = content["metadata"]
    for name in OF_THE_RUN:
        if name in metadata:
            metadata[name] = {} if name == "env" else None
    metadata["generated_at"] = ""
    metadata["send_anonymous_usage_stats"] = False
    project = metadata.get("project_name")
    if "macros" in content:
        content["macros"] = {
            key: macro
            for key, macro in content["macros"].items()
            if macro["package_name"] == project
        }
    for part in ("nodes", "sources", "macros", "unit_tests", "docs", "exposures"):
        for node in content.get(part, {}).values():
            if part == "nodes" and not node.get("compiled_code"):
                path = target / "compiled" / str(project) / node.get("original_file_path", "")
                if path.suffix == ".sql" and path.is_file():
                    node["compiled_code"] = path.read_text(encoding="utf-8")
            if isinstance(node.get("depends_on"), dict) and "macros" in content:
                node["depends_on"]["macros"] = [
                    m for m in node["depends_on"].get("macros", []) if m in content["macros"]
                ]
            for name in OF_THE_MACHINE:
                node.pop(name, None)
    return content


def told(text: str, folders: list[Path]) -> list[str]:
    """Which of these folders a text names."""
    wanted = {str(name) for f in folders for name in (f, f.resolve()) if len(name.parts) > 1}
    return sorted(name for name in wanted if f"{name}{os.sep}" in text)


def _inline(content: dict[str, Any]) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True).replace("</", "<\\/")
