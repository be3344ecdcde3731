"""A consent in plain words: everything the subject is told before it answers.

Source: Personal Information Protection Law, article 17 (who, why, what, how long and how to
exercise one's rights, told plainly before consent), and ISO/IEC TS 29184 (online privacy
notices). Pages show these lines and no others about the terms, so that the digest of the
notice is of what was read.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from consent.model import GRADE, ONCE, TIMES_PER_DAY, ConsentItem, ConsentNotice, ConsentTerms
from consent.rules import REVOKED_REMOVAL_SECONDS
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authority.view import AuthorityView
from gateway.catalogue.model import CatalogueItem
from gateway.consents.words import FIELDS, PROVINCES
from gateway.pages.moments import period, span
from gateway.pages.rendering import Language
from gateway.pages.terms import PURPOSES
from gateway.pages.words import Words, joined, said
from operators.shapes import ALL_REGIONS, STATE_REGION

POLICY_VERSION: Final = "4"
"""Version of the wording below; whoever changes a sentence raises it."""

_LANGUAGE_TAGS: Final = {"zh": "zh-CN", "en": "en"}
_MOST_IN_HEADLINE: Final = 3
_BESIDE: Final = (
    "每条结果还会注明：记录编号和版本、提供部门、所属地区、公示期限，以及严重程度（如有）。",
    "Each result also says the number and version of the record, the department it comes from, its"
    " region, the period of its disclosure, and how serious it is where that is graded.",
)
"""What every record says besides its content, whichever fields of that are opened
(``DisclosedRecord``)."""
_ANONYMISE: Final = DataLifeEnd.DATA_LIFE_END_ANONYMISE


@dataclass(frozen=True, slots=True)
class PlainLine:
    """One line: ``name``, set off, "" for none, and what is said of it."""

    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class PlainPart:
    """What is told under one title. ``quoted`` are the operator's own words, in the
    language ``quoted_in`` (BCP 47)."""

    title: str
    lines: tuple[PlainLine, ...]
    quoted: str = ""
    quoted_in: str = ""


@dataclass(frozen=True, slots=True)
class PlainConsent:
    """A consent as a page shows it: a sentence that says it all, and its parts.

    ``terms`` are what is asked for, ``choice`` what either answer leads to.
    """

    headline: str
    terms: tuple[PlainPart, ...]
    choice: tuple[PlainPart, ...]
    version_line: str

    @property
    def text(self) -> str:
        """The whole as text, in the order of the page."""
        told = [self.headline]
        for part in (*self.terms, *self.choice):
            told += [part.title, *([part.quoted] if part.quoted else [])]
            told += [" ".join(filter(None, (line.name, line.text))) for line in part.lines]
        return "\n".join([*told, self.version_line])


def plain_consent(
    view: AuthorityView,
    operator_id: str,
    subject: str,
    terms: ConsentTerms,
    message: str,
    language: Language,
    *,
    message_in: str = "",
) -> PlainConsent:
    """Return what ``operator_id`` asks of ``subject`` by ``terms``, in words.

    ``message`` is what the operator itself tells the subject, "" for nothing, in the
    language ``message_in`` (BCP 47), "" for that of the page. What the authority does not
    know by name goes by its code.
    """
    operator = view.authority.operators.get(operator_id)
    name = operator_id if operator is None else operator.display_name
    code = "" if operator is None else operator.uscc

    def part(title: Words, *lines: PlainLine) -> PlainPart:
        return PlainPart(said(language, title), lines)

    def line(zh: str, en: str) -> PlainLine:
        return PlainLine(said(language, (zh, en)))

    about = [
        part(
            ("谁在请求", "Who asks"),
            PlainLine(said(language, (f"统一社会信用代码 {code}", f"Credit code {code}")), name),
        ),
        part(("关于谁", "About whom"), line(*_subject(subject))),
    ]
    if message:
        about.append(
            PlainPart(
                said(language, ("请求方的说明", "What they say")),
                (
                    line(
                        "以上由请求方填写，未经网关核实。",
                        "In their own words; the gateway has not checked them.",
                    ),
                ),
                message,
                message_in or _LANGUAGE_TAGS[language],
            )
        )
    allowed = [
        part(
            ("能看到什么", "What they see"),
            *(line for item in terms.items for line in _item_lines(view, item, terms, language)),
            line(*_BESIDE),
        ),
        part(
            ("用来做什么", "What for"),
            PlainLine(_purposes(terms, language)),
            line("不得用于其他目的。", "Nothing else is allowed."),
        ),
        part(("多长时间", "How long"), *_use_lines(terms, language)),
        part(("结果的处理", "Their copies"), *_copy_lines(terms, language)),
        part(
            ("数据来源地区", "Records of these regions"),
            PlainLine(_regions(terms.regions, language)),
        ),
    ]
    choice = (
        part(
            ("不同意会怎样", "If you refuse"),
            line(
                "没有任何不利后果：不记入信用记录，不影响依法公示的信息，也不影响政府部门提供的服务。",
                "Nothing happens to you: it enters no credit record, changes nothing that is"
                " disclosed by law, and no public service depends on it.",
            ),
            line(
                "请求方只会得知贵单位没有同意（或没有答复）以及时间，不会得知由谁决定、为什么。",
                "They learn only that you declined, or did not answer, and when; never who"
                " decided or why.",
            ),
        ),
        part(
            ("同意以后", "If you agree"),
            line(
                "每一次查询都会记录下来，随时可以查看。",
                "Every use is recorded, and you can see it at any time.",
            ),
            line(
                "随时可以撤回，不需要理由，撤回后立即停止提供。",
                "You can revoke it at any time without a reason; nothing is served from then on.",
            ),
        ),
    )
    return PlainConsent(
        _headline(view, name, terms, language),
        (*about, *allowed),
        choice,
        said(
            language,
            (f"授权告知书第 {POLICY_VERSION} 版", f"Consent notice, version {POLICY_VERSION}"),
        ),
    )


def notice(plain: PlainConsent, language: Language) -> ConsentNotice:
    """Return the record of what was shown: version, text and its digest, language."""
    text = plain.text
    return ConsentNotice(
        policy_version=POLICY_VERSION,
        text_digest=hashlib.sha256(text.encode()).hexdigest(),
        language=_LANGUAGE_TAGS[language],
        text=text,
    )


def item_name(view: AuthorityView, code: str, language: Language) -> str:
    """Return a catalogue item's name, its code where the catalogue has none."""
    item = view.catalogue.get(code)
    return code if item is None else said(language, (item.name_zh, item.name_en))


def purpose_name(number: int, language: Language) -> str:
    """Return a value of the proto enum Purpose in words."""
    name = Purpose.Name(Purpose.ValueType(number)).removeprefix("PURPOSE_")
    return said(language, PURPOSES.get(name, (name, name)))


def region_name(code: str, language: Language) -> str:
    """Return where a division code of 2, 4 or 6 digits lies, or "*"."""
    if code == ALL_REGIONS:
        return said(language, ("全国", "All of China"))
    if code == STATE_REGION:
        return said(language, ("国家层面登记（100000）", "Registered by the state (100000)"))
    province = said(language, PROVINCES.get(code[:2], ("", "")))
    if not province or code in {code[:2], f"{code[:2]}0000"}:
        return province or code
    return said(language, (f"{province}（{code}）", f"{province} ({code})"))


def _headline(view: AuthorityView, name: str, terms: ConsentTerms, language: Language) -> str:
    items = [item_name(view, item.item, language) for item in terms.items]
    shown, more = joined(items[:_MOST_IN_HEADLINE], language), len(items) > _MOST_IN_HEADLINE
    purposes = _purposes(terms, language)
    alone = terms.answer_form == GRADE
    if language == "zh":
        things = f"{shown}等 {len(items)} 项信息" if more else shown
        what = f"{things}中的评价结论" if alone else things
        return f"{name}请求查阅贵单位的{what}，用于{purposes}。"
    rest = len(items) - _MOST_IN_HEADLINE
    things = f"{shown} and {rest} more" if more else shown
    what = "only a result about your company" if alone else "records of your company"
    return f"{name} asks to see {what} ({things}) for {purposes}."


def _subject(subject: str) -> Words:
    return f"贵单位，统一社会信用代码 {subject}", f"Your company, credit code {subject}"


def _purposes(terms: ConsentTerms, language: Language) -> str:
    return joined((purpose_name(each, language) for each in sorted(terms.purposes)), language)


def _regions(regions: Iterable[str], language: Language) -> str:
    return joined((region_name(code, language) for code in sorted(regions)), language)


def _item_lines(
    view: AuthorityView, item: ConsentItem, terms: ConsentTerms, language: Language
) -> tuple[PlainLine, ...]:
    known = view.catalogue.get(item.item)
    name = item_name(view, item.item, language)
    declared = [] if known is None else [field.name for field in known.content_fields]
    opened = [each for each in declared if each in item.fields]
    # What the catalogue has dropped since was consented to all the same.
    opened += sorted(item.fields.difference(declared))
    if terms.answer_form == GRADE:
        fields = _fields(known, opened, language)
        alone = f"只有评价结论：{fields}", f"the result alone: {fields}"
        behind = "看不到所依据的记录。", "Not the records behind it."
        return PlainLine(said(language, alone), name), PlainLine(said(language, behind))
    left_out = [each for each in declared if each not in opened]
    shown, hidden = _fields(known, opened, language), _fields(known, left_out, language)
    if declared and not left_out:
        return (PlainLine(said(language, (f"全部内容：{shown}", f"all of it: {shown}")), name),)
    only = PlainLine(said(language, (f"只有{shown}", f"only {shown}")), name)
    if not left_out:
        return (only,)
    return only, PlainLine(said(language, (f"看不到{hidden}。", f"Not {hidden}.")))


def _fields(item: CatalogueItem | None, names: Iterable[str], language: Language) -> str:
    """Return what fields are called: by the catalogue as it stands, so that the notice says what
    subjects were told, whatever the catalogue says later."""
    titles = {} if item is None else {each.name: each for each in item.content_fields}

    def called(name: str) -> Words:
        field = titles.get(name)
        if field is not None and field.title_zh:
            return field.title_zh, field.title_en
        return FIELDS.get(name, (f"“{name}”（技术名称）", f"“{name}” (a technical name)"))

    return joined((said(language, called(name)) for name in names), language)


def _use_lines(terms: ConsentTerms, language: Language) -> tuple[PlainLine, ...]:
    if terms.access_mode == ONCE:
        often: Words = "只能查询一次，查过即失效。", "Once; after that it is used up."
    elif terms.access_mode == TIMES_PER_DAY:
        times = terms.times_per_day
        most = "Once a day at most" if times == 1 else f"At most {times} times a day"
        often = (
            f"每天最多查询 {times} 次（每天从北京时间 8:00 起算）。",
            f"{most}; days begin at 00:00 UTC.",
        )
    else:
        often = "在此期间内可以多次查询。", "As often as they need within this time."
    return (
        PlainLine(period(terms.valid_from, terms.valid_until, language)),
        PlainLine(said(language, often)),
    )


def _copy_lines(terms: ConsentTerms, language: Language) -> tuple[PlainLine, ...]:
    life = span(terms.data_life_seconds, language)
    after = span(min(terms.data_life_seconds, REVOKED_REMOVAL_SECONDS), language)
    if terms.data_life_end == _ANONYMISE:
        must: Words = (
            "作匿名化处理，使其不再能识别贵单位",
            "made anonymous, so that it no longer tells of you",
        )
    else:
        must = "删除", "deleted"
    deed = said(language, must)
    return (
        PlainLine(
            said(
                language,
                (
                    f"每项结果自最近一次提供起最多保存 {life}，到期必须{deed}。",
                    f"Each result may be kept for {life} at most after it was last given to them, and"
                    f" must then be {deed}.",
                ),
            )
        ),
        PlainLine(
            said(
                language,
                (
                    f"撤回授权后，已取得的结果须在 {after}内{deed}。",
                    f"Within {after} of your revoking, what they hold must be {deed}.",
                ),
            )
        ),
    )
