"""Private personal data in free text: recognised tightly, so that nothing else is kept out.

Source: Opinions on improving the social credit system (2025-03-31), article 4: no private
personal information. What is looked for has a check of its own (identity numbers, bank
cards) or a closed form (mobile numbers, e-mail addresses).
"""

import re
from datetime import date
from typing import Final
from unicodedata import category, decimal

from creditgate import uscc
from creditgate.plain_text import FILLERS

# Eleven characters from a digit on, none of which is a letter, a Han character or of the kind
# that ends a number: what is between the digits may be anything else.
_DIGITS: Final = re.compile(r"""\d[^A-Za-z"',:;，：；、。\u3400-\u9fff]{10}""")
_AT_SIGNS: Final = "@＠﹫"
_GAP: Final = r"(?: ?[.·/_-] ?| {1,2})"

# A number inside a longer one, a sum with decimals or a hyphenated identifier is another.
_BEFORE: Final = r"(?<![0-9A-Za-z_])(?<![0-9]\.)(?<![0-9A-Za-z]-)"
_AFTER: Final = r"(?![0-9A-Za-z_])(?!\.[0-9])(?!-[0-9A-Za-z])"
# GB 11643-1999: division of birth, date of birth, order, check character. No division
# begins with 9, the authority of market entities' codes. What stands around it may be letters
# or a hyphen: the check character keeps others' numbers apart.
# How its digits are grouped is up to who writes it.
_IDENTITY: Final = re.compile(
    rf"(?<![0-9])(?<![0-9]\.)[1-8](?:{_GAP}?[0-9]){{16}}{_GAP}?[0-9Xx](?![0-9])(?!\.[0-9])"
)
# Until 1999 it had no check character and no century: only after its name is it one.
_FORMER_IDENTITY: Final = re.compile(
    r"(?:身份证|居民证|证件号)[^0-9A-Za-z]{0,8}"
    r"[1-8][0-9]{5}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}(?![0-9A-Za-z])"
)
_IDENTITY_WEIGHTS: Final = tuple(pow(2, 17 - i, 11) for i in range(17))
_IDENTITY_CHECK: Final = "10X98765432"
# The numbering plan of mobile networks (YD/T 1444 prefixes in use), with or without +86.
_COUNTRY: Final = r"(?:(?:\+|00)?86[ -]?)?"
_NUMBER: Final = (
    rf"{_COUNTRY}(?P<bracket>[(（])?"
    r"1(?:3[0-9]|4[579]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
    r"(?(bracket)[)）] ?)"
    rf"(?:[0-9]{{8}}|{_GAP}?[0-9]{{4}}{_GAP}[0-9]{{4}})"
)
# Sums of money, amounts and numbers of documents may have eleven digits too. A unit that begins
# another word is none.
_UNIT: Final = (
    r" ?[万亿]?(?:[美日韩欧港澳加新]?[元圆]|英镑|卢布|[万亿]|吨|平方米|立方米|千克|公斤|千瓦|公里|公顷"
    r"|股(?![东长])|户(?![主名外口籍])|只(?![接能收限是用有可在])|台(?![湾北州长山])|部(?![门长队])"
    r"|件(?!人)|套|辆|(?:mAh|[kM]Wh|kVA|kW|kg)(?![A-Za-z]))"
)
_MOBILE: Final = re.compile(
    rf"{_BEFORE}(?<![¥￥$€第])(?<![¥￥$€] ){_NUMBER}{_AFTER}(?!{_UNIT})(?!号)"
)
# What tells in front that a sum follows, or the number of a document.
_OTHER_NUMBER: Final = re.compile(
    r"(?:资本|资产|资金|货值|案值|价值|产值|货款|[金总税余差款资售业]额|产[量能]"
    r"|登记号|备案号|注册号|编号|案号|文号|准字|核准号|许可证号|人民币"
    r"|(?<![A-Za-z])(?:CNY|RMB|USD|EUR|JPY|KRW|HKD|MOP|TWD|GBP|AUD|CAD|SGD|CHF|RUB))"
    r"(?:\([^()]{0,8}\))?[ :为是共计约达人民币]{0,6}\Z"
)
_LONGEST_WORDS: Final = 24
# After one of these words it is a telephone's, however its digits are grouped: but for a date, a
# sum with decimals, and so many of something.
_CALLED: Final = re.compile(
    r"(?:手机|电话|微信|联系方式|tel|phone|mob(?:ile)?|cell|wechat|wx)"
    rf"[ :()=._号码为是-]{{0,6}}{_COUNTRY}(?![0-9]{{8,10}}\.[0-9]{{1,3}}(?![0-9]))"
    r"(?!19[0-9]{2}[-./][01][0-9][-./][0-3][0-9](?![0-9]))"
    rf"\(?1{_GAP}?[3-9](?:\)?{_GAP}?[0-9]){{9}}(?![0-9])(?!\.[0-9]{{1,2}}(?![0-9]))(?!{_UNIT})",
    re.IGNORECASE,
)
_CARD: Final = re.compile(
    rf"{_BEFORE}(?<!第)(?:[0-9]{{16,19}}|[0-9]{{4}}(?:{_GAP}[0-9]{{4}}){{3}}(?:{_GAP}?[0-9]{{1,3}})?)"
    rf"{_AFTER}(?!号)"
)
# Issuers after ISO/IEC 7812: UnionPay, JCB, Discover, old domestic cards, Visa, Mastercard.
# A division and a year at the head make it a document's number, but for UnionPay.
_ISSUED: Final = re.compile(
    r"62[0-9]{14,17}|(?![1-8][0-9]{5}(?:19|20)[0-9]{2})"
    r"(?:(?:35|60|81)[0-9]{14,17}|955[0-9]{13,16}|4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}"
    r"|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12})"
)
# One at sign at a time, so that no text makes the search slow.
_LABEL: Final = r"0-9A-Za-z\u4e00-\u9fff"
_EMAIL: Final = re.compile(
    rf"(?<=[0-9A-Za-z._%+-])@(?:[{_LABEL}-]{{1,63}}\.){{1,8}}[A-Za-z\u4e00-\u9fff]{{2,24}}"
)


class _Plain(dict[int, int | None]):
    """Each character as the patterns know it: a table for `str.translate` that fills itself.

    Digits and full-width forms of ASCII become ASCII, blanks and dashes of all kinds one blank
    or hyphen, and what nobody sees is left out. Not NFKC: it would join the "①" before a
    number to its digits.
    """

    def __missing__(self, code: int) -> int | None:
        plain = self[code] = _plain_code(code)
        return plain


# The check character is a Roman ten, for which people type what looks like it.
_ALIKE: Final = {ord(letter): ord("X") for letter in "×ХхⅩⅹ"} | {ord("﹫"): ord("@")}


def _plain_code(code: int) -> int | None:
    if code < 0x80:
        return code
    if code in _ALIKE:
        return _ALIKE[code]
    character = chr(code)
    if (digit := decimal(character, None)) is not None:
        return ord("0") + digit
    if 0xFF01 <= code <= 0xFF5E:
        return code - 0xFEE0
    kind = category(character)
    if kind in {"Cf", "Mn", "Me"} or character in FILLERS:
        return None
    if kind == "Zs":
        return ord(" ")
    return ord("-") if kind == "Pd" or character == "−" else code


_PLAIN: Final = _Plain()


def suspicious(text: str) -> bool:
    """Tell, at little cost, whether ``text`` may hold personal data at all.

    All that is looked for has eleven digits, perhaps in groups, or an at sign.
    """
    return any(sign in text for sign in _AT_SIGNS) or _DIGITS.search(text) is not None


def holds_personal_data(text: str, subject: str) -> bool:
    """Tell whether ``text`` names a natural person's private data.

    ``subject`` is the record's own credit code: a few codes of public bodies happen to be
    well-formed identity numbers too.
    """
    plain = text.translate(_PLAIN)
    return bool(
        any(_is_mobile(plain, match.start()) for match in _MOBILE.finditer(plain))
        or _CALLED.search(plain)
        or _EMAIL.search(plain)
        or any(_is_card(match[0]) for match in _CARD.finditer(plain))
        or _FORMER_IDENTITY.search(plain)
        or holds_identity_number(plain, subject)
    )


def holds_identity_number(plain: str, subject: str) -> bool:
    """Tell whether a text in plain characters has a resident's identity number in it; ``subject``
    as `holds_personal_data`."""
    return any(_is_identity(match[0], subject) for match in _IDENTITY.finditer(plain))


def _is_mobile(plain: str, start: int) -> bool:
    words = plain[max(0, start - _LONGEST_WORDS) : start]
    return _OTHER_NUMBER.search(words) is None


def _is_identity(text: str, subject: str) -> bool:
    number = _without_gaps(text).upper()
    if number == subject or number[6:8] not in {"19", "20"}:
        return False
    try:
        date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(
        int(digit) * weight for digit, weight in zip(number[:17], _IDENTITY_WEIGHTS, strict=True)
    )
    return _IDENTITY_CHECK[total % 11] == number[17]


def _is_card(text: str) -> bool:
    """Tell whether ``text`` is a card's number by its issuer and the Luhn rule.

    Credit codes of 18 digits come first: cards of that length are rare.
    Source: ISO/IEC 7812-1, annex B.
    """
    number = _without_gaps(text)
    if _ISSUED.fullmatch(number) is None or uscc.is_valid(number):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0


def _without_gaps(text: str) -> str:
    return "".join([character for character in text if character.isalnum()])
