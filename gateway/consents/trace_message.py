"""Steps of a consent's trace as messages."""

from google.protobuf.timestamp_pb2 import Timestamp

from consent.removals import Removal
from creditgate.v1 import audit_service_pb2 as pb
from creditgate.v1.conformance_service_pb2 import RemovalAcknowledgement
from creditgate.v1.usage_service_pb2 import UsageEntry
from gateway.consents.access import Access, Answered
from gateway.consents.credited import Credited
from gateway.consents.message import removal_message
from gateway.consents.refused import RefusedCall


def allowed_message(answer: Answered) -> pb.LoggedDecision:
    """Return the decision to answer; what the ledger does not have is left unset."""
    return pb.LoggedDecision(
        entry=pb.DecisionEntry(
            name=_decision_name(answer.decision_id),
            decide_time=Timestamp(seconds=answer.served_at),
            client_id=answer.client_id,
            operator_id=answer.operator_id,
            outcome=pb.DECISION_OUTCOME_ALLOWED,
            licence=answer.licence,
            consent=answer.consent,
            purpose=answer.purpose,
            request_id=answer.request_id,
            served_records=answer.records,
            disclosure_sequence=answer.disclosure_sequence,
            licences=answer.licences if len(answer.licences) > 1 else (),
        )
    )


def refused_message(call: RefusedCall, consent: str) -> pb.LoggedDecision:
    """Return the decision to refuse a call that named ``consent``, a resource name."""
    return pb.LoggedDecision(
        entry=pb.DecisionEntry(
            name=_decision_name(call.decision_id),
            decide_time=Timestamp(seconds=call.at),
            method=f"/{pb.DESCRIPTOR.package}.{call.method}",
            client_id=call.client_id,
            outcome=pb.DECISION_OUTCOME_REFUSED,
            reason=call.reason,
            consent=consent,
            purpose=call.purpose,
            request_id=call.request_id,
        )
    )


def acknowledged_message(removal: Removal) -> pb.RemovalTrace:
    """Return that an operator acknowledged a removal."""
    told_at = 0 if removal.acknowledged_at is None else removal.acknowledged_at
    message = pb.RemovalTrace(
        operator_id=removal.operator_id,
        removal=RemovalAcknowledgement(consent=f"consents/{removal.consent_id}"),
        duty=removal_message(removal, told_at),
    )
    if removal.removed_at is not None:
        message.removal.remove_time.seconds = removal.removed_at
    return message


def usage_message(use: Access) -> UsageEntry:
    """Return a record that was served."""
    return UsageEntry(
        name=use.usage_name,
        client_id=use.client_id,
        request_id=use.request_id,
        record=f"records/{use.record_id}",
        revision=use.revision,
        item=use.item,
        source=use.source,
        region=use.region,
        purpose=use.purpose,
        licence=use.licence,
        consent=use.consent,
        serve_time=Timestamp(seconds=use.served_at),
        fee_micro_yuan=use.fee,
        decision_id=use.decision_id,
        home_region=use.home_region,
    )


def credited_message(credited: Credited) -> pb.UsageCredit:
    """Return that a record that was served was credited."""
    return pb.UsageCredit(
        use=credited.use,
        decision=_decision_name(credited.decision_id),
        credit_time=Timestamp(seconds=credited.at),
    )


def _decision_name(decision_id: str) -> str:
    return f"decisions/{decision_id}"
