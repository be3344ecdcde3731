"""The witness over HTTP, as any log of a known region may use it (C2SP tlog-witness).

There is no authentication beyond the checkpoint's signature. Errors are told in words that
repeat nothing of the request.
"""

from base64 import b64decode
from binascii import Error
from hashlib import sha256
from typing import Final, NamedTuple

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from creditgate.refusal import Refused
from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid
from creditgate.transparency.note import MOST_NOTE_BYTES, origin_of
from gateway.federation.trust.book import RegionBook
from gateway.federation.trust.places import owner_of
from gateway.federation.witness.desk import WitnessDesk
from gateway.federation.witness.keys import PATH
from gateway.federation.witness.logs import log_signing, logs_named
from gateway.federation.witness.rules import MOST_PROOF_NODES, Judgement, ShownInvalid
from gateway.federation.witness.witness import Answered, Shown, Witness
from gateway.shares import Shares

_MOST_SIZE_DIGITS: Final = 19
# The old size, the proof in base64, an empty line, and the note.
_MOST_BODY_BYTES: Final = 32 + MOST_PROOF_NODES * 46 + MOST_NOTE_BYTES
_FRESH: Final = {"Cache-Control": "no-cache"}


class _Unreadable(ValueError):
    """The body is no request of add-checkpoint."""


def witness_routes(
    desk: WitnessDesk, witness: Witness, book: RegionBook, shares: Shares, below: str = ""
) -> list[Route]:
    """Return the routes of a witness, below the path ``below``: add-checkpoint, the checkpoints
    cosigned last, and the witness's key."""

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _told(413, "The request is longer than it can be.")
        try:
            shown = shown_in(body)
        except _Unreadable:
            return _told(400, "This is no request of add-checkpoint (c2sp.org/tlog-witness).")
        if not logs_named(book, origin_of(shown.note)):
            return _told(404, "This witness knows no such log.")
        try:
            answered = await shares.run(_asker(request), _judged, desk, book, shown)
        except Refused as refused:
            return _told(429, refused.message, {"Retry-After": str(refused.retry_after)})
        except _Forbidden:
            return _told(403, "The checkpoint is not signed by the log's key.")
        except ShownInvalid as fault:
            return _told(400, f"{fault}.".capitalize())
        except ProofInvalid as fault:
            return _told(422, f"{fault}.".capitalize())
        return _answer(answered)

    async def checkpoint(request: Request) -> Response:
        asked = request.path_params["origin"]
        try:
            found = await shares.run(_asker(request), _newest, witness, asked)
        except Refused as refused:
            return _told(429, refused.message, {"Retry-After": str(refused.retry_after)})
        if found is None:
            return _told(404, "This witness has cosigned no checkpoint of such a log.")
        return PlainTextResponse(found, headers=_FRESH)

    async def key(_: Request) -> Response:
        return PlainTextResponse(f"{witness.key.verifier}\n", headers=_FRESH)

    prefix = f"{below}{PATH}"
    return [
        Route(f"{prefix}/add-checkpoint", add_checkpoint, methods=["POST"]),
        Route(f"{prefix}/key", key),
        Route(f"{prefix}/{{origin}}/checkpoint", checkpoint),
    ]


class _Forbidden(Exception):
    """No log of that origin has signed what was shown."""


def _judged(desk: WitnessDesk, book: RegionBook, shown: Shown) -> Answered:
    log = log_signing(book, shown.note)
    if log is None:
        raise _Forbidden
    return desk.show(log, shown)


def _answer(answered: Answered) -> Response:
    if answered.judgement is Judgement.COSIGN:
        return PlainTextResponse(answered.cosignature, headers=_FRESH)
    if answered.judgement is Judgement.STALE:
        # The media type as it stands, without a character set.
        headers = {**_FRESH, "Content-Type": "text/x.tlog.size"}
        return Response(f"{answered.size}\n", 409, headers=headers)
    return _told(422, "The checkpoint contradicts one that was cosigned: a split view.")


def _newest(witness: Witness, origin_hash: str) -> str | None:
    found = [
        log for log in witness.witnessed() if sha256(log.origin.encode()).hexdigest() == origin_hash
    ]
    # Of two logs that name one origin, that of the region at whose place it is.
    found.sort(key=lambda log: not owner_of(log.origin, (log.region,)))
    return found[0].cosigned if found else None


async def _body(request: Request) -> bytes | None:
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BODY_BYTES:
                return None
    except ClientDisconnect:
        return None
    return body


class _Head(NamedTuple):
    old_size: int
    proof: list[bytes]


def shown_in(body: bytes) -> Shown:
    """Return what a request of add-checkpoint shows. Raises ValueError for what is none."""
    head, separator, note = body.partition(b"\n\n")
    if not separator:
        raise _Unreadable
    try:
        read = _head(head.decode("ascii"))
        return Shown(note.decode("utf-8"), read.old_size, read.proof)
    except UnicodeDecodeError:
        raise _Unreadable from None


def _head(text: str) -> _Head:
    first, *rest = text.split("\n")
    digits = first.removeprefix("old ")
    if (
        not first.startswith("old ")
        or not digits.isdecimal()
        or len(digits) > _MOST_SIZE_DIGITS
        or str(int(digits)) != digits
        or len(rest) > MOST_PROOF_NODES
    ):
        raise _Unreadable
    try:
        proof = [b64decode(line, validate=True) for line in rest]
    except Error:
        raise _Unreadable from None
    if any(len(node) != HASH_BYTES for node in proof):
        raise _Unreadable
    return _Head(int(digits), proof)


def _asker(request: Request) -> str:
    return f"address {'' if request.client is None else request.client.host}"


def _told(status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{words}\n", status, headers={**_FRESH, **(headers or {})})
