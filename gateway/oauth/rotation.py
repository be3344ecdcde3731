"""Operations on signing keys: issue (the first one, and rotation), retire."""

from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.oauth.keys import KIND, SigningKey, SigningKeyBook
from gateway.oauth.signing import SigningAlgorithm, SigningKeys
from operators.log import AuthorityLog, Draft


def issue_signing_key(
    log: AuthorityLog,
    keys: SigningKeys,
    *,
    algorithm: SigningAlgorithm,
    changed_by: str,
    now: int,
    reason: str,
    lead_seconds: int = 0,
) -> str:
    """Make a key, published at once, that signs ``lead_seconds`` later, and return its kid.

    Until then an older key signs; those go on verifying until retired. With a lead of
    `LEAD_SECONDS` no copy of the published keys lacks it when it begins. The private file is there before the log
    tells of it; a crash between leaves a file that nothing names.
    """
    jwk = keys.create(algorithm)
    key = SigningKey(kid=jwk["kid"], jwk=jwk, active_from=now + lead_seconds)
    draft = Draft(KIND, key.kid, 0, key.model_dump())
    log.append([draft], changed_by=changed_by, changed_at=now, reason=reason)
    return key.kid


def retire_signing_key(
    log: AuthorityLog,
    keys: SigningKeys,
    book: SigningKeyBook,
    kid: str,
    *,
    changed_by: str,
    now: int,
    reason: str,
    token_seconds: int = 0,
) -> None:
    """Stop ``kid`` for good: what it signed is refused from the next call on.

    ``token_seconds`` is how long tokens live; 0 ends also those that are not over yet, for
    a key that fell into other hands. Raises Refused RESOURCE_NOT_FOUND for an unknown kid,
    STATE_CONFLICT when it is retired already, is the one that signs, or its last token may
    live on, ETAG_MISMATCH when ``book`` is behind.
    """
    entry = book.entry(kid)
    if entry is None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND, "There is no signing key of that kid."
        )
    if entry.key.retired_at is not None:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT, "The signing key is retired already."
        )
    if book.signing_kids(now)[:1] == (kid,):
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "This key signs now, or would if its file could be used; issue its successor first,"
            " then retire it.",
        )
    if keys.signing_kid(book, now) == kid:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "This key signs still, since the file of its successor cannot be used; restore that"
            " file, or issue another successor, then retire it.",
        )
    superseded_at = book.superseded_at(kid)
    if superseded_at is not None and superseded_at <= now < superseded_at + token_seconds:
        raise Refused(
            RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
            "Tokens that this key signed may still be in use; retire it when they are over.",
            retry_after=superseded_at + token_seconds - now,
        )
    retired = entry.key.model_copy(update={"retired_at": now})
    draft = Draft(KIND, kid, entry.version, retired.model_dump())
    log.append([draft], changed_by=changed_by, changed_at=now, reason=reason)
