"""Shapes of ids, codes and texts in what administrators enter.

A check returns its value or raises ValueError whose message tells the mend and never
repeats the value.
"""

import re
from collections.abc import Callable, Iterable
from typing import Final

from pydantic_core import Url

from creditgate import uscc
from creditgate.shapes import (
    END_OF_TIME,
    ProtoEnum,
    item_code,
    matching,
    operator_class,
    stated,
)

__all__ = [
    "ALL_REGIONS",
    "END_OF_TIME",
    "STATE_REGION",
    "ProtoEnum",
    "certificate_thumbprint",
    "client_id",
    "common_regions",
    "covers",
    "credit_code",
    "description",
    "display_name",
    "instant",
    "issuer",
    "item_code",
    "known",
    "licence_number",
    "matching",
    "names_province",
    "operator_class",
    "operator_class_or_none",
    "operator_id",
    "redirect_uri",
    "region_code",
    "scope_name",
    "stated",
    "subject_identifier",
]

ALL_REGIONS: Final = "*"
STATE_REGION: Final = "100000"
"""The state's own: in the codes of what ministries and the State Administration for Market Regulation
register it stands for the division (GB 32100-2015). Nothing lies above or below it."""
# GB/T 2260: heads of the codes of provinces and what ranks with them; 66 is what the exchange of
# credit information has for the Xinjiang corps, 00 stands where no division applies.
_PROVINCE: Final = re.compile(
    f"00|1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-6]|71|8[12]|{STATE_REGION}",
)


operator_id: Final = matching(
    "[a-z][a-z0-9-]{2,39}",
    "use 3 to 40 characters: lower-case letters, digits and hyphens, a letter first",
)
client_id: Final = matching(
    "[a-z][a-z0-9-]{2,63}",
    "use 3 to 64 characters: lower-case letters, digits and hyphens, a letter first",
)
operator_class_or_none: Final = matching(
    "([a-z][a-z0-9-]{0,39})?",
    "use 1 to 40 characters: lower-case letters, digits and hyphens, a letter first; or none",
)
licence_number: Final = matching(
    "[A-Za-z0-9-]{1,64}", "use 1 to 64 characters: letters, digits and hyphens"
)
scope_name: Final = matching(
    "[a-z.]{1,63}:[a-z]{1,63}", 'use a scope such as "credit.records:read"'
)
region_code: Final = matching(
    r"\*|[0-9]{2}|[0-9]{4}|[0-9]{6}",
    'use an administrative division code of 2, 4 or 6 digits (GB/T 2260), or "*" for all',
)
# RFC 8705 section 3.1: SHA-256 in base64url without padding. The last of the 43
# characters carries four bits, so only every fourth letter can stand there.
certificate_thumbprint: Final = matching(
    "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]",
    "use the SHA-256 of the certificate's DER in base64url without padding, 43 characters",
)
# OpenID Connect Core, section 2: a URL without query and fragment; at most 255 ASCII
# characters, compared as they stand.
issuer: Final = matching(
    r"https://[A-Za-z0-9.\[\]:_~%/-]{1,248}",
    "use the provider's issuer: an https URL of at most 255 characters without query",
)
subject_identifier: Final = matching(
    "[!-~]{1,255}", "use the provider's sub: 1 to 255 printable ASCII characters without blanks"
)

_REDIRECT_MEND: Final = (
    "use an https URL of at most 512 characters without user, fragment or wildcard, or http"
    " with 127.0.0.1 or [::1]"
)
# What else a URL's host may hold means something where the host is named in a policy.
_PLAIN_HOST: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?=[/?]|\Z)")
_LOOPBACK: Final = frozenset({"127.0.0.1", "[::1]"})

_USCC_MEND: Final = {
    "USCC_LENGTH": "enter all 18 characters of the unified social credit code",
    "USCC_ALPHABET": "digits and capitals except I, O, S, V, Z, with six digits from the third on",
    "USCC_CHECK_CHARACTER": "the check character does not fit the code (GB 32100-2015): check it",
}


def credit_code(code: str) -> str:
    """Check a unified social credit code (GB 32100-2015)."""
    fault = uscc.fault(code)
    if fault is not None:
        raise ValueError(_USCC_MEND[fault])
    return code


def redirect_uri(uri: str) -> str:
    """Check where a browser may be sent back to: it is later compared as it stands.

    FAPI 2.0 Security Profile, section 5.3.2.2: https, but for native applications on a
    loopback address (RFC 8252 section 7.3).
    """
    printable = uri.isascii() and uri.isprintable() and not set(uri) & set(' "<>\\^`{|}*')
    try:
        url = Url(uri)
    except ValueError:
        raise ValueError(_REDIRECT_MEND) from None
    plain = _PLAIN_HOST.match(uri) is not None
    secure = url.scheme == "https" or (url.scheme == "http" and url.host in _LOOPBACK)
    bare = "#" not in uri and url.username is None and url.password is None
    # As browsers write it: what is compared as text must not have a second spelling.
    canonical = str(url) in {uri, uri + "/"}
    if not (printable and plain and secure and bare and canonical and len(uri) <= 512):
        raise ValueError(_REDIRECT_MEND)
    return uri


def display_name(name: str) -> str:
    """Check a name for people to read: printable, not blank, at most 200 characters."""
    if not (name.strip() and len(name) <= 200 and name.isprintable()):
        raise ValueError("use 1 to 200 printable characters, not all blank")
    return name


def description(text: str) -> str:
    """Check a description for people to read, or none: printable, at most 1000 characters."""
    if not (len(text) <= 1000 and text.isprintable()):
        raise ValueError("use at most 1000 printable characters, in one line")
    return text


def known(enum: ProtoEnum) -> Callable[[int], int]:
    """Return a check that a number is a value of ``enum``, its zero included."""
    numbers = {number for _, number in enum.items()}

    def check(number: int) -> int:
        if number not in numbers:
            raise ValueError("use one of " + ", ".join(name for name, _ in enum.items()))
        return number

    return check


def instant(seconds: int) -> int:
    """Check an instant in seconds, UTC: from 1970 to 9999."""
    if not 0 <= seconds <= END_OF_TIME:
        raise ValueError("use a time from 1970-01-01T00:00:00Z to 9999-12-31T23:59:59Z")
    return seconds


def names_province(region: str) -> bool:
    """Tell whether a region lies in a province there is, is the state's own, or stands for all."""
    return region == ALL_REGIONS or _PROVINCE.match(region) is not None


def covers(regions: Iterable[str], region: str) -> bool:
    """Tell whether a code among ``regions`` is ``region`` or stands above it."""
    return any(code == ALL_REGIONS or region.startswith(code) for code in regions)


def common_regions(first: frozenset[str], second: frozenset[str]) -> frozenset[str]:
    """Return the regions that both cover: each code that lies within the other set."""
    return frozenset(code for code in first if covers(second, code)) | frozenset(
        code for code in second if covers(first, code)
    )
