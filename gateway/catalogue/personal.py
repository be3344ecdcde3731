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
from gateway.catalogue.digits import AFTER, BEFORE, GAP
from gateway.catalogue.telephone import holds_mobile_number

# Eleven characters from a digit on, none of which is a letter, a Han character or of the kind
# that ends a number: what is between the digits may be anything else.
_DIGITS: Final = re.compile(r"""\d[^A-Za-z"',:;，：；、。\u3400-\u9fff]{10}""")
_AT_SIGNS: Final = "@＠﹫"
# GB 11643-1999: division of birth, date of birth, order, check character. No division
# begins with 9, the authority of market entities' codes. What stands around it may be letters
# or a hyphen: the check character keeps others' numbers apart.
# How its digits are grouped is up to who writes it.
_IDENTITY: Final = re.compile(
    rf"(?<![0-9])(?<![0-9]\.)[1-8](?:{GAP}?[0-9]){{16}}{GAP}?[0-9Xx](?![0-9])(?!\.[0-9])"
)
# Until 1999 it had no check character and no century: only after its name is it one.
_FORMER_IDENTITY: Final = re.compile(
    r"(?:身份证|居民证|证件号)[^0-9A-Za-z]{0,8}"
    r"[1-8][0-9]{5}[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}(?![0-9A-Za-z])"
)
_IDENTITY_WEIGHTS: Final = tuple(pow(2, 17 - i, 11) for i in range(17))
_IDENTITY_CHECK: Final = "10X98765432"
_CARD: Final = re.compile(
    rf"{BEFORE}(?<!第)(?:[0-9]{{16,19}}|[0-9]{{4}}(?:{GAP}[0-9]{{4}}){{3}}(?:{GAP}?[0-9]{{1,3}})?)"
    rf"{AFTER}(?!号)"
)
# Issuers after ISO/IEC 7812: UnionPay, JCB, Discover, old domestic cards, Visa, Mastercard.
# A division and a year at the head make it a document's number, but for UnionPay.
_ISSUED: Final = re.compile(
    r"62[0-9]{14,17}|(?![1-8][0-9]{5}(?:19|20)[0-9]{2})"
    r"(?:(?:35|60|81)[0-9]{14,17}|955[0-9]{13,16}|4[0-9]{15}(?:[0-9]{3})?|5[1-5][0-9]{14}"
    r"|(?:222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12})"
)
# One at sign at a time, so that no text makes the search slow. What Han characters stand before is
# an address only where its domain is of ASCII: people are mentioned by an at sign too.
_LABEL: Final = r"0-9A-Za-z\u4e00-\u9fff"
_EMAIL: Final = re.compile(
    rf"(?<=[0-9A-Za-z._%+-])@(?:[{_LABEL}-]{{1,63}}\.){{1,8}}[A-Za-z\u4e00-\u9fff]{{2,24}}"
    r"|(?<=[\u3400-\u9fff])@(?:[0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}"
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


def holds_personal_data(text: str, subject: str, field: str = "") -> bool:
    """Tell whether ``text`` names a natural person's private data.

    ``subject`` is the record's own credit code: a few codes of public bodies happen to be
    well-formed identity numbers too. ``field`` is the name of the content field it stands in,
    see `telephone.holds_mobile_number`.
    """
    plain = text.translate(_PLAIN)
    return bool(
        holds_mobile_number(plain, field)
        or _EMAIL.search(plain)
        or any(_is_card(match[0]) for match in _CARD.finditer(plain))
        or _FORMER_IDENTITY.search(plain)
        or holds_identity_number(plain, subject)
    )


def holds_identity_number(plain: str, subject: str) -> bool:
    """Tell whether a text in plain characters has a resident's identity number in it; ``subject``
    as `holds_personal_data`."""
    return any(_is_identity(match[0], subject) for match in _IDENTITY.finditer(plain))


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
