"""What the authority log keeps as proto messages."""

import json

from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.v1 import operator_service_pb2 as pb
from creditgate.v1.vocabulary_pb2 import Interval, Purpose
from operators.log import Change
from operators.model import Client, Licence, Operator, ScopeGrant


def operator_message(operator: Operator) -> pb.Operator:
    """Return an operator as its message."""
    return pb.Operator(
        operator_id=operator.operator_id,
        display_name=operator.display_name,
        uscc=operator.uscc,
        state=operator.state,
        etag=str(operator.version),
        update_time=Timestamp(seconds=operator.changed_at),
        operator_class=operator.operator_class,
    )


def licence_message(licence: Licence) -> pb.Licence:
    """Return a licence as its message, sets in order."""
    return pb.Licence(
        number=licence.number,
        operator_id=licence.operator_id,
        validity=Interval(
            start_time=Timestamp(seconds=licence.valid_from),
            end_time=Timestamp(seconds=licence.valid_until),
        ),
        items=sorted(licence.items),
        purposes=map(Purpose.ValueType, sorted(licence.purposes)),
        regions=sorted(licence.regions),
        daily_record_quota=licence.daily_record_quota,
        revoke_time=_time(licence.revoked_at),
        etag=str(licence.version),
    )


def client_message(client: Client) -> pb.Client:
    """Return a client as its message, thumbprints in order."""
    return pb.Client(
        client_id=client.client_id,
        role=client.role,
        operator_id=client.operator_id,
        jwks=client.jwks,
        certificate_thumbprints=sorted(client.certificate_thumbprints),
        remove_time=_time(client.removed_at),
        etag=str(client.version),
        authentication=client.authentication,
        binding=client.binding,
        grant_types=sorted(client.grant_types),
        redirect_uris=sorted(client.redirect_uris),
        signed_requests=client.signed_requests,
    )


def grant_message(grant: ScopeGrant) -> pb.ScopeGrant:
    """Return a grant as its message, sets in order; without a start where it has none."""
    return pb.ScopeGrant(
        grant_id=grant.grant_id,
        grantee=grant.grantee,
        scope=grant.scope,
        items=sorted(grant.items),
        purposes=map(Purpose.ValueType, sorted(grant.purposes)),
        regions=sorted(grant.regions),
        validity=Interval(
            start_time=_time(grant.valid_from or None), end_time=_time(grant.valid_until)
        ),
        withdraw_time=_time(grant.withdrawn_at),
    )


def change_message(change: Change) -> pb.AuthorityChange:
    """Return one entry of the log as its message."""
    return pb.AuthorityChange(
        sequence=change.sequence,
        kind=change.kind,
        id=change.id,
        version=change.version,
        changed_by=change.changed_by,
        change_time=Timestamp(seconds=change.changed_at),
        reason=change.reason,
        document=json.dumps(dict(change.document), ensure_ascii=False, sort_keys=True),
    )


def _time(seconds: int | None) -> Timestamp | None:
    return None if seconds is None else Timestamp(seconds=seconds)
