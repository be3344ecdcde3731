"""What the demo invents is about nobody real, fits the shipped catalogue, and stays the same."""

import csv
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creditgate import uscc
from gateway.catalogue.admission import AdmissionRules, Admitted
from gateway.catalogue.file import NATIONAL, read_catalogue
from gateway.cli.terms import show_administrator_role
from gateway.demo.account import Account, Section, Step
from gateway.demo.cast import ALPHA, BETA, GAMMA, PEOPLE, PRICES
from gateway.demo.invented import COMPANIES, CORRECTED, invented_records
from gateway.demo.representing import LI_MING
from gateway.demo.seed import SAMPLE
from gateway.devprovider.accounts import invented_accounts

CATALOGUE = {item.code: item for item in read_catalogue(NATIONAL)}
RULES = AdmissionRules(CATALOGUE)
DAY = 86_400
ANCHORS = st.integers(1_767_225_600, 2_524_608_000)
"""From 2026 to 2050."""


@pytest.mark.parametrize("code", [*COMPANIES, *(party.uscc for party in (ALPHA, BETA, GAMMA))])
def test_invented_companies_have_valid_codes_that_nobody_is_given(code: str) -> None:
    assert uscc.is_valid(code)
    assert code[2:8] == "000000"


@given(ANCHORS)
def test_every_invented_record_is_admitted_whenever_the_seeding_is(anchor: int) -> None:
    records = invented_records(anchor)
    assert len(records.all) == 7
    for draft in records.all:
        assert draft.subject in COMPANIES
        assert isinstance(RULES.admit(draft, anchor), Admitted), draft.record_id


@given(ANCHORS)
def test_invented_periods_run_or_are_over_as_the_demo_needs(anchor: int) -> None:
    records = invented_records(anchor)
    assert records.expired.disclosed_until.seconds <= anchor
    for draft in (records.to_correct, records.to_repair, records.consent_only):
        assert draft.disclosed_from.seconds <= anchor < draft.disclosed_until.seconds - 60 * DAY


@given(ANCHORS)
def test_the_same_seeding_publishes_the_same_records(anchor: int) -> None:
    first, again = invented_records(anchor), invented_records(anchor)
    assert first == again


def test_prices_cover_the_shipped_catalogue() -> None:
    assert {item.price_class for item in CATALOGUE.values()} == set(PRICES)


def test_people_administer_as_their_accounts_at_the_development_provider_say() -> None:
    titles = {account.subject: account.title for account in invented_accounts()}
    for subject, role in PEOPLE.items():
        assert titles[subject].endswith(f"· {show_administrator_role(role)}")


def test_li_ming_represents_the_company_that_is_asked_for_its_consent() -> None:
    companies = {account.subject: account.uscc for account in invented_accounts()}
    assert companies[LI_MING] == CORRECTED


def test_the_sample_shows_what_the_real_list_is_like() -> None:
    with (SAMPLE / "ebrd_ineligible_firms.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    now = f"{datetime.now(UTC):%Y-%m-%d}"
    ends = [row["ineligible_until"] for row in rows]
    assert len(rows) == 40
    assert {"Ongoing", "Indefinite", ""} <= set(ends)
    assert any(not row["ineligible_from"] for row in rows)
    assert any(end[:4].isdigit() and end < now for end in ends)
    assert any(end[:4].isdigit() and end > now for end in ends)
    assert sum("China" in row["nationality"] for row in rows) > 10


def test_an_account_is_not_ok_when_one_step_is_not() -> None:
    account = Account(lambda _: None)
    account.tell(Section("fine", (Step("alpha", "asks", "served", "served"),)))
    assert account.ok
    account.tell(Section("not", (Step("beta", "asks", "NO_LICENCE", "served"),)))
    assert not account.ok
    assert [step["ok"] for step in account.as_document()] == [True, False]
    (row,) = account.sections[1].sheet().rows
    assert row[0] == "FAILED"
    assert row[3] == "served, but NO_LICENCE was expected"
