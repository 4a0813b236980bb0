"""Contracts: they agree with what the feeds promise, and a mistake in one names its line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from kehu.errors import ContractError
from kehu.feeds import read_contract, read_contracts
from kehu.settings import PROJECT

FEEDS = PROJECT / "expectations" / "feeds"

# written by hand from the description of the feeds: name type, ? = nullable, {A|B} = allowed values
PROMISED: dict[str, tuple[str, str, str]] = {
    "sales_line": (
        "store_code business_date till_no receipt_no line_no",
        "store_day",
        """store_code varchar(8), business_date date, till_no varchar(8), receipt_no varchar(24),
        line_no int, batch_no int?, sold_at timestamp,
        receipt_type {SALE|RETURN|EXCHANGE|CANCELLED|TRAINING}, status {COMPLETED|SUSPENDED|VOID},
        cashier_no varchar(10)?, card_no varchar(20)?, channel {STORE|ONLINE|O2O|GROUPBUY},
        sku_code varchar(20), qty decimal(12,3), unit_price decimal(12,4)?,
        gross_amount decimal(18,2), discount_amount decimal(18,2), net_amount decimal(18,2),
        promo_code varchar(32)?, cost_amount decimal(18,2)?, vat_rate decimal(4,3)?, void_flag flag,
        orig_store_code varchar(8)?, orig_business_date date?, orig_till_no varchar(8)?,
        orig_receipt_no varchar(24)?""",
    ),
    "survey_answer": (
        "response_id question_id option_seq",
        "version",
        """response_id varchar(40), question_id varchar(40), option_seq int, survey_id varchar(40),
        invitation_id varchar(40)?, card_no varchar(20)?, complaint_no varchar(32)?,
        store_code varchar(8)?, started_at timestamp?, submitted_at timestamp,
        answer_num decimal(9,3)?, answer_code varchar(32)?, answer_text varchar(500)?""",
    ),
    "complaint": (
        "complaint_no",
        "version",
        """complaint_no varchar(32), received_at timestamp,
        channel {COUNTER|DESK|PHONE|WEB|WECHAT|LETTER|HOTLINE_12315|SOCIAL}, entry_level int 1..5,
        card_no varchar(20)?, contact_phone varchar(32)?, store_code varchar(8)?,
        department varchar(32)?, sku_code varchar(20)?, orig_store_code varchar(8)?,
        orig_business_date date?, orig_till_no varchar(8)?, orig_receipt_no varchar(24)?,
        kind {COMPLAINT|ENQUIRY|SUGGESTION|PRAISE}, reason_code varchar(32), severity int 1..4,
        description varchar(500)?, staff_no varchar(32)?, merged_into varchar(32)?,
        compensation_type varchar(32)?, compensation_amount decimal(18,2)?, updated_at timestamp?""",
    ),
    "complaint_event": (
        "complaint_no seq",
        "event",
        """complaint_no varchar(32), seq int, occurred_at timestamp,
        event {RECEIVED|ACK_AUTO|RESPONDED|ESCALATED|TRANSFERRED|WAIT_CUSTOMER|RESUMED|PROPOSED|
        ACCEPTED|REJECTED|RESOLVED|REOPENED|CLOSED|CANCELLED}, level int 1..5,
        actor_type varchar(32), staff_no varchar(32)?, note varchar(500)?""",
    ),
    "member": (
        "member_id",
        "version",
        """member_id varchar(20), name varchar(500)?, gender {M|F|U}?, birth_date date?,
        phone varchar(32)?, email varchar(500)?, district varchar(32)?, address varchar(500)?,
        household_size int?, enrolled_on date, enrol_store_code varchar(8)?,
        enrol_channel varchar(32)?, referrer_card_no varchar(20)?, customer_type {PERSON|COMPANY},
        status {ACTIVE|FROZEN|CANCELLED|ERASED}, updated_at timestamp""",
    ),
    "member_card": (
        "card_no",
        "version",
        """card_no varchar(20), member_id varchar(20), card_type {POINTS|GOLD|STAFF|COMPANY},
        issued_on date, valid_to date?, status {ACTIVE|LOST|REPLACED|MERGED},
        replaced_by varchar(20)?, updated_at timestamp?""",
    ),
    "product": (
        "sku_code",
        "version",
        """sku_code varchar(20), name varchar(500), brand varchar(500)?,
        category_1_code varchar(32)?, category_1_name varchar(500)?,
        category_2_code varchar(32)?, category_2_name varchar(500)?,
        category_3_code varchar(32)?, category_3_name varchar(500)?,
        category_4_code varchar(32)?, category_4_name varchar(500)?,
        uom varchar(32), is_weighed flag, is_revenue flag, is_bag flag, points_class varchar(32)?,
        vat_rate decimal(4,3)?, warranty_class {NONE|SANBAO}?, supplier_code varchar(32)?,
        launched_on date?, delisted_on date?, status varchar(32), updated_at timestamp?""",
    ),
    "store": (
        "store_code",
        "version",
        """store_code varchar(8), name varchar(500), format varchar(32), city varchar(32)?,
        district varchar(32)?, area_m2 decimal(18,2)?, opened_on date?, closed_on date?,
        is_test flag, competitors_3km int?, updated_at timestamp?""",
    ),
    "survey_question": (
        "survey_id question_id",
        "version",
        """survey_id varchar(40), question_id varchar(40),
        survey_type {CSAT|NPS|CES|SERVQUAL|ACSI|KANO|LOYALTY|EXIT|COMPLAINT_FOLLOWUP|EMPLOYEE|
        MANAGER}, text varchar(500), construct varchar(32), facet varchar(32)?,
        servqual_item int 1..22?, dimension varchar(32)?,
        role {P|E|IMPORTANCE|FUNC|DYSF|SINGLE|OPEN}, pair_id varchar(32)?, scale_min int,
        scale_max int, higher_is_better flag, wave_start date, wave_end date,
        updated_at timestamp?""",
    ),
}
PERSONAL = {
    "member": {"name", "phone", "email", "address", "birth_date"},
    "complaint": {"contact_phone", "description"},
    "complaint_event": {"note"},
    "survey_answer": {"answer_text"},
}


def split_columns(text: str) -> list[str]:
    """The column entries of a promise; commas inside decimal(p,s) do not divide."""
    entries, depth = [""], 0
    for character in " ".join(text.split()):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and not depth:
            entries.append("")
        else:
            entries[-1] += character
    return [entry.strip() for entry in entries]


@pytest.mark.parametrize("feed", sorted(PROMISED))
def test_contract_is_what_the_feed_promises(feed: str) -> None:
    contract = read_contracts(FEEDS)[feed]
    key, replace, columns = PROMISED[feed]
    assert contract.key == key.split()
    assert contract.replace == replace
    assert set(contract.pii_columns) == PERSONAL.get(feed, set())
    entries = [entry.split(" ", 1) for entry in split_columns(columns)]
    assert list(contract.columns) == [name for name, _ in entries]
    for name, promise in entries:
        column = contract.columns[name]
        assert column.required is not promise.endswith("?"), name
        kind, _, bounds = promise.rstrip("?").partition(" ")
        if kind.startswith("{"):
            allowed = promise.rstrip("?").replace(" ", "").strip("{}").split("|")
            assert column.allowed == allowed, name
            assert column.base == "varchar", name
            assert column.args[0] >= max(map(len, allowed)), name
        else:
            assert column.type == kind, name
            assert not column.allowed, name
        if bounds and column.base == "int":
            low, high = bounds.split("..")
            assert (column.min, column.max) == (float(low), float(high)), name


def test_every_feed_has_a_contract_and_every_contract_a_promise() -> None:
    assert set(read_contracts(FEEDS)) == set(PROMISED)


def test_headers_have_a_chinese_alias() -> None:
    for contract in read_contracts(FEEDS).values():
        for name, column in contract.columns.items():
            assert column.zh, f"{contract.feed}.{name}"
            assert column.zh in column.aliases, f"{contract.feed}.{name}"


RIGHT = """\
feed: thing
group: masters
grain: thing
key: [thing_code]
replace: version
version: updated_at
columns:
  thing_code: {type: varchar(8), required: true, aliases: [编码], description: Thing}
  size: {type: 'decimal(8,2)', min: 0, description: Size}
  kind:
    type: varchar(8)
    allowed: [A, B]
    pattern: '[A-Z]'
    description: Kind
  updated_at: {type: timestamp, description: Version}
checks:
  - id: big
    column: size
    sql: size > 1
    description: is big
group_checks:
  - id: few
    column: kind
    by: [kind]
    sql: count(*) < 9
    description: few of a kind
"""

# what is replaced, by what, the line that must be named, the field, a part of the message
MISTAKES: dict[str, tuple[str, str, int, str, str]] = {
    "unknown type": (
        "type: varchar(8), req",
        "type: text, req",
        8,
        "columns.thing_code.type",
        "use",
    ),
    "type without length": (
        "type: varchar(8)\n",
        "type: varchar\n",
        11,
        "columns.kind.type",
        "1 num",
    ),
    "key not in columns": ("key: [thing_code]", "key: [code]", 4, "key.0", "'code'"),
    "key not required": ("required: true, ", "", 8, "columns.thing_code", "required: true"),
    "version not in columns": ("version: updated_at", "version: at", 6, "version", "'at'"),
    "alias twice": (
        "description: Size",
        "aliases: [尺寸, 编码], description: Size",
        9,
        "columns.size.aliases.1",
        "'thing_code' and 'size'",
    ),
    "alias is a column": (
        "aliases: [编码]",
        "aliases: [Updated At]",
        15,
        "columns.updated_at",
        "both",
    ),
    "unknown field of the contract": (
        "grain: thing",
        "grain: thing\ncolour: red",
        4,
        "colour",
        "Extra",
    ),
    "unknown field of a column": (
        "    type: varchar(8)",
        "    typ: x\n    type: varchar(8)",
        11,
        "columns.kind.typ",
        "Extra",
    ),
    "field that is missing": ("grain: thing\n", "", 1, "grain", "required"),
    "bad regex": ("'[A-Z]'", "'[A-Z'", 13, "columns.kind.pattern", "not a regular expression"),
    "regex that DuckDB has not": ("'[A-Z]'", "'(?=A)A'", 13, "columns.kind.pattern", "DuckDB"),
    "range on text": (
        "    pattern: '[A-Z]'",
        "    min: 3",
        13,
        "columns.kind.min",
        "int and decimal",
    ),
    "allowed on a number": ("min: 0", "allowed: ['1']", 9, "columns.size.allowed", "varchar"),
    "utc on a number": ("min: 0", "utc: true", 9, "columns.size.utc", "timestamp"),
    "unknown group": ("group: masters", "group: master", 2, "group", "masters"),
    "unknown replace rule": ("replace: version", "replace: append", 5, "replace", "store_day"),
    "store_day without its columns": (
        "replace: version",
        "replace: store_day",
        5,
        "replace",
        "needs",
    ),
    "drift": ("grain: thing", "grain: thing\ndrift: ignore", 4, "drift", "freeze"),
    "reject limit": ("grain: thing", "grain: thing\nreject_limit: 5", 4, "reject_limit", "less"),
    "encoding": ("grain: thing", "grain: thing\nencoding: gbk9", 4, "encoding", "gb18030"),
    "encoding of bytes": ("grain: thing", "grain: thing\nencoding: base64", 4, "encoding", "utf"),
    "text of no length": (
        "type: varchar(8)\n",
        "type: varchar(0)\n",
        11,
        "columns.kind.type",
        "at least one",
    ),
    "decimal that is too wide": (
        "{type: timestamp,",
        "{type: 'decimal(99,2)',",
        15,
        "columns.updated_at.type",
        "1 to 38",
    ),
    "decimal of more places than digits": (
        "{type: timestamp,",
        "{type: 'decimal(5,9)',",
        15,
        "columns.updated_at.type",
        "1 to 38",
    ),
    "name of a column that the load adds": (
        "  updated_at: {",
        "  _line: {type: int, description: x}\n  updated_at: {",
        15,
        "columns._line",
        "can not name",
    ),
    "name that is none": (
        "  updated_at: {",
        "  'a\"b': {type: int, description: x}\n  updated_at: {",
        15,
        'columns.a"b',
        "can not name",
    ),
    "name of a feed": ("feed: thing", "feed: the thing", 1, "feed", "can not name"),
    "name pattern": (
        "grain: thing",
        "grain: thing\nstore_days_from_name: '(?P<store>.)'",
        4,
        "store_days_from_name",
        "(?P<date>",
    ),
    "column of a check": ("    column: size", "    column: sise", 18, "checks.0.column", "'sise'"),
    "group of a group check": ("by: [kind]", "by: [kin]", 24, "group_checks.0.by.0", "'kin'"),
    "SQL of a check": ("sql: size > 1", "sql: sise > 1", 19, "checks.0.sql", "sise"),
    "SQL of a group check": (
        "sql: count(*) < 9",
        "sql: 'count(* < 9'",
        25,
        "group_checks.0.sql",
        "DuckDB",
    ),
    "unknown repair": (
        "min: 0",
        "normalise: [strip]",
        9,
        "columns.size.normalise",
        "unknown: strip",
    ),
    "repair of another type": (
        "min: 0",
        "normalise: [nfkc, phone]",
        9,
        "columns.size.normalise.1",
        "holds for varchar, not for decimal",
    ),
    "repair twice": ("min: 0", "normalise: [nfkc, nfkc]", 9, "columns.size.normalise", "twice"),
    "widths folded too late": (
        "min: 0",
        "normalise: [currency, nfkc]",
        9,
        "columns.size.normalise",
        "first",
    ),
    "pad without a length": (
        "    pattern: '[A-Z]'",
        "    normalise: [pad]",
        13,
        "columns.kind.normalise",
        "length",
    ),
    "length of a number": ("min: 0", "length: 3", 9, "columns.size.length", "varchar"),
    "meaning that is not allowed": (
        "    pattern: '[A-Z]'",
        "    values: {甲: A, 丙: C}",
        13,
        "columns.kind.values.丙",
        "'C' is not one of the allowed: A, B",
    ),
    "repair of a row that DuckDB can not run": (
        "checks:\n  - id: big",
        "repairs:\n  - {id: r, when: sise > 1, set: {size: '1'}, description: d}\nchecks:\n  - id: big",
        17,
        "repairs.0.when",
        "sise",
    ),
    "repair of a row to no value of its type": (
        "checks:\n  - id: big",
        "repairs:\n  - {id: r, when: size > 1, set: {size: sise}, description: d}\nchecks:\n  - id: big",
        17,
        "repairs.0.set.size",
        "sise",
    ),
    "repair of a column that is not there": (
        "checks:\n  - id: big",
        "repairs:\n  - {id: r, when: size > 1, set: {sise: '1'}, description: d}\nchecks:\n  - id: big",
        17,
        "repairs.0.set.sise",
        "'sise'",
    ),
    "two checks of one id": ("- id: few", "- id: big", 22, "group_checks.0.id", "'big'"),
    "a field twice": ("    pattern: '[A-Z]'", "    type: int", 13, "columns.kind.type", "twice"),
    "feed named otherwise": ("feed: thing", "feed: think", 1, "feed", "named 'thing'"),
    "text is not a mapping": (RIGHT, "- a\n- b\n", 1, "", "mapping"),
    "YAML error": ("columns:\n", "columns: [\n", 9, "", "not valid YAML"),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_named_with_file_line_and_field(mistake: str, tmp_path: Path) -> None:
    old, new, line, field, part = MISTAKES[mistake]
    assert RIGHT.count(old) == 1
    path = tmp_path / "thing.yml"
    path.write_text(RIGHT.replace(old, new), encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        read_contract(path)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{path}:{line}: " + (f"field {field}: " if field else ""))
    assert part in first


def test_the_unchanged_example_is_right(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_text(RIGHT, encoding="utf-8")
    assert read_contract(path).key == ["thing_code"]


def test_bytes_that_are_not_utf8_name_their_line(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_bytes(RIGHT.encode("gb18030"))
    with pytest.raises(ContractError, match=r"thing\.yml:8: is not UTF-8"):
        read_contract(path)
    path.write_text(RIGHT.replace("grain: thing", "grain: th\x07ing"), encoding="utf-8")
    with pytest.raises(ContractError, match=r"thing\.yml:3: not valid YAML"):
        read_contract(path)


def test_a_field_that_holds_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_text("grain: &a [*a]\n", encoding="utf-8")
    with pytest.raises(ContractError, match=r"thing\.yml:1: .* nested too deep"):
        read_contract(path)


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "thing.yml").write_text(
        RIGHT.replace("group: masters", "group: x"), encoding="utf-8"
    )
    (tmp_path / "other.yml").write_text("- 1", encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        read_contracts(tmp_path)
    assert [line.split(": ")[0].rsplit("/", 1)[1] for line in str(caught.value).splitlines()] == [
        "other.yml:1",
        "thing.yml:2",
    ]


@pytest.mark.parametrize(
    ("lookup", "told"),
    [
        ("feed: thing, by: [kind], sql: this.size <= ref.size", None),
        ("feed: think, by: [kind], sql: 'true'", "no contract for the feed 'think'"),
        ("feed: thing, by: [kind], sql: this.size <= ref.sise", "DuckDB can not run it"),
        ("feed: other, by: [size], sql: 'true'", "other has no column size"),
    ],
)
def test_a_lookup_is_held_against_the_other_contract(
    lookup: str, told: str | None, tmp_path: Path
) -> None:
    lookups = f"lookups:\n  - {{id: l, column: size, {lookup}, description: d}}\n"
    (tmp_path / "thing.yml").write_text(RIGHT + lookups, encoding="utf-8")
    other = RIGHT.replace("feed: thing", "feed: other").replace("size", "weight")
    (tmp_path / "other.yml").write_text(other, encoding="utf-8")
    if told is None:
        assert read_contracts(tmp_path)["thing"].lookups[0].feed == "thing"
        return
    with pytest.raises(ContractError, match=r"thing\.yml: lookup l: ") as caught:
        read_contracts(tmp_path)
    assert told in str(caught.value)


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="holds no contracts"):
        read_contracts(tmp_path)


def test_the_digest_changes_with_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "thing.yml"
    path.write_text(RIGHT, encoding="utf-8")
    before = read_contract(path).digest
    path.write_text(RIGHT + "# a remark\n", encoding="utf-8")
    assert read_contract(path).digest == before
    path.write_text(RIGHT.replace("min: 0", "min: 1"), encoding="utf-8")
    assert read_contract(path).digest != before
