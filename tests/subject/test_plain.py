"""Consents in plain words: all that is asked is told, in both languages, and pinned."""

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.model import (
    GRADE,
    ONCE,
    RECORDS,
    TIMES_PER_DAY,
    WITHIN_PERIOD,
    ConsentItem,
    ConsentNotice,
    ConsentTerms,
)
from creditgate.v1.consent_service_pb2 import ConsentState, DataLifeEnd
from creditgate.v1.disclosed_record_pb2 import DisclosedRecord
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Openness, Purpose
from gateway.authority.view import AuthorityView
from gateway.catalogue.file import NATIONAL, parse_catalogue, read_catalogue
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem
from gateway.consents.plain import POLICY_VERSION, notice, plain_consent, region_name
from gateway.consents.rules import pinned
from gateway.consents.words import FIELDS, PROVINCES, STATES
from gateway.pages.moments import span
from gateway.pages.rendering import Language
from operators.kept import Kept
from operators.log import Change
from operators.model import OPERATOR, Operator
from tests.clock import NOW
from tests.people import COMPANY

DAY = 86_400
ITEMS = {item.code: item for item in read_catalogue(NATIONAL)}
CONSENT_ITEMS = sorted(
    code for code, item in ITEMS.items() if item.openness == Openness.OPENNESS_CONSENT
)
(UTILITIES,) = parse_catalogue("""
items:
  - code: payment.utilities
    name_zh: 水电费缴纳信息
    name_en: Utility payment
    sources: [某局]
    subject_types: [ENTERPRISE]
    openness: CONSENT
    price_class: evaluated
    period_rules: [{end_required: true, legal_source: rule}]
    content_fields:
      - {name: max_overdue_days, type: INTEGER, title_zh: 最长逾期天数, title_en: most days overdue}
      - {name: cut_off_cnt, type: INTEGER, title_zh: 停供次数, title_en: number of cut-offs}
""")
LANGUAGES: tuple[Language, ...] = ("zh", "en")


def view_of(
    *operators: tuple[str, str], items: Mapping[str, CatalogueItem] = ITEMS
) -> AuthorityView:
    """Return authority with the catalogue the gateway ships with and these operators."""
    things: list[tuple[str, str, Kept]] = [
        (CATALOGUE_ITEM, code, item) for code, item in items.items()
    ]
    for operator_id, name in operators:
        operator = Operator(
            operator_id=operator_id,
            display_name=name,
            uscc="91000000DEM000012D",
            state=OperatorState.OPERATOR_STATE_ACTIVE,
        )
        things.append((OPERATOR, operator_id, operator))
    return AuthorityView().advanced(
        [
            Change(number, kind, id_, 1, thing.as_document(), "test", NOW, "test")
            for number, (kind, id_, thing) in enumerate(things, 1)
        ]
    )


VIEW = view_of(("alpha", "示例征信有限公司（虚构）"), ("beta", "示例银行（虚构）"))


def terms(**changed: Any) -> ConsentTerms:
    """Return terms, those of the sample unless changed."""
    usual: dict[str, Any] = {
        "items": (
            ConsentItem(item="payment.tax", fields=frozenset({"tax_year", "tax_credit_grade"})),
            ConsentItem(item="evaluation.public-credit"),
        ),
        "purposes": frozenset({Purpose.PURPOSE_CREDIT_APPROVAL}),
        "answer_form": RECORDS,
        "access_mode": TIMES_PER_DAY,
        "times_per_day": 3,
        "valid_from": NOW,
        "valid_until": NOW + 90 * DAY,
        "data_life_seconds": 30 * DAY,
        "data_life_end": DataLifeEnd.DATA_LIFE_END_DELETE,
        "regions": frozenset({"11", "3301"}),
    }
    return pinned(VIEW.catalogue, ConsentTerms(**usual | changed))


def text(agreed: ConsentTerms, language: Language, *, operator_id: str = "alpha") -> str:
    """Return what is told of ``agreed``."""
    return plain_consent(VIEW, operator_id, COMPANY, agreed, "", language).text


OTHERWISE: dict[str, dict[str, Any]] = {
    "items": {"items": (ConsentItem(item="payment.social-insurance"),)},
    "fields": {
        "items": (
            ConsentItem(item="payment.tax", fields=frozenset({"tax_year"})),
            ConsentItem(item="evaluation.public-credit"),
        )
    },
    "all fields": {
        "items": (ConsentItem(item="payment.tax"), ConsentItem(item="evaluation.public-credit"))
    },
    "purposes": {"purposes": frozenset({Purpose.PURPOSE_BIDDING})},
    "once": {"access_mode": ONCE, "times_per_day": 0},
    "within": {"access_mode": WITHIN_PERIOD, "times_per_day": 0},
    "times": {"times_per_day": 4},
    "from": {"valid_from": NOW - 1},
    "until": {"valid_until": NOW + 91 * DAY},
    "life": {"data_life_seconds": 30 * DAY + 1},
    "life's end": {"data_life_end": DataLifeEnd.DATA_LIFE_END_ANONYMISE},
    "regions": {"regions": frozenset({"*"})},
}


GRADE_ALONE = terms(items=(ConsentItem(item="evaluation.public-credit"),), answer_form=GRADE)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("what", OTHERWISE)
def test_whatever_differs_in_what_is_asked_is_told(what: str, language: Language) -> None:
    assert text(terms(), language) != text(terms(**OTHERWISE[what]), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_asks_about_whom_and_what_they_say_is_told(language: Language) -> None:
    told = text(terms(), language)
    assert "示例征信有限公司（虚构）" in told
    assert "91000000DEM000012D" in told
    assert COMPANY in told
    assert told != text(terms(), language, operator_id="beta")
    message = "为审批贵单位的贷款 / for the loan you asked for"
    said = plain_consent(VIEW, "alpha", COMPANY, terms(), message, language).text
    assert message in said
    # Whose words they are is told with them.
    assert said.count("\n") == told.count("\n") + 3


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_grade_alone_names_the_result_and_no_other_field(language: Language) -> None:
    told = text(GRADE_ALONE, language)
    number = LANGUAGES.index(language)
    assert FIELDS["grade"][number] in told
    assert FIELDS["method"][number] not in told
    assert FIELDS["score"][number] not in told


def test_a_grade_alone_is_headed_as_a_result_and_not_as_records() -> None:
    heads = [
        plain_consent(VIEW, "alpha", COMPANY, each, "", language).headline
        for each in (GRADE_ALONE, terms())
        for language in LANGUAGES
    ]
    assert ["评价结论" in heads[0], "only a result about your company" in heads[1]] == [True, True]
    assert "records" not in heads[1]
    assert ["评价结论" in heads[2], "records of your company" in heads[3]] == [False, True]


def test_once_a_day_is_told_as_once() -> None:
    told = text(terms(times_per_day=1), "en")
    assert "Once a day at most;" in told
    assert "1 times" not in told


@pytest.mark.parametrize("end", [1, 2])
def test_what_becomes_of_copies_after_a_revocation_cannot_be_read_otherwise(end: int) -> None:
    told = text(terms(data_life_end=end), "en")
    assert "Within 1 day of your revoking, what they hold must be" in told
    assert "tell of you within" not in told


@pytest.mark.parametrize("agreed", [terms(), GRADE_ALONE], ids=["records", "grade"])
def test_what_every_record_says_besides_its_content_is_told(agreed: ConsentTerms) -> None:
    """Of `DisclosedRecord`, all that is neither the content, a proof of it, nor told elsewhere."""
    words = {
        "name": ("记录编号", "number"),
        "revision": ("版本", "version"),
        "source": ("提供部门", "department"),
        "region": ("所属地区", "region"),
        "severity": ("严重程度", "how serious"),
        "disclosed_from": ("公示期限", "period of its disclosure"),
        "disclosed_until": ("公示期限", "period of its disclosure"),
    }
    elsewhere = {"subject", "item", "content", "content_digest", "event_sequence", "served_fields"}
    assert words.keys() | elsewhere == set(DisclosedRecord.DESCRIPTOR.fields_by_name)
    for number, language in enumerate(LANGUAGES):
        seen = plain_consent(VIEW, "alpha", COMPANY, agreed, "", language).terms[2]
        assert all(each[number] in seen.lines[-1].text for each in words.values())


@given(
    st.sets(st.sampled_from(CONSENT_ITEMS), min_size=1),
    st.sets(st.sampled_from(Purpose.values()[1:]), min_size=1),
    st.data(),
)
def test_every_item_field_and_purpose_is_named_and_fields_left_out_apart(
    codes: set[str], purposes: set[int], data: st.DataObject
) -> None:
    masks = {
        code: data.draw(st.sets(st.sampled_from([f.name for f in ITEMS[code].content_fields])))
        for code in sorted(codes)
    }
    asked = terms(
        items=tuple(ConsentItem(item=c, fields=frozenset(f)) for c, f in masks.items()),
        purposes=frozenset(purposes),
    )
    for language in LANGUAGES:
        number = LANGUAGES.index(language)
        lines = {
            line.name: (line.text, after.text)
            for part in plain_consent(VIEW, "alpha", COMPANY, asked, "", language).terms
            for line, after in zip(part.lines, (*part.lines[1:], part.lines[-1]), strict=True)
            if line.name
        }
        for code, mask in masks.items():
            item: CatalogueItem = ITEMS[code]
            shown, after = lines[(item.name_zh, item.name_en)[number]]
            opened = mask or {field.name for field in item.content_fields}
            for field in item.content_fields:
                words = FIELDS[field.name][number]
                assert (words in shown) if field.name in opened else (words in after)


def test_shipped_fields_go_by_the_same_words_where_the_catalogue_in_force_has_no_titles() -> None:
    titles = {
        field.name: (field.title_zh, field.title_en)
        for code in CONSENT_ITEMS
        for field in ITEMS[code].content_fields
    }
    assert titles == FIELDS


def test_every_state_has_words() -> None:
    assert STATES.keys() == {number for number in ConsentState.values() if number}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("*", ("全国", "All of China")),
        ("11", ("北京市", "Beijing")),
        ("110000", ("北京市", "Beijing")),
        ("3301", ("浙江省（3301）", "Zhejiang (3301)")),
        ("330106", ("浙江省（330106）", "Zhejiang (330106)")),
        ("000000", ("000000", "000000")),
        ("100000", ("国家层面登记（100000）", "Registered by the state (100000)")),
    ],
)
def test_regions_go_by_their_names_as_far_as_they_are_known(
    code: str, words: tuple[str, str]
) -> None:
    assert (region_name(code, "zh"), region_name(code, "en")) == words


@pytest.mark.parametrize("language", LANGUAGES)
def test_regions_are_told_as_those_of_the_records_and_not_of_their_use(language: Language) -> None:
    told = plain_consent(VIEW, "alpha", COMPANY, terms(), "", language).terms
    (part,) = [each for each in told if any("3301" in line.text for line in each.lines)]
    assert part.title == ("数据来源地区", "Records of these regions")[LANGUAGES.index(language)]


def test_there_are_thirty_four_divisions_of_the_first_level() -> None:
    assert len(PROVINCES) == 34


@given(st.integers(1, 3 * 366 * DAY))
def test_a_span_is_told_to_the_second(seconds: int) -> None:
    units = {"day": DAY, "hour": 3_600, "minute": 60, "second": 1}
    parts = span(seconds, "en").split(" ")
    numbers, names = parts[::2], parts[1::2]
    told = sum(
        int(n) * units[name.removesuffix("s")] for n, name in zip(numbers, names, strict=True)
    )
    assert told == seconds


@given(st.integers(1, 3 * 366 * DAY), st.integers(1, 3 * 366 * DAY))
def test_spans_that_differ_are_told_apart_in_chinese(one: int, other: int) -> None:
    assert (span(one, "zh") == span(other, "zh")) == (one == other)


def test_what_authority_does_not_know_goes_by_its_code() -> None:
    unknown = terms(items=(ConsentItem(item="gone.item", fields=frozenset({"some_field"})),))
    told = plain_consent(AuthorityView(), "nobody", COMPANY, unknown, "", "zh").text
    assert "nobody" in told
    assert "gone.item" in told
    assert "some_field" in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_was_consented_to_stays_told_whatever_becomes_of_the_catalogue(
    language: Language,
) -> None:
    agreed = terms(items=(ConsentItem(item="payment.tax"),))
    tax = ITEMS["payment.tax"]
    (first, *rest) = tax.content_fields
    fewer = tax.model_copy(update={"content_fields": tuple(rest)})
    added = first.model_copy(
        update={"name": "brand_new", "title_zh": "全新内容", "title_en": "something new"}
    )
    more = tax.model_copy(update={"content_fields": (*tax.content_fields, added)})
    number = LANGUAGES.index(language)
    every = [FIELDS[field.name][number] for field in tax.content_fields]
    for item, said, hidden in (
        (tax, ("全部内容", "all of it"), False),
        (more, ("只有", "only"), True),
        (fewer, ("全部内容", "all of it"), False),
        (None, ("只有", "only"), False),
    ):
        view = view_with(item)
        part = plain_consent(view, "alpha", COMPANY, agreed, "", language).terms[2]
        assert part.lines[0].text.startswith(said[number])
        assert all(words in part.lines[0].text for words in every)
        title = ("全新内容", "something new")[number]
        assert title not in part.lines[0].text
        assert any(title in line.text for line in part.lines) == hidden


@pytest.mark.parametrize("language", LANGUAGES)
def test_fields_an_administrator_adds_go_by_their_titles(language: Language) -> None:
    name, titles = UTILITIES.code, ("最长逾期天数", "most days overdue")
    (asked, left_out), number = UTILITIES.content_fields, LANGUAGES.index(language)
    agreed = ConsentItem(item=name, fields=frozenset({asked.name}))
    lines = _seen(UTILITIES, agreed, language)
    assert titles[number] in lines[0]
    assert ("停供次数", "number of cut-offs")[number] in lines[1]
    assert not any(field.name in line for line in lines for field in (asked, left_out))


@pytest.mark.parametrize("language", LANGUAGES)
def test_fields_kept_before_titles_are_marked_as_technical_names(language: Language) -> None:
    bare = tuple(
        field.model_copy(update={"title_zh": "", "title_en": ""})
        for field in UTILITIES.content_fields
    )
    item = UTILITIES.model_copy(update={"content_fields": bare})
    agreed = ConsentItem(item=item.code, fields=frozenset({"max_overdue_days"}))
    lines = _seen(item, agreed, language)
    number = LANGUAGES.index(language)
    assert ("“max_overdue_days”（技术名称）", "“max_overdue_days” (a technical name)")[
        number
    ] in lines[0]
    assert ("“cut_off_cnt”（技术名称）", "“cut_off_cnt” (a technical name)")[number] in lines[1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_keeps_the_titles_it_was_made_with(language: Language) -> None:
    agreed = terms(items=(ConsentItem(item="payment.tax"),))
    tax, number = ITEMS["payment.tax"], LANGUAGES.index(language)
    (first, *rest) = tax.content_fields
    renamed = first.model_copy(update={"title_zh": "所属年份", "title_en": "year concerned"})
    later = tax.model_copy(update={"content_fields": (renamed, *rest)})
    told = [
        notice(plain_consent(view_with(item), "alpha", COMPANY, agreed, "", language), language)
        for item in (tax, later)
    ]
    titles = [(field.title_zh, field.title_en)[number] for field in (first, renamed)]
    assert [title in kept.text for kept in told for title in titles] == [True, False, False, True]
    # What was kept is verified as it was read, whatever fields are called since.
    assert ConsentNotice.model_validate(told[0].model_dump()) == told[0]


def _seen(item: CatalogueItem, agreed: ConsentItem, language: Language) -> list[str]:
    """Return what is told of one item: what is seen, what is not, and what comes beside it."""
    part = plain_consent(
        view_with(item), "alpha", COMPANY, terms(items=(agreed,)), "", language
    ).terms[2]
    return [line.text for line in part.lines]


def view_with(item: CatalogueItem | None) -> AuthorityView:
    """Return authority whose catalogue has this item alone, or none."""
    if item is None:
        return AuthorityView()
    document = item.as_document()
    return AuthorityView().advanced(
        [Change(1, CATALOGUE_ITEM, item.code, 1, document, "test", NOW, "test")]
    )


@pytest.mark.parametrize(
    ("spoken", "shown_in", "tag"),
    [("en", "zh", "en"), ("zh-CN", "en", "zh-CN"), ("", "zh", "zh-CN"), ("", "en", "en")],
)
def test_the_operators_own_words_carry_their_language(
    spoken: str, shown_in: Language, tag: str
) -> None:
    plain = plain_consent(
        VIEW, "alpha", COMPANY, terms(), "For your loan", shown_in, message_in=spoken
    )
    (quoted,) = [part for part in plain.terms if part.quoted]
    assert (quoted.quoted, quoted.quoted_in) == ("For your loan", tag)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_item_was_called_is_kept_with_the_consent(language: Language) -> None:
    agreed = notice(plain_consent(VIEW, "alpha", COMPANY, terms(), "", language), language)
    item = ITEMS["payment.tax"]
    other = item.model_copy(update={"name_zh": "另一事项", "name_en": "Another item"})
    renamed = view_of(("alpha", "示例征信有限公司（虚构）"), items={**ITEMS, item.code: other})
    later = notice(plain_consent(renamed, "alpha", COMPANY, terms(), "", language), language)
    names = (item.name_zh, other.name_zh) if language == "zh" else (item.name_en, other.name_en)
    assert [name in kept.text for kept in (agreed, later) for name in names] == [
        True, False, False, True,
    ]  # fmt: skip
    assert agreed.text_digest != later.text_digest


def test_changed_words_take_a_new_policy_version() -> None:
    """Whoever changes a sentence raises POLICY_VERSION and pins the new digests here."""
    told = [
        notice(plain_consent(VIEW, "alpha", COMPANY, each, message, language), language)
        for each in (terms(), *(terms(**changed) for changed in OTHERWISE.values()), GRADE_ALONE)
        for message in ("", "说明")
        for language in LANGUAGES
    ]
    digest = hashlib.sha256("".join(each.text_digest for each in told).encode()).hexdigest()
    assert (POLICY_VERSION, digest) == (
        "4",
        "f47fcf25ab3d31b8ddaa543cbbc8f44601dfd87cdff1e99f8c89ac827b165b0b",
    )
