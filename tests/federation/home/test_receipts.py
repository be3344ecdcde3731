"""Receipts of other regions, made out as consents of this one: cut to what is here, or refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from consent.model import GRADE, TIMES_PER_DAY, Consent
from consent.states import GRANTED
from creditgate.federated_query import consent_elsewhere
from creditgate.refusal import Refused, reason_name
from gateway.federation.home.receipts import (
    MOST_CHARACTERS,
    ForeignReceipts,
    made_out,
    require_covers,
)
from gateway.federation.trust.book import Region
from tests.clock import NOW
from tests.consents.receipts import ISSUER, Signing, granted

OPERATOR: Final = "alpha-credit"
MAPPING: Final = {"evaluation.public-credit": "grade", "payment.tax": "tax"}
DECLARED: Final[Mapping[str, frozenset[str]]] = {
    "grade": frozenset({"grade", "band"}),
    "tax": frozenset({"tax_year"}),
}


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    """The keys of the region that granted."""
    signing = Signing(tmp_path)
    signing.add("ES256")
    return signing


def region(signing: Signing, **changed: Any) -> Region:
    """Return the region, as its trust chain describes it."""
    known = Region(
        entity_id=ISSUER,
        operator_id="region-one",
        client_id="region-" + "1" * 24,
        grpc=("127.0.0.1:1",),
        issuer=ISSUER,
        roots=b"",
        certificate_thumbprints=frozenset(),
        codes=("11",),
        log_keys={},
        jwks="",
        document_keys=json.dumps(signing.published),
        catalogue="",
        catalogue_version="",
        stands_until=NOW + 60,
    )
    return known._replace(**changed)


def here(signing: Signing, consent: Consent, mapping: Mapping[str, str] = MAPPING) -> Consent:
    """Return a consent as it holds here, by its receipt."""
    receipt, there = signing.receipts.signed(consent), region(signing)
    artefact = ForeignReceipts().read(receipt, there)
    return made_out(artefact, receipt, there, mapping, lambda item: DECLARED.get(item, frozenset()))


def reason(refused: pytest.ExceptionInfo[Refused]) -> str:
    """Return why."""
    return reason_name(refused.value.reason)


def test_a_consent_is_made_out_with_items_mapped_and_fields_cut(signing: Signing) -> None:
    there = granted()
    made = here(signing, there)
    assert made.terms.fields_by_item == {"grade": {"grade"}, "tax": {"tax_year"}}
    same = {"items"}
    assert made.terms.model_dump(exclude=same) == there.terms.model_dump(exclude=same)
    assert (made.state, made.subject, made.granted_at) == (GRANTED, there.subject, NOW)
    assert (made.operator_id, made.client_id) == ("region-one", "region-" + "1" * 24)
    assert (made.signer, made.delegation) == ("", "")
    assert made.name == consent_elsewhere(ISSUER, there.name)


def test_one_consent_has_one_id_here_whenever_its_receipt_was_signed(signing: Signing) -> None:
    first = here(signing, granted())
    signing.clock.at += 60
    again = here(signing, granted(version=3))
    assert first.consent_id == again.consent_id
    assert len(first.consent_id) == 40
    # Ids sort by the time they begin with, here too.
    assert first.consent_id.startswith("0069cc59c0")


def test_ids_of_two_regions_never_meet() -> None:
    name = granted().name
    assert consent_elsewhere(ISSUER, name) != consent_elsewhere("https://other.test", name)
    with pytest.raises(ValueError, match="consents/"):
        consent_elsewhere(ISSUER, "consents/x")


def test_an_item_or_field_that_is_not_here_opens_nothing(signing: Signing) -> None:
    made = here(signing, granted(), {"payment.tax": "tax"})
    assert set(made.terms.fields_by_item) == {"tax"}
    for mapping in ({}, {"payment.tax": "unheard-of"}):
        with pytest.raises(Refused) as refused:
            here(signing, granted(), mapping)
        assert (reason(refused), refused.value.metadata) == ("CONSENT_EXCEEDED", {"field": "items"})


def test_a_consent_reaches_the_region_whose_districts_it_names(signing: Signing) -> None:
    receipt = signing.receipts.signed(granted())
    artefact = ForeignReceipts().read(receipt, region(signing))
    for codes in ({"31"}, {"310101"}, {"11"}, {"44", "1101"}):
        require_covers(artefact, OPERATOR, frozenset(codes))
    for codes in ({"44"}, {"3102"}, set[str]()):
        with pytest.raises(Refused) as refused:
            require_covers(artefact, OPERATOR, frozenset(codes))
        assert reason(refused) == "CONSENT_EXCEEDED"
        assert refused.value.metadata == {"field": "regions"}


def test_a_consent_is_of_its_operator_and_for_records(signing: Signing) -> None:
    artefact = ForeignReceipts().read(signing.receipts.signed(granted()), region(signing))
    with pytest.raises(Refused) as refused:
        require_covers(artefact, "beta", frozenset({"11"}))
    assert reason(refused) == "CONSENT_UNKNOWN"
    terms = granted().terms.model_copy(update={"answer_form": GRADE})
    graded = ForeignReceipts().read(signing.receipts.signed(granted(terms=terms)), region(signing))
    with pytest.raises(Refused) as refused:
        require_covers(graded, OPERATOR, frozenset({"11"}))
    assert refused.value.metadata == {"field": "answer_form"}


def test_only_the_regions_own_keys_sign_its_receipts(signing: Signing, tmp_path: Path) -> None:
    receipt, receipts = signing.receipts.signed(granted()), ForeignReceipts()
    assert receipts.read(receipt, region(signing)).operator_id == OPERATOR
    other = Signing(tmp_path / "other")
    other.add("ES256")
    strange = {
        "other keys": region(other),
        "no keys": region(signing, document_keys='{"keys": []}'),
        "no set of keys": region(signing, document_keys="[]"),
        "another region, whatever it names": region(signing, entity_id="https://other.test"),
    }
    for name, there in strange.items():
        # Though it was read before, by the right keys.
        with pytest.raises(Refused) as refused:
            receipts.read(receipt, there)
        assert reason(refused) == "CONSENT_UNKNOWN", name


def test_what_is_too_long_is_not_read(signing: Signing) -> None:
    with pytest.raises(Refused) as refused:
        ForeignReceipts().read("x" * (MOST_CHARACTERS + 1), region(signing))
    assert reason(refused) == "CONSENT_UNKNOWN"


def test_terms_that_no_consent_can_have_open_nothing_and_are_not_repeated(
    signing: Signing,
) -> None:
    there, receipt = region(signing), signing.receipts.signed(granted())
    artefact = ForeignReceipts().read(receipt, there)
    terms = artefact.terms.model_copy(update={"times_per_day": 0})
    assert granted().terms.access_mode == TIMES_PER_DAY
    with pytest.raises(Refused) as refused:
        made_out(
            artefact.model_copy(update={"terms": terms}),
            receipt,
            there,
            MAPPING,
            lambda item: DECLARED[item],
        )
    assert reason(refused) == "CONSENT_UNKNOWN"
    assert artefact.subject not in refused.value.message
