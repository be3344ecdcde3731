"""Statements of recognition, verified offline: what another region's document is accepted as."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from creditgate.recognition import MOST_CHARACTERS, RECOGNITION_TYPE, RecognitionStatement
from sdk.documents import DocumentKind, DocumentRefused, require_past

_RECOGNITION: Final = DocumentKind(RECOGNITION_TYPE, MOST_CHARACTERS, RecognitionStatement)


def verified_recognition(
    statement: str, document: bytes, keys: Mapping[str, Any], issuer: str, now: int
) -> RecognitionStatement:
    """Return what ``statement`` says of ``document`` where the gateway ``issuer`` signed it and
    it holds at ``now`` (seconds, UTC).

    ``document`` are the bytes it is about: a report's compact form, or an answer's parts
    joined; ``keys`` the gateway's JWK Set. Raises DocumentRefused.
    """
    found = _RECOGNITION.verified(statement, keys, issuer).document
    if found.document_digest != sha256(document).hexdigest():
        raise DocumentRefused("It is about another document.")
    require_past(found.iat, now)
    if now >= found.exp:
        raise DocumentRefused("The recognition is over: have the document recognised again.")
    return found
