"""The normative clauses (shall, shall not, MUST, REQUIRED) that docs/security/fapi2.md lists.

Numbers are those of the published texts; what stands in parentheses is the list item, or a
letter where a section has several requirements in running text. Sections whose key words
only define terms or bind registries are left out.
"""

from collections.abc import Mapping
from typing import Final


def _items(section: str, *items: int | str) -> tuple[str, ...]:
    return tuple(f"{section} ({item})" for item in items)


CLAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    "FAPI 2.0 Security Profile": (
        *_items("5.2.1", 1, 2, 3, 5),
        "5.2.2 (1)",
        "5.2.2.1",
        *_items("5.2.3", 1, 2, 3),
        *_items("5.3.2.1", 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13),
        *_items("5.3.2.2", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14),
        "5.3.2.3",
        *_items("5.3.3.1", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        *_items("5.3.3.2", 1, 2, 3, 4, 5, 6),
        *_items("5.3.4", 1, 2, 3, 4, 5),
        *_items("5.4.1", "1.1", "1.2", "1.3", 2, 3, 4),
        "5.4.2 (1)",
        "5.4.3",
    ),
    "RFC 9700, OAuth 2.0 Security Best Current Practice": (
        *_items("2.1", "a", "b", "c", "d", "e"),
        *_items("2.1.1", "a", "b", "c", "d", "e", "f"),
        "2.2.2",
        "2.3",
        "2.4",
        *_items("2.6", "a", "b", "c"),
        *_items("4.1.3", "a", "b", "c"),
        "4.2.4",
        "4.3.2",
        *_items("4.4.2", "a", "b"),
        *_items("4.4.2.1", "a", "b"),
        "4.4.2.2",
        "4.5.3.2",
        *_items("4.7.1", "a", "b", "c"),
        *_items("4.8.2", "a", "b", "c"),
        "4.9.3",
        "4.11.1",
        *_items("4.11.2", "a", "b"),
        "4.12",
        *_items("4.13", "a", "b"),
        *_items("4.14.2", "a", "b", "c", "d"),
        "4.15.1",
        "4.16",
        "4.17.2",
    ),
    "RFC 9449, DPoP": (
        "2",
        *_items("4.2", "typ", "alg", "jwk", "jti", "claims", "ath", "nonce"),
        *_items("4.3", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12),
        *_items("5", "a", "b", "c", "d", "e"),
        "5.2",
        *_items("6", "a", "b"),
        "6.1",
        "6.2",
        "7",
        *_items("7.1", "a", "b", "c"),
        "7.2",
        *_items("8", "a", "b", "c"),
        "8.2",
        "10",
        *_items("10.1", "a", "b", "c"),
        "11.1",
        "11.3",
        "11.5",
        "11.6",
    ),
    "RFC 8705, mutual TLS": (
        *_items("2", "a", "b", "c"),
        "2.1.2",
        *_items("3", "a", "b", "c"),
        "3.1",
        "5",
    ),
    "RFC 9126, pushed authorisation requests": (
        *_items("2", "a", "b"),
        *_items("2.1", 1, 2, 3),
        "2.1 (request_uri)",
        *_items("2.2", "a", "b", "c"),
        "2.3",
        *_items("3", "claims", 1, 2, 3),
        *_items("4", "a", "b", "c"),
        "7.1",
        "7.2",
    ),
    "RFC 9396, rich authorisation requests": (
        "2",
        *_items("3.1", "a", "b"),
        *_items("5", 1, 2, 3, 4, 5),
        "7",
        "8",
        "9",
        *_items("9.2", "a", "b"),
        *_items("12", "a", "b"),
    ),
}
