"""The main groups of commands against one real gateway, over real gRPC."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.demo.cast import PRICES, invented_code
from gateway.demo.invented import CORRECTED, EXPIRED, REPAIRED
from gateway.demo.seed import SAMPLE
from tests.cli.commands import Served, creditgate_here

ADMINISTRATOR, PUBLISHER, ALPHA = "administrator", "publisher", "alpha-client"
CHECK = ("--purpose", "supplier-check")
WHY = ("--reason", "a test")
TOMORROW = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"


def penalty_of(served: Served, subject: str) -> dict[str, Any]:
    """Return the penalty alpha is served about a company."""
    answer = served.answer(ALPHA, "query", subject, *CHECK, "--item", "penalty.administrative")
    (record,) = answer["records"]
    return record


def test_only_records_of_the_regions_named_are_asked_for(served: Served, tmp_path: Path) -> None:
    subjects = tmp_path / "subjects"
    subjects.write_text(f"{EXPIRED}\n", encoding="utf-8")
    (record,) = served.answer(ALPHA, "query", EXPIRED, *CHECK)["records"]
    found = record["region"]
    for region, records in ((found, 1), (found[:2], 1), ("11", 0)):
        asked = (*CHECK, "--region", region)
        answer = served.answer(ALPHA, "query", EXPIRED, *asked)
        assert len(answer["records"]) == records
        assert len(served.answer(ALPHA, "batch", subjects, *asked)["records"]) == records
    told = served.run(ALPHA, "query", EXPIRED, *CHECK, "--regions", "--region", "11")
    assert told.status and "leave it out" in told.told


def test_an_operator_is_created_suspended_reinstated_and_revoked(served: Served) -> None:
    def change(*arguments: str) -> str:
        answer = served.answer(ADMINISTRATOR, "operator", *arguments, *WHY)
        return answer["operator"]["state"]

    named = ("--name", "Delta (invented)", "--uscc", invented_code(40))
    assert change("create", "delta", *named) == "OPERATOR_STATE_ACTIVE"
    assert served.refusal(ADMINISTRATOR, "operator", "create", "delta", *named, *WHY) == (
        "RESOURCE_EXISTS"
    )
    assert change("suspend", "delta") == "OPERATOR_STATE_SUSPENDED"
    assert change("reinstate", "delta") == "OPERATOR_STATE_ACTIVE"
    updated = served.answer(ADMINISTRATOR, "operator", "update", "delta", "--name", "New", *WHY)
    assert (updated["operator"]["display_name"], updated["operator"]["uscc"]) == ("New", named[3])
    assert change("revoke", "delta") == "OPERATOR_STATE_REVOKED"
    assert served.refusal(ADMINISTRATOR, "operator", "reinstate", "delta", *WHY) == "STATE_CONFLICT"
    history = served.answer(ADMINISTRATOR, "operator", "history", "delta")["changes"]
    assert [change["version"] for change in history] == [1, 2, 3, 4, 5]
    assert {(change["changed_by"], change["reason"]) for change in history} == {
        (ADMINISTRATOR, "a test")
    }
    listed = served.run(ADMINISTRATOR, "operator", "list")
    assert "alpha-credit" in listed.out
    assert "revoked" in listed.out


def test_a_client_works_within_licence_grant_and_keys(served: Served, tmp_path: Path) -> None:
    admin = ADMINISTRATOR
    code = ("--uscc", invented_code(41))
    served.answer(admin, "operator", "create", "epsilon", "--name", "Epsilon", *code, *WHY)
    terms = ("--item", "penalty.administrative", *CHECK, "--region", "*", "--daily-quota", "10")
    licence = ("licence", "issue", "epsilon", "L-E", "--until", TOMORROW)
    issued = served.answer(admin, *licence, *terms, *WHY)["licence"]
    assert issued["daily_record_quota"] == "10"
    assert issued["validity"]["end_time"] == f"{TOMORROW}T00:00:00Z"
    granted = served.answer(
        admin, "scope", "grant", "epsilon", "--scope", "credit.records:read", *WHY
    )
    keys, newer = tmp_path / "keys", tmp_path / "newer"
    register = ("client", "register", "epsilon-one", "--role", "operator", "--operator", "epsilon")
    served.answer(admin, *register, "--make-keys", keys, *WHY)
    profile = ("--profile", keys / "profile.json")
    query = ("query", CORRECTED, *CHECK)
    assert len(served.answer(admin, *query, *profile)["records"]) == 1
    served.answer(admin, "client", "rotate", "epsilon-one", "--make-keys", newer, *WHY)
    assert served.refusal(admin, *query, *profile) == "invalid_client"
    profile = ("--profile", newer / "profile.json")
    assert len(served.answer(admin, *query, *profile)["records"]) == 1
    served.answer(admin, "scope", "withdraw", granted["grants"][0]["grant_id"], *WHY)
    # Nothing is granted any more, so there is no token to be had.
    assert served.refusal(admin, *query, *profile) == "invalid_scope"
    served.answer(admin, "scope", "grant", "epsilon", "--scope", "credit.records:read", *WHY)
    served.answer(admin, "licence", "revoke", "L-E", *WHY)
    assert served.refusal(admin, *query, *profile) == "NO_LICENCE"
    history = served.answer(admin, "operator", "history", "epsilon", "--all")["changes"]
    assert {(change["kind"], change["version"]) for change in history} == {
        ("operator", 1),
        ("licence", 1),
        ("licence", 2),
        ("client", 1),
        ("client", 2),
        ("scope_grant", 1),
        ("scope_grant", 2),
    }
    assert {change["id"] for change in history} >= {"epsilon", "L-E", "epsilon-one"}
    served.answer(admin, "client", "remove", "epsilon-one", *WHY)
    assert served.refusal(admin, *query, *profile) == "invalid_client"


def test_a_software_statement_is_issued_and_shown(served: Served) -> None:
    firm = "alpha-credit"
    (licence, *_) = served.answer(ADMINISTRATOR, "licence", "list", firm)["licences"]
    issue = ("licence", "statement", firm, licence["number"], "--software-id", "checker", *WHY)
    issued = served.answer(ADMINISTRATOR, *issue)
    assert issued["statement"]["operator_id"] == firm
    shown = ("licence", "show-statement", issued["statement"]["statement_id"])
    assert served.answer(ADMINISTRATOR, *shown)["statement"] == issued["statement"]
    told = served.run(ADMINISTRATOR, *shown).out
    # As one line, to be handed on: a JWT has no spaces.
    assert told.splitlines()[-1].count(".") == 2
    unknown = ("licence", "show-statement", "unknown")
    assert served.refusal(ADMINISTRATOR, *unknown) == "RESOURCE_NOT_FOUND"


def test_prices_and_shares_are_put_into_force(served: Served) -> None:
    plan = ("price", "create", "next", "--price", "basic=1", "--price", "adverse=2500000")
    assert served.refusal(ADMINISTRATOR, *plan, "--from", TOMORROW, *WHY) == "INVALID_REQUEST"
    plan = (*plan, "--price", "new=1", "--coming", "new", "--drop", "evaluated")
    served.answer(ADMINISTRATOR, *plan, "--from", TOMORROW, *WHY)
    assert "2.500000" in served.run(ADMINISTRATOR, "price", "list").out
    past = ("price", "create", "past", "--price", "basic=1", "--from", "2026-01-01", *WHY)
    assert served.refusal(ADMINISTRATOR, *past) == "INVALID_REQUEST"
    parts = ("--source", "5000", "--region", "3000", "--platform", "2000")
    served.answer(ADMINISTRATOR, "sharing", "create", "next", *parts, "--from", TOMORROW, *WHY)
    rules = served.answer(ADMINISTRATOR, "sharing", "list")["rules"]
    assert [rule["rule_id"] for rule in rules] == ["demo", "next"]


def test_components_and_divisions_are_put_into_force_and_shown(
    served: Served, tmp_path: Path
) -> None:
    components = tmp_path / "components.yaml"
    components.write_text(
        "- component_id: tiers\n  kind: graduated\n  purposes: [bidding]\n  operator_classes: [bank]\n"
        "  tiers: [{from_records: 0, unit_price_micro_yuan: 9}, {from_records: 10}]\n"
        "- {component_id: most, kind: cap, amount_micro_yuan: 7000000}\n"
        "- {component_id: free, kind: free-tier, records: 3}\n"
        "- {component_id: each, kind: per-subject, unit_price_micro_yuan: 5}\n",
        encoding="utf-8",
    )
    prices = ("--price", "basic=1", "--price", "adverse=1", "--drop", "evaluated")
    plan = ("price", "create", "rich", *prices, "--components", components)
    begins = ("--from", "2098-01-01", *WHY)
    assert served.refusal(ADMINISTRATOR, *plan, *begins) == "INVALID_REQUEST"
    plan = (*plan, "--coming-operators", "bank")
    created = served.answer(ADMINISTRATOR, *plan, *begins)["plan"]
    assert created["components"][0]["kind"] == "PRICE_COMPONENT_KIND_GRADUATED"
    shown = served.run(ADMINISTRATOR, "price", "list").out
    for text in ("from 0: 0.000009", "bidding; bank", "7.000000 yuan a month", "3 records a month"):
        assert text in shown
    parts = ("--source", "5000", "--region", "3000", "--platform", "1500", "--operator", "500")
    how = ("--division", "by-contribution", "--completeness", "2500", "--rebate-class", "bank")
    rule = ("sharing", "create", "rich", *parts, *how)
    assert served.refusal(ADMINISTRATOR, *rule, *begins) == "INVALID_REQUEST"
    served.answer(ADMINISTRATOR, *rule, "--coming-operators", "bank", *begins)
    assert "by-contribution" in served.run(ADMINISTRATOR, "sharing", "list").out


def test_a_plan_is_tried_on_past_use_and_not_put_into_force(served: Served) -> None:
    penalty_of(served, CORRECTED)
    month = f"{datetime.now(UTC):%Y-%m}"
    statement = ("statement", month, "--operator", "alpha-credit")
    owed = served.answer(ADMINISTRATOR, *statement)["statement"]["total_micro_yuan"]
    plan = ("price", "try", "half", "--price", "basic=1", "--price", "adverse=2")
    tried = served.answer(ADMINISTRATOR, *plan, "--month", month, "--operator", "alpha-credit")
    (bill,) = tried["bills"]
    assert bill["total_micro_yuan"] == owed
    assert 0 < int(bill["tried_micro_yuan"]) < int(owed)
    told = served.run(ADMINISTRATOR, *plan, "--month", month).out
    assert "beta-check" in told
    assert "half" not in served.run(ADMINISTRATOR, "price", "list").out


def test_operators_have_a_class(served: Served) -> None:
    operator = ("operator", "update", "alpha-credit")
    changed = served.answer(ADMINISTRATOR, *operator, "--class", "bank", *WHY)["operator"]
    assert changed["operator_class"] == "bank"
    kept = served.answer(ADMINISTRATOR, *operator, "--name", changed["display_name"], *WHY)
    assert kept["operator"]["operator_class"] == "bank"
    taken = served.answer(ADMINISTRATOR, *operator, "--class", "", *WHY)["operator"]
    assert taken["operator_class"] == ""


def test_a_catalogue_file_is_applied_and_a_faulty_one_is_not(
    served: Served, tmp_path: Path
) -> None:
    file = tmp_path / "catalogue.yaml"
    file.write_text(
        "items:\n  - code: test.item\n    name_zh: 测试\n    name_en: Test\n    sources: [Bureau]\n"
        "    subject_types: [ENTERPRISE]\n    openness: PUBLIC\n    price_class: basic\n"
        "    period_rules: [{legal_source: none}]\n"
        "    content_fields: [{name: a, type: INTEGER}]\n",
        encoding="utf-8",
    )
    apply = ("catalogue", "apply", file, *WHY)

    def outcome() -> str:
        return served.answer(ADMINISTRATOR, *apply)["items"][0]["outcome"]

    assert [outcome(), outcome()] == ["created", "unchanged"]
    file.write_text(file.read_text().replace("name_en: Test", "name_en: Renamed"), encoding="utf-8")
    assert outcome() == "updated"
    shown = served.run(ADMINISTRATOR, "catalogue", "show", "test.item")
    assert "Renamed" in shown.out
    file.write_text("items:\n  - code: TEST\n", encoding="utf-8")
    refused = served.run(ADMINISTRATOR, *apply)
    assert refused.status == 1
    assert "line 2: items[0].code" in refused.told
    document = served.run(ADMINISTRATOR, *apply, "--json").json["error"]
    assert {"line": 2, "place": "items[0].sources", "mend": "required"} in document["faults"]


def test_files_are_loaded_once_and_rejected_rows_reported(served: Served, tmp_path: Path) -> None:
    report = tmp_path / "rejects.csv"
    summary = served.answer(PUBLISHER, "load", SAMPLE, "--report", report)
    assert (summary["rows"], summary["published"], summary["unchanged"], summary["rejected"]) == (
        40,
        0,
        29,
        11,
    )
    assert len(report.read_text(encoding="utf-8").splitlines()) == 12
    by_default = served.run(PUBLISHER, "load", SAMPLE)
    assert f"{served.home / 'rejects.csv'}. It replaces an earlier report." in by_default.out
    unknown = served.run(PUBLISHER, "load", SAMPLE, "--mapping", "nothing")
    assert unknown.status == 1
    assert "debarment" in unknown.told


def test_a_client_whose_scopes_do_not_do_is_named_with_the_mend(served: Served) -> None:
    done = creditgate_here(served.home, "load", SAMPLE)
    assert done.status == 2
    assert done.told.startswith("SCOPE_NOT_GRANTED: ")
    assert f"as administrator ({served.profile(ADMINISTRATOR)}); --profile" in done.told


def test_a_record_is_corrected_withdrawn_and_repaired(served: Served, tmp_path: Path) -> None:
    record = penalty_of(served, CORRECTED)
    name = record["name"].removeprefix("records/")
    content = json.loads(base64.b64decode(record["content"])) | {"fine_fen": 1}
    file = tmp_path / "content.json"
    file.write_text(json.dumps(content, indent=4), encoding="utf-8")
    correct = ("record", "correct", name, "--content", file, *WHY)
    served.answer(PUBLISHER, *correct, "--revision", "1")
    corrected = penalty_of(served, CORRECTED)
    assert corrected["revision"] == 2
    assert json.loads(base64.b64decode(corrected["content"])) == content
    file.write_text(json.dumps(content | {"fine_fen": 2}), encoding="utf-8")
    assert served.refusal(PUBLISHER, *correct, "--revision", "1") == "ETAG_MISMATCH"
    shown = served.answer(ALPHA, "record", "show", name, *CHECK)
    assert shown["records"][0]["revision"] == 2
    served.answer(PUBLISHER, "record", "withdraw", name, "--revision", "2", *WHY)
    assert served.refusal(ALPHA, "record", "show", name, *CHECK) == "RECORD_NOT_DISCLOSED"
    other = penalty_of(served, REPAIRED)["name"].removeprefix("records/")
    served.answer(PUBLISHER, "record", "repair", other, "--revision", "1", "--reference", "R-1")
    assert served.refusal(ALPHA, "record", "show", other, *CHECK) == "RECORD_NOT_DISCLOSED"


def test_a_batch_is_charged_once_and_billed(served: Served, tmp_path: Path) -> None:
    subjects, records = tmp_path / "subjects", tmp_path / "records.jsonl"
    subjects.write_text(f"{EXPIRED}\n\n{invented_code(99)}\n", encoding="utf-8")
    batch = ("batch", subjects, *CHECK, "--request-id", "batch-1", "--output", records)
    first = served.answer(ALPHA, *batch)
    assert first == {
        "request_id": "batch-1",
        "subjects": 2,
        "records": 1,
        "charged_entries": 1,
        "charged_micro_yuan": PRICES["basic"],
    }
    (line,) = records.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["subject"] == EXPIRED
    again = served.answer(ALPHA, *batch)
    assert (again["records"], again["charged_micro_yuan"]) == (1, 0)
    (entry,) = served.answer(ALPHA, "usage", "list", "--request-id", "batch-1")["entries"]
    assert entry["fee_micro_yuan"] == str(PRICES["basic"])
    month = entry["serve_time"][:7]
    statement = served.answer(ALPHA, "statement", month)["statement"]
    shared = sum(int(share["amount_micro_yuan"]) for share in statement["shares"])
    assert shared == int(statement["total_micro_yuan"]) > 0
    assert "0.020000" in served.run(ALPHA, "statement", month).out
    unused = served.answer(ALPHA, "statement", "1999-01")["statement"]
    assert (unused["total_micro_yuan"], unused["lines"]) == ("0", [])
    assert served.answer(ADMINISTRATOR, "statement", month, "--operator", "alpha-credit")


def test_a_delivery_is_acknowledged_kept_proved_and_told(served: Served, tmp_path: Path) -> None:
    subjects, records = tmp_path / "subjects", tmp_path / "records.jsonl"
    subjects.write_text(f"{EXPIRED}\n{invented_code(99)}\n", encoding="utf-8")
    book, saved = tmp_path / "book", tmp_path / "saved"
    key = served.run(ADMINISTRATOR, "log", "key", "--log", "usage").out.strip()
    served.answer(ALPHA, "usage", "begin", book, "--operator", "alpha-credit", "--key", key)
    taken = served.answer(
        ALPHA,
        *("batch", subjects, *CHECK, "--acknowledged", "--request-id", "delivered-1"),
        *("--output", records, "--book", book, "--proof", "inclusion", "--save", saved),
    )
    assert (taken["subjects"], taken["records"], taken["charged_entries"]) == (2, 1, 1)
    (line,) = records.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["subject"] == EXPIRED
    assert len(list(saved.iterdir())) == 2
    assert served.answer(ALPHA, "usage", "receipts", book)["receipts"] == 1
    pinned = served.run(ADMINISTRATOR, "log", "key").out.strip()
    chunk = saved / "chunk-00000.bin"
    assert served.answer(ADMINISTRATOR, "verify", chunk, "--key", pinned)["proof"] == "inclusion"
    told = served.answer(ALPHA, "usage", "delivery", "delivered-1")
    assert (told["state"], told["acknowledged_records"]) == ("DELIVERY_STATE_ENDED", "1")
    audited = ("usage", "delivery", "delivered-1", "--operator", "alpha-credit")
    assert served.answer(ADMINISTRATOR, *audited) == told
    assert served.refusal(ALPHA, "usage", "delivery", "never-opened") == "RESOURCE_NOT_FOUND"
    assert "ended" in served.run(ALPHA, "usage", "delivery", "delivered-1").out


def test_answers_are_saved_with_their_proof_and_verified_offline(
    served: Served, tmp_path: Path
) -> None:
    key = served.run(ADMINISTRATOR, "log", "key").out.strip()
    company, batched = EXPIRED, tmp_path / "batch"
    pinned = ("--proof", "complete", "--key", key)
    file = tmp_path / "response.bin"
    answer = served.answer(ALPHA, "query", company, *CHECK, *pinned, "--save", file)
    told = served.answer(ADMINISTRATOR, "verify", file, "--key", key, "--subject", company)
    assert told["records"] == answer["records"] != []
    assert told["request_checked"]
    one = told["records"][0]["name"]
    by_name = ("--proof", "inclusion", "--key", key, "--save", file)
    served.answer(ALPHA, "record", "show", one, *CHECK, *by_name)
    assert served.answer(ADMINISTRATOR, "verify", file, "--key", key)["proof"] == "inclusion"
    companies = tmp_path / "companies"
    companies.write_text("\n".join((EXPIRED, invented_code(98), invented_code(99))))
    served.answer(ALPHA, "batch", companies, *CHECK, *pinned, "--save", batched)
    chunk = batched / "chunk-00000.bin"
    assert len(served.answer(ADMINISTRATOR, "verify", chunk, "--key", key)["subjects"]) == 3
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    tampered = served.run(ADMINISTRATOR, "verify", chunk, "--key", key)
    assert tampered.status == 1


def test_a_key_without_a_proof_is_refused_before_anything_is_asked(served: Served) -> None:
    key = served.run(ADMINISTRATOR, "log", "key").out.strip()
    done = served.run(ALPHA, "query", invented_code(0), *CHECK, "--key", key)
    assert done.status == 1
    assert "--proof" in done.told


def test_a_refusal_is_told_with_its_field_and_without_the_value(served: Served) -> None:
    query = ("query", "91000000DEM0000XYZ", *CHECK, "--profile", served.profile(ALPHA))
    done = creditgate_here(served.home, *query)
    assert (done.status, done.out) == (2, "")
    assert done.told.startswith("INVALID_REQUEST: ")
    assert "subject" in done.told
    assert "DEM0000XYZ" not in done.told


def test_an_empty_batch_is_refused_here(served: Served, tmp_path: Path) -> None:
    empty = tmp_path / "subjects"
    empty.write_text("\n", encoding="utf-8")
    assert served.run(ALPHA, "batch", empty, *CHECK).status == 1
