"""Mutations of valid requests, each of which makes a request that must not be accepted.

A mutation changes what a request depends on; what a server must ignore (RFC 6749 section
3.1: parameters it does not know) is no mutation.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, quote_plus

from tests.parties import claims_in, encoded, header_in

MARK: Final = "h0st.1le"
"""Part of every hostile value: it must not come back in an answer."""

FORM: Final = "application/x-www-form-urlencoded"
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HOSTILE: Final = (
    f"{MARK}",
    f"<script>{MARK}</script>",
    f"' OR '{MARK}'='{MARK}",
    f"../../{MARK}",
    f"{MARK}\0",
    f"{MARK}\r\nX-Injected: {MARK}",
    f"{MARK}\x7f\x1b[31m",
    f"{MARK}\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}",
    f"{MARK}\N{CJK UNIFIED IDEOGRAPH-6267}\N{PILE OF POO}",
    f"https://{MARK}.example/",
    f"javascript:{MARK}",
    f'{{"{MARK}":[[[[]]]]}}',
    f"${{{MARK}}}%n%s{{{{7*7}}}}",
    MARK * 1_000,
    "\N{FULLWIDTH LATIN SMALL LETTER C}" + MARK,
)
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sent:
    """A request as it is sent. ``certificate`` is what the connection shows (DER)."""

    method: str
    path: str
    form: Pairs = ()
    query: Pairs = ()
    headers: Pairs = ()
    certificate: bytes | None = None
    content_type: str = FORM
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        """The body: the form, unless it was replaced."""
        return _urlencoded(self.form) if self.raw is None else self.raw

    @property
    def query_string(self) -> bytes:
        """The query of the URL."""
        return _urlencoded(self.query)


def _urlencoded(pairs: Pairs) -> bytes:
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()


@dataclass(frozen=True)
class Meaning:
    """What a request depends on, beside method, path, media type and certificate.

    ``secrets`` are parameters and headers whose value must be exactly right, ``shaped``
    those where any other form is wrong but another value of the form is not; ``needed``
    must be there; ``jwts`` are signed.
    """

    secrets: frozenset[str] = frozenset()
    shaped: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    jwts: frozenset[str] = frozenset()
    bound: bool = True
    """Whether another client's certificate must not do."""


Mutation = Callable[[random.Random, Sent, Meaning], Sent | None]
Change = Callable[[random.Random, str], str]


def flipped(chance: random.Random, value: str) -> str:
    """Return ``value`` with one character replaced by another letter or digit."""
    if not value:
        return MARK
    place = chance.randrange(len(value))
    other = chance.choice([each for each in _ALPHABET if each != value[place]])
    return value[:place] + other + value[place + 1 :]


def _cut(chance: random.Random, value: str) -> str:
    return value[: chance.randrange(len(value))] if value else MARK


def _grown(chance: random.Random, value: str) -> str:
    return value + chance.choice(_ALPHABET) * chance.randint(1, 200)


def _doubled(chance: random.Random, value: str) -> str:
    del chance
    return value + value if value else MARK


def _turned(chance: random.Random, value: str) -> str:
    del chance
    return value[::-1] if value != value[::-1] else MARK


def _cased(chance: random.Random, value: str) -> str:
    del chance
    return value.swapcase() if value != value.swapcase() else MARK


def _quoted(chance: random.Random, value: str) -> str:
    del chance
    return quote(value, safe="") if quote(value, safe="") != value else f'"{value}"'


def _hostile(chance: random.Random, value: str) -> str:
    del value
    return chance.choice(HOSTILE)


def _spliced(chance: random.Random, value: str) -> str:
    place = chance.randrange(len(value) + 1)
    return value[:place] + chance.choice(HOSTILE) + value[place:]


VALUES: Final = (
    flipped, flipped, _cut, _grown, _doubled, _turned, _cased, _quoted, _hostile, _spliced
)  # fmt: skip
SHAPES: Final = (_cut, _grown, _doubled, _hostile, _spliced)


def _changed(pairs: Pairs, name: str, value: str) -> Pairs:
    return tuple((each, value if each == name else old) for each, old in pairs)


def _with(sent: Sent, name: str, change: Callable[[str], str]) -> Sent:
    """Return the request with the value of a parameter or header changed."""
    for place in ("form", "query", "headers"):
        pairs: Pairs = getattr(sent, place)
        values = dict(pairs)
        if name in values:
            prefix, value = _scheme(values[name]) if place == "headers" else ("", values[name])
            return replace(sent, **{place: _changed(pairs, name, prefix + change(value))})
    raise ValueError(f"the request has no {name}")


def _scheme(header: str) -> tuple[str, str]:
    scheme, space, value = header.partition(" ")
    return (scheme + space, value) if space else ("", header)


def _value(sent: Sent, name: str) -> str:
    pairs = dict((*sent.form, *sent.query, *sent.headers))
    return _scheme(pairs[name])[1]


def _twist(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    if not meaning.secrets:
        return None
    name = chance.choice(sorted(meaning.secrets))
    return _revalued(chance, sent, meaning, name, VALUES)


def _misshape(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    if not meaning.shaped:
        return None
    name = chance.choice(sorted(meaning.shaped))
    return _revalued(chance, sent, meaning, name, SHAPES)


def _revalued(
    chance: random.Random, sent: Sent, meaning: Meaning, name: str, changes: tuple[Change, ...]
) -> Sent | None:
    change = chance.choice(changes)
    mutant = _with(sent, name, lambda value: change(chance, value))
    # What is cut to nothing counts as left out (RFC 6749 section 3.1).
    return None if not _value(mutant, name) and name not in meaning.needed else mutant


def _leave_out(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    if not meaning.needed:
        return None
    name = chance.choice(sorted(meaning.needed))
    if chance.random() < 0.3:
        return _with(sent, name, lambda _: "")
    kept = {
        place: tuple(pair for pair in getattr(sent, place) if pair[0] != name)
        for place in ("form", "query", "headers")
    }
    return replace(sent, **kept)


def _repeat(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    pairs = sent.form or sent.query
    if not pairs:
        return None
    name, value = chance.choice(pairs)
    again = (name, chance.choice((value, *HOSTILE)))
    place = "form" if sent.form else "query"
    added = list(pairs)
    added.insert(chance.randrange(len(added) + 1), again)
    del meaning
    return replace(sent, **{place: tuple(added)})


def _exchange(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    """Put one parameter's value in another's place."""
    names = sorted(meaning.secrets)
    if len(names) < 2:
        return None
    one, other = chance.sample(names, 2)
    value = _value(sent, other)
    return None if value == _value(sent, one) else _with(sent, one, lambda _: value)


def _method(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent:
    del meaning
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", MARK} - {sent.method}
    if sent.method == "GET":
        methods -= {"POST"} if sent.query else set[str]()
    return replace(sent, method=chance.choice(sorted(methods - {"HEAD"})))


def _media(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    del meaning
    if not sent.form:
        return None
    kinds = (
        "",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/json",
        f"{MARK}/x",
        "*/*",
    )
    kind = chance.choice(kinds)
    if kind == "application/json":
        return replace(sent, content_type=kind, raw=json.dumps(dict(sent.form)).encode())
    return replace(sent, content_type=kind)


def _raw(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    """Spoil the body as bytes; the last parameter is one that must be right."""
    if not sent.form:
        return None
    whole = tuple(sorted(sent.form, key=lambda pair: pair[0] in meaning.secrets))
    body = _urlencoded(whole)
    if whole[-1][0] not in meaning.secrets:
        return None
    spoilt = chance.choice(
        (
            body[: chance.randrange(len(body))],
            body + b"&" + bytes(chance.randrange(128, 256) for _ in range(8)),
            body + b"&" + b"&".join(b"p%d=1" % number for number in range(64)),
            body + b"&x=" + b"y" * 20_000,
            body.replace(b"=", b"", 1),
            body.replace(b"=", b"%3D"),
            body + b"%ff",
            chance.randbytes(64),
            b"",
            json.dumps(dict(sent.form)).encode(),
        )
    )
    return replace(sent, form=(), raw=spoilt)


def _path(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent:
    del meaning
    ends = ("/", "/.", "//", f"/{MARK}", "%00", ".json", "%2f", f";{MARK}", "/..%2f")
    starts = ("/", f"/{MARK}", "/oauth/..", "/%2e")
    if chance.random() < 0.6:
        return replace(sent, path=sent.path + chance.choice(ends))
    return replace(sent, path=chance.choice(starts) + sent.path)


def _resigned(chance: random.Random, sent: Sent, meaning: Meaning) -> Sent | None:
    """Change what a JWT says without its signer."""
    if not meaning.jwts:
        return None
    name = chance.choice(sorted(meaning.jwts))
    jwt = _value(sent, name)
    header, claims, signature = header_in(jwt), claims_in(jwt), jwt.split(".")[2]
    kind = chance.randrange(5)
    if kind == 0:
        header = {**header, "alg": chance.choice(("none", "HS256", "RS256", "ES384", MARK))}
    elif kind == 1:
        claims = {**claims, chance.choice(sorted(claims)): chance.choice(HOSTILE)}
    elif kind == 2:
        gone = chance.choice(sorted(claims))
        claims = {key: value for key, value in claims.items() if key != gone}
        claims["x"] = MARK
    elif kind == 3:
        signature = chance.choice(
            ("", encoded(bytes(64)), encoded(chance.randbytes(64)), signature[::-1])
        )
    else:
        claims = {**claims, "exp": claims.get("exp", 0) + chance.randint(1, 10**6), "y": 1}
    parts = [encoded(json.dumps(part).encode()) for part in (header, claims)]
    return _with(sent, name, lambda _: ".".join((*parts, signature)))


MUTATIONS: Final[Mapping[Mutation, int]] = {
    _twist: 8,
    _misshape: 3,
    _leave_out: 2,
    _repeat: 2,
    _exchange: 1,
    _method: 1,
    _media: 1,
    _raw: 2,
    _path: 1,
    _resigned: 3,
}
"""Mutations, and how often each is taken."""

METADATA_MUTATIONS: Final = (_twist, _twist, _twist, _leave_out, _resigned, _resigned, _exchange)
"""Mutations of what comes with a call."""


def mutant(
    chance: random.Random, sent: Sent, meaning: Meaning, strangers: tuple[bytes | None, ...]
) -> tuple[str, Sent]:
    """Return a mutation's name and the request it made of ``sent``.

    ``strangers`` are certificates that are not this client's, None for no certificate.
    """
    weighted = [each for each, weight in MUTATIONS.items() for _ in range(weight)]
    while True:
        if meaning.bound and chance.random() < 0.04:
            return "certificate", replace(sent, certificate=chance.choice(strangers))
        mutation = chance.choice(weighted)
        made = mutation(chance, sent, meaning)
        if made is not None and made != sent:
            return mutation.__name__.strip("_"), made
