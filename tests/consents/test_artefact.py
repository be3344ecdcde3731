"""The artefact: whatever was granted fits its published schema, and nothing is lost."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from consent.histories import History
from consent.model import Actor, Consent, ConsentChange, ConsentItem, ConsentTerms
from consent.states import EXPIRED, GRANTED, PAUSED, REFUSED, REQUESTED, REVOKED
from creditgate.consent_artefact import (
    SCHEMA_VERSIONS,
    ArtefactVersion,
    ConsentArtefact,
    artefact_schema,
    schema_path,
)
from creditgate.refusal import Refused
from creditgate.signed_document import KEYS_PATH
from creditgate.v1.consent_service_pb2 import ConsentAccessMode, ConsentAnswerForm, DataLifeEnd
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.consents.artefact import artefact
from gateway.consents.schema import receipt_key_routes, schema_routes
from tests.clock import NOW
from tests.consents.receipts import ALPHA, DAY, ISSUER, SIGNER, Signing, granted
from tests.consents.schema_check import faults

SCHEMA = artefact_schema(ISSUER)
PUBLISHED = Path(__file__).resolve().parents[2] / "docs" / "reference"
MODES = [number for number in ConsentAccessMode.values() if number]
CODES = st.from_regex("[a-z][a-z0-9.-]{0,20}", fullmatch=True)
FIELDS = st.frozensets(
    st.from_regex("[a-z][a-z0-9_]{0,20}", fullmatch=True), min_size=1, max_size=4
)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z", "M"]), max_size=499).map(
    lambda text: text and f"为{text}"
)


@st.composite
def all_terms(draw: st.DrawFn) -> ConsentTerms:
    """Draw terms that may be asked for."""
    form = draw(st.sampled_from([number for number in ConsentAnswerForm.values() if number]))
    mode = draw(st.sampled_from(MODES))
    often = mode == ConsentAccessMode.CONSENT_ACCESS_MODE_TIMES_PER_DAY
    begins = draw(st.integers(0, NOW))
    return ConsentTerms(
        items=tuple(
            ConsentItem(item=code, fields=draw(FIELDS))
            for code in draw(st.lists(CODES, min_size=1, max_size=4, unique=True))
        ),
        purposes=draw(
            st.frozensets(st.sampled_from([each for each in Purpose.values() if each]), min_size=1)
        ),
        answer_form=form,
        access_mode=mode,
        times_per_day=draw(st.integers(1, 1_000)) if often else 0,
        valid_from=begins,
        valid_until=begins + draw(st.integers(1, 3 * 366 * DAY)),
        data_life_seconds=draw(st.integers(1, 5 * 366 * DAY)),
        data_life_end=draw(st.sampled_from([each for each in DataLifeEnd.values() if each])),
        regions=draw(st.frozensets(st.sampled_from(["*", "11", "3101", "310115"]), min_size=1)),
    )


def change(state: Any, actor: Actor, at: int, reason: str = "") -> ConsentChange:
    """Return a logged change."""
    return ConsentChange(
        sequence=at - NOW + 10_000,
        consent_id="c",
        operator_id="alpha-credit",
        subject="91000000DEM000011A",
        state=state,
        actor=actor,
        actor_id="somebody's own id",
        reason=reason,
        at=at,
    )


LOGGED = (
    change(REQUESTED, Actor.OPERATOR, NOW - 3_600),
    change(GRANTED, Actor.SUBJECT, NOW),
    change(PAUSED, Actor.ADMINISTRATOR, NOW + 1, "审计"),
    change(REVOKED, Actor.SUBJECT, NOW + 2),
)


@given(terms=all_terms(), message=PRINTABLE, deputy=st.booleans())
def test_every_consent_that_can_be_granted_fits_the_published_schema(
    terms: ConsentTerms, message: str, deputy: bool
) -> None:
    consent = granted(terms=terms, message=message, delegation="d-1" if deputy else "")
    document = artefact(consent, History(), ISSUER, NOW, ALPHA)
    # As a reader in another language meets it.
    carried = json.loads(json.dumps(document))
    assert not faults(carried, SCHEMA, SCHEMA)
    assert ConsentArtefact.model_validate(carried).as_json() == document
    assert terms_in(document) == terms
    assert document["message" if message else "language"] == (message or "zh-CN")
    assert document.get("delegation") == ("delegations/d-1" if deputy else None)


def terms_in(document: dict[str, Any]) -> ConsentTerms:
    """Return what an artefact allows, read by the contract alone."""
    told = document["terms"]
    return ConsentTerms(
        items=tuple(
            ConsentItem(item=each["item"], fields=frozenset(each["fields"]))
            for each in told["items"]
        ),
        purposes=frozenset(Purpose.Value(f"PURPOSE_{name}") for name in told["purposes"]),
        answer_form=ConsentAnswerForm.Value(f"CONSENT_ANSWER_FORM_{told['answer_form']}"),
        access_mode=ConsentAccessMode.Value(f"CONSENT_ACCESS_MODE_{told['access_mode']}"),
        times_per_day=told.get("times_per_day", 0),
        valid_from=told["validity"]["from"],
        valid_until=told["validity"]["until"],
        data_life_seconds=told["data_life"],
        data_life_end=DataLifeEnd.Value(f"DATA_LIFE_END_{told['data_life_end']}"),
        regions=frozenset(told["regions"]),
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"state": REQUESTED, "granted_at": None, "signer": "", "notice": None},
        {"state": REFUSED, "granted_at": None},
        {"state": EXPIRED, "granted_at": None, "signer": "", "notice": None},
    ],
)
def test_there_is_no_receipt_of_a_consent_that_was_never_granted(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    signing = Signing(tmp_path)
    signing.add("ES256")
    with pytest.raises(Refused) as refusal:
        signing.receipts.signed(granted(**fields))
    assert refusal.value.reason == RefusalReason.REFUSAL_REASON_STATE_CONFLICT


@pytest.mark.parametrize("logged", range(len(LOGGED) + 1))
def test_the_history_is_whole_however_much_of_it_is_logged_yet(logged: int) -> None:
    told = artefact(granted(), History(LOGGED[:logged]), ISSUER, NOW, ALPHA)["history"]
    kept = max(logged, 2)
    assert (
        told
        == [
            {"state": "REQUESTED", "actor": "OPERATOR", "at": NOW - 3_600},
            {"state": "GRANTED", "actor": "SUBJECT", "at": NOW},
            {"state": "PAUSED", "actor": "ADMINISTRATOR", "at": NOW + 1, "reason": "审计"},
            {"state": "REVOKED", "actor": "SUBJECT", "at": NOW + 2},
        ][:kept]
    )


def test_an_artefact_names_no_person_and_nobody_who_acted() -> None:
    ended = granted(state=REVOKED, ended_at=NOW + 2, version=4)
    document = artefact(ended, History(LOGGED), ISSUER, NOW + 3, ALPHA)
    assert document["ended_at"] == NOW + 2
    assert document["representative"] == f"representatives/{SIGNER.partition(':')[2]}"
    assert "somebody" not in json.dumps(document)


def test_an_artefact_tells_where_it_is_taken_back() -> None:
    consent = granted()
    told = artefact(consent, History(), ISSUER + "/", NOW, ALPHA)["withdraw_at"]
    assert told == f"{ISSUER}/my/consents/{consent.consent_id}"


async def test_schema_and_keys_are_published_below_the_issuer(tmp_path: Path) -> None:
    signing = Signing(tmp_path)
    kid = signing.add("ES256")
    issuer = "https://gateway.test/credit"
    app = Starlette(
        routes=[*schema_routes(issuer), *receipt_key_routes(issuer, lambda: signing.book)]
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        schema = await http.get(issuer + schema_path("3"))
        first = await http.get(issuer + schema_path("1"))
        keys = await http.get(issuer + KEYS_PATH)
    assert schema.headers["content-type"] == "application/schema+json"
    assert schema.json() == artefact_schema(issuer)
    assert schema.json()["$id"] == issuer + schema_path("3")
    assert first.json() == artefact_schema(issuer, "1")
    assert keys.headers["content-type"] == "application/jwk-set+json"
    [key] = keys.json()["keys"]
    assert (key["kid"], key["iat"]) == (kid, NOW)
    assert "d" not in key


def test_the_schema_refuses_what_the_model_refuses() -> None:
    whole = artefact(granted(), History(), ISSUER, NOW, ALPHA)
    for spoilt in (
        {**whole, "more": 1},
        {**whole, "state": "LIVE"},
        {**whole, "iat": "now"},
        {**whole, "subject": "x"},
        {**whole, "history": []},
        {**whole, "delegation": None},
        {**whole, "terms": {**whole["terms"], "items": [{"item": "a", "fields": []}]}},
        {name: value for name, value in whole.items() if name != "notice"},
    ):
        assert faults(spoilt, SCHEMA, SCHEMA)
        with pytest.raises(ValueError, match="ConsentArtefact"):
            ConsentArtefact.model_validate(spoilt)


@pytest.mark.parametrize("version", SCHEMA_VERSIONS)
def test_the_schema_of_a_version_stands_as_it_was_published(version: ArtefactVersion) -> None:
    """What a reader does not know it refuses: an addition makes another version."""
    published = PUBLISHED / f"consent-artefact-{version}.json"
    kept = json.loads(published.read_text(encoding="utf-8"))
    assert artefact_schema("https://gateway.example", version) == kept


def test_an_artefact_says_who_the_operator_is() -> None:
    """ISO/IEC TS 27560: the identity of the controller, for who reads it offline."""
    told = artefact(granted(), History(), ISSUER, NOW, ALPHA)
    assert told["schema_version"] == "3"
    assert (told["operator_name"], told["operator_uscc"]) == (ALPHA.display_name, ALPHA.uscc)


def test_an_artefact_says_how_much_of_a_long_history_it_leaves_out() -> None:
    long = History(LOGGED[:2], LOGGED[2:], 7)
    told = artefact(granted(), long, ISSUER, NOW, ALPHA)
    assert (len(told["history"]), told["history_left_out"]) == (4, 7)
    assert not faults(told, SCHEMA, SCHEMA)
    assert ConsentArtefact.model_validate(told).as_json() == told
    assert "history_left_out" not in artefact(granted(), History(LOGGED), ISSUER, NOW, ALPHA)
    # Before, nothing was left out.
    of_second = artefact_schema(ISSUER, "2")
    second = {**told, "schema_version": "2"}
    assert faults(second, of_second, of_second)
    with pytest.raises(ValueError, match="leave changes out"):
        ConsentArtefact.model_validate(second)
    whole = {name: value for name, value in second.items() if name != "history_left_out"}
    assert not faults(whole, of_second, of_second)
    assert ConsentArtefact.model_validate(whole).as_json() == whole


def test_an_artefact_of_version_1_stays_readable_and_is_no_other() -> None:
    told = artefact(granted(), History(), ISSUER, NOW, ALPHA)
    who = {name: told[name] for name in ("operator_name", "operator_uscc")}
    nameless = {name: value for name, value in told.items() if name not in who}
    first = {**nameless, "schema_version": "1"}
    read = ConsentArtefact.model_validate(first)
    assert (read.as_json(), read.operator_name) == (first, "")
    of_first = artefact_schema(ISSUER, "1")
    assert not faults(first, of_first, of_first)
    for spoilt, schema in ((nameless, SCHEMA), ({**first, **who}, of_first)):
        assert faults(spoilt, schema, schema)
        with pytest.raises(ValueError, match="name the operator"):
            ConsentArtefact.model_validate(spoilt)


def test_the_consent_behind_an_artefact_stays_as_it_was() -> None:
    consent = granted()
    artefact(consent, History(LOGGED), ISSUER, NOW, ALPHA)
    assert consent == Consent.model_validate_json(consent.model_dump_json())
