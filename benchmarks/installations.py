"""Installations to measure: made as users make them, filled straight into the store."""

import shutil
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.shape import (
    CONSENT_ITEM,
    ITEM,
    PERIOD_SECONDS,
    REGION,
    SOURCE,
    Shape,
    admitted_records,
    consent_id,
    subject_code,
)
from consent.changing import Act
from consent.model import WITHIN_PERIOD, Actor, Consent, ConsentItem, ConsentTerms
from consent.sql import SqlConsents
from consent.states import REQUESTED
from creditgate.rating.prices import PRICE_PLAN, PricePlan
from creditgate.uscc import check_character
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.consent_service_pb2 import DataLifeEnd
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.vocabulary_pb2 import Openness, Purpose, Severity, SubjectType
from gateway.catalogue.model import CATALOGUE_ITEM, CatalogueItem, ContentField, PeriodRule
from gateway.clock import SystemClock
from gateway.config import GatewayConfig
from gateway.disclose.model import Batch
from gateway.disclose.store import DisclosureStore
from gateway.installation.bootstrap import ADMINISTRATOR, bootstrap
from gateway.installation.home import Home
from gateway.pki.client_keys import make_assertion_key
from gateway.pki.development import make_client_certificate
from gateway.settle.shares import SHARING_RULE, SharingRule
from gateway.storage.engines import open_engines
from operators.log import Draft
from operators.model import CLIENT, LICENCE, OPERATOR, SCOPE_GRANT, Client, Licence, ScopeGrant
from operators.model import Operator as LicensedOperator
from operators.sql import SqlAuthorityLog

CLIENT_ID: Final = "bench-client"
_OPERATOR_ID: Final = "bench"
_PUBLISHER: Final = "bench-publisher"
_SCOPES: Final = ("credit.records:read", "catalogue:read", "usage:read")
_BATCH: Final = 10_000
_AS_MADE: Final = "made.json"
# A kept installation is used no longer than well within its records' period.
_KEPT_SECONDS: Final = PERIOD_SECONDS // 3


def config_of(root: Path) -> GatewayConfig:
    """Return the settings an installation in ``root`` is served with: the defaults, on
    free ports."""
    return GatewayConfig(home=root, grpc_port=0, https_port=0)


def installed(root: Path, shape: Shape) -> Home:
    """Return the installation in ``root`` that discloses ``shape``, made unless it is there."""
    marker = root / _AS_MADE
    if marker.exists():
        fresh = time.time() - marker.stat().st_mtime < _KEPT_SECONDS
        if fresh and marker.read_text(encoding="utf-8") == shape.as_json():
            return bootstrap(config_of(root), SystemClock())
    shutil.rmtree(root, ignore_errors=True)
    home = bootstrap(config_of(root), SystemClock())
    engines = open_engines("sqlite", home.root)
    try:
        _license(home, SqlAuthorityLog(engines.authority))
        _disclose(DisclosureStore(engines.records), shape)
        if shape.consented:
            _consent(SqlConsents(engines.records), shape)
    finally:
        engines.dispose()
    marker.write_text(shape.as_json(), encoding="utf-8")
    return home


def _license(home: Home, log: SqlAuthorityLog) -> None:
    """Register the operator, its client, licence and grants; put prices into force."""
    now = int(time.time())
    plan = PricePlan(plan_id="bench", effective_from=0, prices={"standard": 50_000})
    rule = SharingRule(
        rule_id="bench",
        effective_from=0,
        source_basis_points=6_000,
        region_basis_points=3_000,
        platform_basis_points=1_000,
    )
    drafts = [
        *licensed(home, _OPERATOR_ID, CLIENT_ID, _SCOPES, now),
        *(
            Draft(CATALOGUE_ITEM, code, 0, _item(code, openness).as_document())
            for code, openness in (
                (ITEM, Openness.OPENNESS_PUBLIC),
                (CONSENT_ITEM, Openness.OPENNESS_CONSENT),
            )
        ),
        Draft(PRICE_PLAN, plan.id, 0, plan.model_dump()),
        Draft(SHARING_RULE, rule.id, 0, rule.model_dump()),
    ]
    log.append(drafts, changed_by=ADMINISTRATOR, changed_at=now, reason="benchmark")


def licensed(
    home: Home, operator_id: str, client_id: str, scopes: Iterable[str], now: int
) -> list[Draft]:
    """Return what makes an operator with a licence, and a client with keys of its own that
    holds ``scopes``, from ``now`` on (seconds, UTC)."""
    certificate = make_client_certificate(home.development_ca(), client_id, now)
    keys = make_assertion_key()
    home.write_client(client_id, certificate, keys.key)
    client = Client(
        client_id=client_id,
        role=ClientRole.CLIENT_ROLE_OPERATOR,
        operator_id=operator_id,
        jwks=keys.jwks,
        certificate_thumbprints=frozenset({certificate.thumbprint}),
    )
    grants = [
        ScopeGrant(
            grant_id=f"{operator_id}-{number}", grantee=operator_id, scope=scope, valid_from=now
        )
        for number, scope in enumerate(scopes)
    ]
    licence = _licence(operator_id, now)
    return [
        Draft(OPERATOR, operator_id, 0, _operator(operator_id).as_document()),
        Draft(CLIENT, client_id, 0, client.as_document()),
        Draft(LICENCE, licence.number, 0, licence.as_document()),
        *(Draft(SCOPE_GRANT, grant.grant_id, 0, grant.as_document()) for grant in grants),
    ]


def _operator(operator_id: str) -> LicensedOperator:
    stem = f"91{REGION}BENCHFRM1"
    return LicensedOperator(
        operator_id=operator_id,
        display_name="发明征信有限公司",
        uscc=stem + check_character(stem),
        state=OperatorState.OPERATOR_STATE_ACTIVE,
    )


def _licence(operator_id: str, now: int) -> Licence:
    return Licence(
        number=f"{operator_id.upper()}-1",
        operator_id=operator_id,
        valid_from=now,
        valid_until=now + PERIOD_SECONDS,
        items=frozenset({ITEM, CONSENT_ITEM}),
        purposes=frozenset({Purpose.PURPOSE_CREDIT_APPROVAL}),
        regions=frozenset({REGION}),
        daily_record_quota=10**12,
    )


def _item(code: str, openness: Openness.ValueType) -> CatalogueItem:
    string = ContentFieldType.CONTENT_FIELD_TYPE_STRING
    return CatalogueItem(
        code=code,
        name_zh="发明目录项",
        name_en="Invented item",
        sources=(SOURCE,),
        subject_types=(SubjectType.SUBJECT_TYPE_ENTERPRISE,),
        openness=openness,
        period_rules=(
            PeriodRule(
                severity=Severity.SEVERITY_GENERAL,
                min_months=3,
                max_months=12,
                end_required=True,
                legal_source="Guobanfa [2025] No. 22, section 2",
            ),
        ),
        price_class="standard",
        content_fields=(ContentField(name="facts", type=string, max_length=1_000),),
    )


def _disclose(store: DisclosureStore, shape: Shape) -> None:
    print(f"  disclosing {shape.records:,} records ...", flush=True)
    now = int(time.time())
    numbered = enumerate(admitted_records(shape, now))
    while rows := tuple(islice(numbered, _BATCH)):
        store.commit_batch(Batch(_PUBLISHER, f"bench-{rows[0][0]}", b"", rows, ()), now)


def _consent(consents: SqlConsents, shape: Shape) -> None:
    """Let every company consent, for a year and as often as it is asked."""
    print(f"  {shape.subjects:,} consents ...", flush=True)
    now = int(time.time())
    terms = ConsentTerms(
        items=(ConsentItem(item=CONSENT_ITEM, fields=frozenset({"facts"})),),
        purposes=frozenset({Purpose.PURPOSE_CREDIT_APPROVAL}),
        access_mode=WITHIN_PERIOD,
        valid_from=now,
        valid_until=now + PERIOD_SECONDS,
        data_life_seconds=PERIOD_SECONDS,
        data_life_end=DataLifeEnd.DATA_LIFE_END_DELETE,
        regions=frozenset({REGION}),
    )
    for number in range(shape.subjects):
        consent = Consent(
            consent_id=consent_id(number),
            version=1,
            state=REQUESTED,
            subject=subject_code(number),
            operator_id=_OPERATOR_ID,
            client_id=CLIENT_ID,
            request_id=f"consent-{number}",
            way="inbox",
            terms=terms,
            requested_at=now,
            answer_until=now + 86_400,
            changed_at=now,
        )
        consents.add(consent, Act(Actor.OPERATOR, CLIENT_ID, "", now))
        consents.move(consent.consent_id, "grant", Act(Actor.SUBJECT, "", "", now))
