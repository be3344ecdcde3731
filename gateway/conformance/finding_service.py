"""ConformanceService: findings listed, contested and decided; challenges listed and answered."""

from collections.abc import Callable

from creditgate.refusal import Refused
from creditgate.v1 import conformance_service_pb2 as pb
from creditgate.v1.refusal_pb2 import RefusalReason
from gateway.administration.desk import actor
from gateway.administration.listing import page_of
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from gateway.conformance.challenges import Answer, Challenges
from gateway.conformance.contest import Contests, unknown_finding
from gateway.conformance.finding_messages import challenge_message, finding_message
from gateway.conformance.finding_requests import (
    Contested,
    Decided,
    FindingsAsked,
    Page,
    Shown,
    challenges_asked,
    contested,
    decided,
    finding_id_of,
    findings_asked,
    operator_asked,
    shown,
)
from gateway.conformance.findings import Findings
from gateway.conformance.policy import ConformancePolicy
from gateway.conformance.uptime import WakingClock
from gateway.shares import Shares


class FindingService:
    """The methods of ConformanceService about findings and challenges."""

    def __init__(
        self,
        findings: Findings,
        contests: Contests,
        challenges: Challenges,
        policy: ConformancePolicy,
        shares: Shares,
        view: Callable[[], AuthorityView],
        clock: WakingClock,
    ) -> None:
        self._findings = findings
        self._contests = contests
        self._challenges = challenges
        self._policy = policy
        self._shares = shares
        self._view = view
        self._clock = clock

    async def list_findings(
        self, request: pb.ListFindingsRequest, caller: Caller
    ) -> pb.ListFindingsResponse:
        """Answer ListFindings.

        Raises Refused INVALID_REQUEST, SCOPE_NOT_GRANTED, RESOURCE_NOT_FOUND, RATE_EXCEEDED.
        """
        if request.finding:
            return await self._shares.run(caller.asker, self._one, request, caller)
        operator_id = operator_asked(request.operator_id, caller, self._view())
        asked = findings_asked(request, operator_id)
        return await self._shares.run(caller.asker, self._page, asked)

    async def contest_finding(
        self, request: pb.ContestFindingRequest, caller: Caller
    ) -> pb.ContestFindingResponse:
        """Answer ContestFinding; raises Refused INVALID_REQUEST, and as `Contests.contest`
        and `Shares.run`."""
        asked = contested(request)
        return await self._shares.run(caller.asker, self._contest, caller.operator_id, asked)

    async def decide_finding(
        self, request: pb.DecideFindingRequest, caller: Caller
    ) -> pb.DecideFindingResponse:
        """Answer DecideFinding; raises Refused INVALID_REQUEST, and as `Contests.decide`
        and `Shares.run`."""
        asked = decided(request)
        return await self._shares.run(caller.asker, self._decide, asked, actor(caller))

    async def list_challenges(
        self, request: pb.ListChallengesRequest, caller: Caller
    ) -> pb.ListChallengesResponse:
        """Answer ListChallenges; raises Refused INVALID_REQUEST, RATE_EXCEEDED."""
        page = challenges_asked(request, caller.operator_id)
        operator_id = caller.operator_id
        return await self._shares.run(caller.asker, self._challenges_page, operator_id, page)

    async def answer_challenge(
        self, request: pb.AnswerChallengeRequest, caller: Caller
    ) -> pb.AnswerChallengeResponse:
        """Answer AnswerChallenge: all copies shown are judged, or none.

        Raises Refused INVALID_REQUEST, RATE_EXCEEDED; RESOURCE_NOT_FOUND, its metadata
        ``copy`` telling which, for a challenge that is not the caller's, as for one that is not there.
        """
        copies = shown(request)
        return await self._shares.run(caller.asker, self._answer, caller.operator_id, copies)

    def _contest(self, operator_id: str, asked: Contested) -> pb.ContestFindingResponse:
        now = self._clock.now()
        finding = self._contests.contest(operator_id, *asked, now)
        return pb.ContestFindingResponse(finding=finding_message(finding, self._policy, now))

    def _decide(self, asked: Decided, decided_by: str) -> pb.DecideFindingResponse:
        now = self._clock.now()
        finding = self._contests.decide(
            asked.finding_id,
            dismiss=asked.dismiss,
            reason=asked.reason,
            decided_by=decided_by,
            now=now,
        )
        return pb.DecideFindingResponse(finding=finding_message(finding, self._policy, now))

    def _one(self, request: pb.ListFindingsRequest, caller: Caller) -> pb.ListFindingsResponse:
        now = self._clock.now()
        finding = self._findings.get(finding_id_of("finding", request.finding))
        if finding is None or caller.operator_id not in {"", finding.operator_id}:
            raise unknown_finding()
        evidence = self._findings.evidence(finding.finding_id)
        return pb.ListFindingsResponse(
            findings=[finding_message(finding, self._policy, now, evidence)]
        )

    def _page(self, asked: FindingsAsked) -> pb.ListFindingsResponse:
        now = self._clock.now()
        rows = self._findings.listed(
            operator_id=asked.operator_id,
            attestation_id=asked.attestation_id,
            state=asked.state,
            before=asked.page.before,
            limit=asked.page.size + 1,
        )
        messages = (finding_message(each, self._policy, now) for each in rows)
        page = page_of(messages, asked.page.size)
        more = len(page) < len(rows)
        return pb.ListFindingsResponse(
            findings=page,
            next_page_token=asked.page.token(rows[len(page) - 1].finding_id) if more else "",
        )

    def _challenges_page(self, operator_id: str, page: Page) -> pb.ListChallengesResponse:
        now = self._clock.now()
        rows = self._challenges.listed(operator_id, page.before, now, page.size + 1)
        shown_ = rows[: page.size]
        more = len(rows) > page.size
        return pb.ListChallengesResponse(
            challenges=map(challenge_message, shown_),
            next_page_token=page.token(shown_[-1].challenge_id) if more else "",
        )

    def _answer(self, operator_id: str, copies: list[Shown]) -> pb.AnswerChallengeResponse:
        records = self._challenges.records(operator_id, [each.challenge_id for each in copies])
        for index, copy in enumerate(copies):
            if copy.challenge_id not in records:
                raise _unknown_challenge(index)
        answers = [
            Answer(copy.challenge_id, *copy.digests(records[copy.challenge_id])) for copy in copies
        ]
        now = self._clock.now()
        judged = self._challenges.judge(operator_id, answers, now)
        return pb.AnswerChallengeResponse(
            confirmed=judged.confirmed,
            refreshed=judged.refreshed,
            findings=[f"findings/{each}" for each in judged.finding_ids],
        )


def _unknown_challenge(index: int) -> Refused:
    return Refused(
        RefusalReason.REFUSAL_REASON_RESOURCE_NOT_FOUND,
        f"copies[{index}]: you were sent no such challenge; none of the copies was judged.",
        metadata={"copy": str(index)},
    )
