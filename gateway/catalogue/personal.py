"""Private personal data in free text: recognised tightly, so that nothing else is kept out.

Source: Opinions on improving the social credit system (2025-03-31), article 4: no private
personal information. What is looked for has a check of its own (identity numbers, bank
cards) or a closed form (mobile numbers, e-mail addresses).
"""

import re
from datetime import date
from typing import Final

from creditgate import uscc

_DIGITS: Final = re.compile(r"[0-9０-９][0-9０-９ -]{10}")
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９＠Ｘｘ", "0123456789@Xx")

# A number inside a longer one, a sum with decimals or a hyphenated identifier is another.
_BEFORE: Final = r"(?<![0-9A-Za-z_])(?<![0-9][.,])(?<![0-9A-Za-z]-)"
_AFTER: Final = r"(?![0-9A-Za-z_])(?![.,][0-9])(?!-[0-9A-Za-z])"
# GB 11643-1999: division of birth, date of birth, order, check character. No division
# begins with 9, the authority of market entities' codes.
_IDENTITY: Final = re.compile(
    rf"{_BEFORE}[1-8][0-9]{{5}}((?:19|20)[0-9]{{2}})([0-9]{{2}})([0-9]{{2}})[0-9]{{3}}[0-9Xx]{_AFTER}"
)
_IDENTITY_WEIGHTS: Final = tuple(pow(2, 17 - i, 11) for i in range(17))
_IDENTITY_CHECK: Final = "10X98765432"
# The numbering plan of mobile networks (YD/T 1444 prefixes in use), with or without +86.
# Sums of money and numbers of documents may have eleven digits too.
_MOBILE: Final = re.compile(
    rf"{_BEFORE}(?<![¥￥$€第])(?<![¥￥$€] )(?<!人民币)(?:(?:\+|00)?86[ -]?)?"
    r"1(?:3[0-9]|4[579]|5[0-35-9]|6[2567]|7[0-8]|8[0-9]|9[0-35-9])"
    rf"(?:[0-9]{{8}}|[ -][0-9]{{4}}[ -][0-9]{{4}}){_AFTER}(?! ?[万亿]?(?:元|美元|[万亿]))(?!号)"
)
_CARD: Final = re.compile(
    rf"{_BEFORE}(?<!第)(?:[0-9]{{16,19}}|[0-9]{{4}}(?:[ -][0-9]{{4}}){{3}}(?:[ -]?[0-9]{{1,3}})?)"
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
_EMAIL: Final = re.compile(r"(?<=[0-9A-Za-z._%+-])@(?:[0-9A-Za-z-]{1,63}\.){1,8}[A-Za-z]{2,24}")


def suspicious(text: str) -> bool:
    """Tell, at little cost, whether ``text`` may hold personal data at all.

    All that is looked for has eleven digits, perhaps in groups, or an at sign.
    """
    return "@" in text or "＠" in text or _DIGITS.search(text) is not None


def holds_personal_data(text: str, subject: str) -> bool:
    """Tell whether ``text`` names a natural person's private data.

    ``subject`` is the record's own credit code: a few codes of public bodies happen to be
    well-formed identity numbers too.
    """
    plain = text.translate(_FULL_WIDTH)
    return bool(
        _MOBILE.search(plain)
        or _EMAIL.search(plain)
        or any(_is_card(match[0]) for match in _CARD.finditer(plain))
        or any(match[0] != subject and _is_identity(match) for match in _IDENTITY.finditer(plain))
    )


def _is_identity(match: re.Match[str]) -> bool:
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    number = match[0].upper()
    total = sum(
        int(digit) * weight for digit, weight in zip(number[:17], _IDENTITY_WEIGHTS, strict=True)
    )
    return _IDENTITY_CHECK[total % 11] == number[17]


def _is_card(text: str) -> bool:
    """Tell whether ``text`` is a card's number by its issuer and the Luhn rule.

    Credit codes of 18 digits come first: cards of that length are rare.
    Source: ISO/IEC 7812-1, annex B.
    """
    number = text.replace(" ", "").replace("-", "")
    if _ISSUED.fullmatch(number) is None or uscc.is_valid(number):
        return False
    digits = [int(digit) for digit in reversed(number)]
    doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + doubled) % 10 == 0
