"""RecognitionService, the part of administrators: mapping tables, profiles, transfers (互认与跨境)."""

from collections.abc import Sequence
from hashlib import sha256

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.refusal import Violation
from creditgate.v1 import recognition_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Purpose
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.presence import conflict, exists, missing, standing_operator
from gateway.administration.request import checked, reason_faults, required
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.log import Draft
from operators.recognition import (
    CROSS_BORDER_PROFILE,
    CROSS_BORDER_TRANSFER,
    MOST_TRANSFER_SECONDS,
    RECOGNITION_RULE,
    CrossBorderProfile,
    CrossBorderTransfer,
    RecognitionRule,
)


class RecognitionRules(Desk):
    """The methods of creditgate.v1.RecognitionService that set what is recognised."""

    async def set_recognition_rule(
        self, request: pb.SetRecognitionRuleRequest, caller: Caller
    ) -> pb.SetRecognitionRuleResponse:
        """Answer SetRecognitionRule.

        Raises Refused INVALID_REQUEST; RESOURCE_NOT_FOUND for an item that this gateway's
        catalogue lacks; ETAG_MISMATCH where ``version`` is not that of the table in force.
        """
        outcome = await self._change(request, setting_rule(request), caller)
        response = pb.SetRecognitionRuleResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.rule.CopyFrom(rule_message(stored(RecognitionRule, change)))
        return response

    async def list_recognition_rules(
        self, request: pb.ListRecognitionRulesRequest, caller: Caller
    ) -> pb.ListRecognitionRulesResponse:
        """Answer ListRecognitionRules."""
        del request, caller  # administrators see every table
        rules = self._feed.current().authority.recognitions.rules.values()
        return pb.ListRecognitionRulesResponse(
            rules=[rule_message(rule) for rule in sorted(rules, key=lambda rule: rule.region)]
        )

    async def set_cross_border_profile(
        self, request: pb.SetCrossBorderProfileRequest, caller: Caller
    ) -> pb.SetCrossBorderProfileResponse:
        """Answer SetCrossBorderProfile; raises as SetRecognitionRule."""
        outcome = await self._change(request, setting_profile(request), caller)
        response = pb.SetCrossBorderProfileResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.profile.CopyFrom(profile_message(stored(CrossBorderProfile, change)))
        return response

    async def list_cross_border_profiles(
        self, request: pb.ListCrossBorderProfilesRequest, caller: Caller
    ) -> pb.ListCrossBorderProfilesResponse:
        """Answer ListCrossBorderProfiles."""
        del request, caller  # administrators see every profile
        profiles = self._feed.current().authority.recognitions.profiles
        return pb.ListCrossBorderProfilesResponse(
            profiles=[profile_message(profiles[each]) for each in sorted(profiles)]
        )

    async def approve_cross_border_transfer(
        self, request: pb.ApproveCrossBorderTransferRequest, caller: Caller
    ) -> pb.ApproveCrossBorderTransferResponse:
        """Answer ApproveCrossBorderTransfer, always with a proposal.

        Raises Refused INVALID_REQUEST; RESOURCE_NOT_FOUND for an operator there is not;
        STATE_CONFLICT where no profile is in force for the country and purpose; RESOURCE_EXISTS
        where the same was approved or is proposed.
        """
        outcome = await self._change(request, approving_transfer(request), caller)
        return pb.ApproveCrossBorderTransferResponse(proposal_id=outcome.proposal_id)

    async def list_cross_border_transfers(
        self, request: pb.ListCrossBorderTransfersRequest, caller: Caller
    ) -> pb.ListCrossBorderTransfersResponse:
        """Answer ListCrossBorderTransfers; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every transfer
        transfers = self._feed.current().authority.recognitions.transfers
        page, token = page_by_id(
            (
                transfer_id
                for transfer_id, transfer in transfers.items()
                if request.operator_id in ("", transfer.operator_id)
            ),
            lambda transfer_id: transfer_message(transfers[transfer_id]),
            page_size=request.page_size,
            token=request.page_token,
            filters=("transfers", request.operator_id),
        )
        return pb.ListCrossBorderTransfersResponse(transfers=page, next_page_token=token)


def setting_rule(request: pb.SetRecognitionRuleRequest) -> Judge:
    """Return the judge of a SetRecognitionRule request; raises Refused INVALID_REQUEST."""
    wanted = _rule(request)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        del now
        _require_items(view, [each.item for each in wanted.items.values()])
        return [draft(RECOGNITION_RULE, wanted.id, wanted)]

    return judge


def setting_profile(request: pb.SetCrossBorderProfileRequest) -> Judge:
    """Return the judge of a SetCrossBorderProfile request; raises Refused INVALID_REQUEST."""
    wanted = _profile(request)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        del now
        _require_items(view, sorted(wanted.items))
        return [draft(CROSS_BORDER_PROFILE, wanted.destination, wanted)]

    return judge


def approving_transfer(request: pb.ApproveCrossBorderTransferRequest) -> Judge:
    """Return the judge of an ApproveCrossBorderTransfer request; raises Refused
    INVALID_REQUEST."""
    wanted = _transfer(request)

    def judge(view: AuthorityView, now: int) -> list[Draft]:
        if not now < wanted.expires_at <= now + MOST_TRANSFER_SECONDS:
            raise conflict("expire_time lies not within the next 30 days.")
        recognitions = view.authority.recognitions
        standing_operator(view.authority, wanted.operator_id)
        profile = recognitions.profiles.get(wanted.destination)
        if profile is None or profile.retired or wanted.purpose not in profile.purposes:
            raise conflict("No profile is in force for that country and purpose.")
        if wanted.transfer_id in recognitions.transfers:
            raise exists("The same transfer was approved already.")
        return [draft(CROSS_BORDER_TRANSFER, wanted.transfer_id, wanted)]

    return judge


def rule_message(rule: RecognitionRule) -> pb.RecognitionRule:
    """Return a mapping table as the contract has it."""
    return pb.RecognitionRule(
        region=rule.region,
        items=[
            pb.RecognisedItem(
                region_item=code,
                item=mapped.item,
                grade_field=mapped.grade_field,
                grades=[
                    pb.GradePair(region_grade=there, grade=here)
                    for there, here in sorted(mapped.grades.items())
                ],
            )
            for code, mapped in sorted(rule.items.items())
        ],
        purposes=[Purpose.ValueType(each) for each in sorted(rule.purposes)],
        longest_seconds=rule.longest_seconds,
        retired=rule.retired,
        version=rule.version,
        update_time=Timestamp(seconds=rule.changed_at),
    )


def profile_message(profile: CrossBorderProfile) -> pb.CrossBorderProfile:
    """Return a profile as the contract has it."""
    return pb.CrossBorderProfile(
        destination=profile.destination,
        items=sorted(profile.items),
        purposes=[Purpose.ValueType(each) for each in sorted(profile.purposes)],
        retired=profile.retired,
        version=profile.version,
        update_time=Timestamp(seconds=profile.changed_at),
    )


def transfer_message(transfer: CrossBorderTransfer) -> pb.CrossBorderTransfer:
    """Return a transfer as the contract has it."""
    return pb.CrossBorderTransfer(
        transfer_id=transfer.transfer_id,
        operator_id=transfer.operator_id,
        document_digest=transfer.document_digest,
        destination=transfer.destination,
        purpose=Purpose.ValueType(transfer.purpose),
        recipient=transfer.recipient,
        expire_time=Timestamp(seconds=transfer.expires_at),
        approve_time=Timestamp(seconds=transfer.changed_at),
    )


def _rule(request: pb.SetRecognitionRuleRequest) -> RecognitionRule:
    asked = request.rule
    faults = [*reason_faults(request.reason), *_version_faults("rule", asked.version)]
    items = {each.region_item: each for each in asked.items}
    if len(items) != len(asked.items):
        faults.append(Violation("rule.items", "name each of the region's items once"))
    for index, each in enumerate(asked.items):
        if len({pair.region_grade for pair in each.grades}) != len(each.grades):
            faults.append(
                Violation(f"rule.items[{index}].grades", "name each of the region's grades once")
            )
    rule, own = checked(
        RecognitionRule,
        {
            "region": asked.region,
            "items": {
                code: {
                    "item": each.item,
                    "grade_field": each.grade_field,
                    "grades": {pair.region_grade: pair.grade for pair in each.grades},
                }
                for code, each in items.items()
            },
            "purposes": tuple(asked.purposes),
            "longest_seconds": asked.longest_seconds,
            "retired": asked.retired,
        },
        ("rule",),
    )
    return required(rule, [*faults, *own]).model_copy(update={"version": asked.version})


def _profile(request: pb.SetCrossBorderProfileRequest) -> CrossBorderProfile:
    asked = request.profile
    profile, own = checked(
        CrossBorderProfile,
        {
            "destination": asked.destination,
            "items": tuple(asked.items),
            "purposes": tuple(asked.purposes),
            "retired": asked.retired,
        },
        ("profile",),
    )
    faults = [
        *reason_faults(request.reason),
        *_version_faults("profile", asked.version),
        *own,
    ]
    return required(profile, faults).model_copy(update={"version": asked.version})


def _transfer(request: pb.ApproveCrossBorderTransferRequest) -> CrossBorderTransfer:
    asked = request.transfer
    faults = reason_faults(request.reason)
    if asked.transfer_id:
        faults.append(Violation("transfer.transfer_id", "leave it empty: it follows from the rest"))
    told = "\n".join(
        (
            asked.operator_id,
            asked.document_digest,
            asked.destination,
            str(int(asked.purpose)),
            asked.recipient,
            str(asked.expire_time.seconds),
        )
    )
    transfer, own = checked(
        CrossBorderTransfer,
        {
            # The same again is no other one.
            "transfer_id": f"xb-{sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}",
            "operator_id": asked.operator_id,
            "document_digest": asked.document_digest,
            "destination": asked.destination,
            "purpose": asked.purpose,
            "recipient": asked.recipient,
            "expires_at": asked.expire_time.seconds,
        },
        ("transfer",),
        {"expires_at": ("expire_time",)},
    )
    return required(transfer, [*faults, *own])


def _version_faults(field: str, version: int) -> list[Violation]:
    if version >= 0:
        return []
    return [Violation(f"{field}.version", "the version it replaces, 0 for none")]


def _require_items(view: AuthorityView, items: Sequence[str]) -> None:
    if any(view.catalogue.get(item) is None for item in items):
        raise missing("An item is not in this gateway's catalogue; create it first.")
