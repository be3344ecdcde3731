"""Scopes are well formed, and each protects one thing."""

import re

from creditgate.scopes import known_scopes, method_scopes, scope_of, services

SHAPE = re.compile(r"[a-z]+(\.[a-z]+)?:[a-z]+")
PUBLIC = {
    "/creditgate.v1.DisclosureService/GetCheckpoint",
    "/creditgate.v1.DisclosureService/GetInclusionProof",
    "/creditgate.v1.DisclosureService/GetConsistencyProof",
    "/creditgate.v1.DisclosureService/GetSubjectProof",
    "/creditgate.v1.ReportService/GetCreditReportStatus",
}
READS = ("Get", "List", "BatchGet", "Deliver", "Stream")


def test_every_scope_reads_resource_colon_action() -> None:
    assert known_scopes()
    assert [scope for scope in known_scopes() if SHAPE.fullmatch(scope) is None] == []


def test_only_what_anybody_may_check_takes_no_scope() -> None:
    assert {method for method, scope in method_scopes().items() if not scope} == PUBLIC


def test_a_scope_is_shared_only_by_reads_of_one_service() -> None:
    users: dict[str, list[tuple[str, str]]] = {}
    for service in services():
        for method in service.methods:
            if scope := scope_of(method):
                users.setdefault(scope, []).append((service.name, method.name))
    wide = {
        scope: methods
        for scope, methods in users.items()
        if len(methods) > 1
        and (
            len({service for service, _ in methods}) > 1
            or not all(name.startswith(READS) for _, name in methods)
        )
    }
    # Who may see what is asked for may answer it, and nobody else need see it.
    challenges = [("ConformanceService", name) for name in ("ListChallenges", "AnswerChallenge")]
    # Who relies on consents of a region tells it that one was taken back: no region lacks the one
    # scope and has the other, so that no revocation waits for a grant.
    followed = [("FederationService", name) for name in ("FollowConsents", "TellTakenBack")]
    assert wide == {
        "credit.conformance:answer": challenges,
        "federation.consents:follow": followed,
    }


def test_method_scopes_cover_every_service_of_the_design() -> None:
    assert {service.name for service in services()} == {
        "AdministratorService",
        "AlertService",
        "AuditService",
        "BrakeService",
        "CatalogueService",
        "ClearingService",
        "ConformanceService",
        "ConsentService",
        "CreditRecordService",
        "DisclosureService",
        "FederatedRecordService",
        "FederationService",
        "ItemMappingService",
        "LicenceCredentialService",
        "LimitService",
        "OperatorService",
        "RecognitionService",
        "RegionDirectoryService",
        "RegionService",
        "RegistrationService",
        "ReportService",
        "ScopeService",
        "SettlementService",
        "UsageService",
        "WitnessService",
    }
