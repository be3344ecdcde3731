"""Receipts for tests: a gateway's keys, and consents that were granted."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from consent.model import Consent, ConsentItem, ConsentNotice, ConsentTerms
from consent.states import GRANTED
from creditgate.v1.consent_service_pb2 import ConsentAccessMode, DataLifeEnd
from creditgate.v1.operator_service_pb2 import OperatorState
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.authority.view import AuthorityView
from gateway.consents.receipt import ConsentReceipts
from gateway.consents.schema import receipt_keys
from gateway.oauth.keys import KIND, SigningKeyBook
from gateway.oauth.signing import SigningAlgorithm, SigningKeys
from operators.log import Change
from operators.model import OPERATOR, Operator
from tests.clock import NOW, StandingClock

ISSUER = "https://gateway.test"
SUBJECT = "91000000DEM000011A"
SIGNER = "representative:" + "5" * 32
DAY = 86_400


ALPHA = Operator(
    operator_id="alpha-credit",
    display_name="示例征信有限公司（虚构）",
    uscc="91000000DEM000012D",
    state=OperatorState.OPERATOR_STATE_ACTIVE,
)


def granted(**fields: Any) -> Consent:
    """Return a consent that was asked for an hour ago and granted now."""
    terms = ConsentTerms(
        items=(
            ConsentItem(item="evaluation.public-credit", fields=frozenset({"grade", "score"})),
            ConsentItem(item="payment.tax", fields=frozenset({"tax_year"}), all_declared=True),
        ),
        purposes=frozenset({Purpose.PURPOSE_CREDIT_APPROVAL, Purpose.PURPOSE_BIDDING}),
        access_mode=ConsentAccessMode.CONSENT_ACCESS_MODE_TIMES_PER_DAY,
        times_per_day=5,
        valid_from=NOW,
        valid_until=NOW + 30 * DAY,
        data_life_seconds=90 * DAY,
        data_life_end=DataLifeEnd.DATA_LIFE_END_DELETE,
        regions=frozenset({"3101", "11"}),
    )
    whole: dict[str, Any] = {
        "consent_id": "0069cc59c0-" + "a1" * 12,
        "version": 2,
        "state": GRANTED,
        "subject": SUBJECT,
        "operator_id": "alpha-credit",
        "client_id": "alpha-client",
        "request_id": "r-1",
        "way": "inbox",
        "terms": terms,
        "message": "为贷款审批核验贵公司信用",
        "requested_at": NOW - 3_600,
        "answer_until": NOW + 7 * DAY,
        "changed_at": NOW,
        "signer": SIGNER,
        "notice": ConsentNotice(
            policy_version="1",
            text_digest=sha256("读过的".encode()).hexdigest(),
            language="zh-CN",
            text="读过的",
        ),
        "granted_at": NOW,
    }
    return Consent(**(whole | fields))


@dataclass
class Signing:
    """The signing keys of a gateway, and what it signs with them."""

    folder: Path
    clock: StandingClock = field(default_factory=StandingClock)
    book: SigningKeyBook = field(default_factory=SigningKeyBook.empty)

    def __post_init__(self) -> None:
        self.keys = SigningKeys(self.folder)
        self.receipts = ConsentReceipts(
            self.keys,
            lambda: replace(
                AuthorityView().advanced(
                    [Change(1, OPERATOR, ALPHA.operator_id, 1, ALPHA.as_document(), "t", NOW, "t")]
                ),
                signing_keys=self.book,
            ),
            ISSUER,
            self.clock,
        )

    def add(self, algorithm: SigningAlgorithm, active_from: int = NOW) -> str:
        """Make a key that signs from ``active_from`` on and return its kid."""
        jwk = self.keys.create(algorithm)
        self._log(jwk, active_from, None)
        return jwk["kid"]

    def retire(self, kid: str, at: int) -> None:
        """Retire a key."""
        entry = self.book.entry(kid)
        assert entry is not None
        self._log(entry.key.jwk, entry.key.active_from, at)

    @property
    def published(self) -> dict[str, Any]:
        """The keys of receipts as published."""
        return receipt_keys(self.book)

    def _log(self, jwk: Mapping[str, str], active_from: int, retired_at: int | None) -> None:
        kid = jwk["kid"]
        document = {"kid": kid, "jwk": jwk, "active_from": active_from, "retired_at": retired_at}
        change = Change(1, KIND, kid, 1, document, "office", active_from, "test")
        self.book = self.book.advanced([change])


def parts(receipt: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims, whoever signed them."""
    header, claims, _ = receipt.split(".")
    return decoded(header), decoded(claims)


def decoded(segment: str) -> dict[str, Any]:
    """Return the JSON object of one segment."""
    return json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def encoded(document: object) -> str:
    """Return a JSON document as a segment."""
    return urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
