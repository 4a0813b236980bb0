"""A company's own folder: contracts, parameters and settings of its own, beside what Kehu ships.

mychain/
    kehu.env                 the settings, read by every `kehu` that is run in the folder
    expectations/feeds/      the contracts: what the company's sources deliver
    expectations/suites/     a suite here takes the place of the shipped one of its name
    seeds/                   a seed here takes the place of the shipped one; some of them row by row
    landing/<feed>/          where the sources drop their files
    var/                     everything that Kehu writes
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kehu.errors import KehuError
from kehu.feeds import NORMALISE, Contract, read_contracts
from kehu.files import write_atomically
from kehu.settings import ENV_FILE, PROJECT, Settings

# set by the folder itself, or by nobody
_NOT_LISTED = ("company", "project", "landing_bucket")

_FIELDS = f"""\
# What a company usually changes here (every field: expectations/README.md of Kehu):
#   aliases: [门店编码, shop]     the headers that your export uses
#   allowed / values: {{销售: SALE}}   what your codes mean in the words of Kehu
#   null_values: ['000000']       texts that mean "no value"
#   normalise: [nfkc, currency]   repairs: {", ".join(NORMALISE)}
#   required: true                rows without it go to quarantine
#   type: varchar(8)              lengthen it where your codes are longer
#   encoding: gb18030             only if it can not be told from the bytes
#   files: ['pos_*.csv']          names of the files, where they do not lie in a folder of the feed
# Try it: kehu feed check FILE
"""

_README = """\
# {name}

    kehu feed check FILE          # does a file fit its contract, and what differs
    kehu contracts                # are the contracts themselves in order
    kehu night --as-of DATE       # take in what lies in landing/, build, test, publish
    kehu status                   # what is published, what waits, what failed
    kehu quarantine               # rows that were refused, and what to do about them

Run `kehu` in this folder, or set KEHU_COMPANY to it. Settings are in `kehu.env`. `landing/<feed>/` is
where the sources drop their files. `kehu init` again, after a new version of Kehu, adds what is new in
it and changes nothing that is here.
"""

_SUITES = """\
A suite that lies here takes the place of the one of the same name that Kehu ships, in
{shipped}. Copy one from there to change it.
"""

_SEEDS = """\
A file here takes the place of the one of the same name that Kehu ships, in
{shipped}. Of these, rows do; what has no row here stays as it is shipped:

| File | Your rows take the place of all shipped rows of the same |
|---|---|
| `param.csv` | name, scope |
| `kpi_target.csv` | KPI, store, scope |
| `treatment_matrix.csv` | KPI, scope: one row at least for segment ALL |

Copy rows from there to change them. A target of 95 % for the retention of key customers, in all stores:

    RETENTION_KEY,ALL,default,0.88,0.95,15,CRM_MANAGER,1900-01-01,9999-12-31,board of 2025-12-01

What to do where the NPS is a problem:

    NPS,ALL,CALL_BACK,Call back,回访,PHONE,,STORE_MANAGER,14,NPS,default,1900-01-01,9999-12-31,ours

`scope` is `default`, or what `KEHU_PARAM_SCOPE` is set to. Save as CSV UTF-8.
"""

_PARAM = """\
name,scope,value,valid_from,valid_to,source
company_name,default,{name},1900-01-01,9999-12-31,the name of the company as reports show it
"""


class Made(BaseModel):
    """What `init` wrote and what it found, relative to the folder."""

    written: list[str] = []
    kept: list[str] = []


def init(folder: Path, project: Path = PROJECT) -> Made:
    """Set up a company's folder; what stands there already is left as it is.

    KehuError where the folder is a file, or the project itself.
    """
    folder = folder.expanduser().resolve()
    if folder.exists() and not folder.is_dir():
        raise KehuError(f"{folder}: is a file; name a folder")
    if folder == project.resolve():
        raise KehuError(f"{folder}: is Kehu itself; name a folder of your own")
    made = Made()
    shipped = read_contracts(project / "expectations" / "feeds")
    texts = {
        ENV_FILE: _env(),
        "README.md": _README.format(name=folder.name),
        ".gitignore": "/var/\n/landing/\n",
        "expectations/suites/README.md": _SUITES.format(shipped=project / "expectations/suites"),
        "seeds/README.md": _SEEDS.format(shipped=project / "seeds"),
        "seeds/param.csv": _PARAM.format(name=_cell(folder.name)),
    }
    for name in ("kpi_target.csv", "treatment_matrix.csv"):
        with (project / "seeds" / name).open(encoding="utf-8") as file:
            texts[f"seeds/{name}"] = file.readline()
    for contract in shipped.values():
        path = project / "expectations" / "feeds" / f"{contract.feed}.yml"
        texts[f"expectations/feeds/{contract.feed}.yml"] = _commented(contract, path)
    for name, text in texts.items():
        target = folder / name
        if target.exists():
            made.kept.append(name)
        else:
            write_atomically(target, text)
            made.written.append(name)
    for feed in shipped:
        name = f"landing/{feed}/"
        (made.kept if (folder / name).exists() else made.written).append(name)
        (folder / name).mkdir(parents=True, exist_ok=True)
    return made


def _commented(contract: Contract, path: Path) -> str:
    """The shipped contract with what a company usually changes in front of its columns."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"^columns:$", lambda found: _FIELDS + found[0], text, count=1, flags=re.M)


def _env() -> str:
    lines = [
        "# The settings of this folder and their defaults; take the # away to change one.",
        "# Secrets belong into the environment, not into a file.",
    ]
    for name, field in Settings.model_fields.items():
        if name in _NOT_LISTED:
            continue
        lines += ["", f"# {field.description}", f"# KEHU_{name.upper()}={_default(field)}"]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    """A text as a cell of CSV."""
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\n]', text) else text
