"""What the pages stand on."""

from collections.abc import Callable
from dataclasses import dataclass

from consent.delegations_sql import SqlDelegations
from consent.notices import SqlNotices
from consent.overdue import SqlOverdue
from consent.sql import SqlConsents
from consent.subject_keys import SqlSubjectKeys
from gateway.authority.view import AuthorityView
from gateway.clock import Clock
from gateway.consents.accesses import Accesses
from gateway.consents.desk import ConsentDesk
from gateway.consents.receipt import ConsentReceipts
from gateway.signin.desk import SignInDesk
from gateway.subject.own_reports import OwnReports


@dataclass(frozen=True, slots=True)
class SubjectParts:
    """The engine of consents, and who signs people in.

    ``view`` gives authority as of now and raises Refused when it is not known; ``sign_in``
    is None where no identity provider is configured; ``issuer`` is the gateway's own URL,
    for links that people pass on.
    """

    consents: SqlConsents
    desk: ConsentDesk
    delegations: SqlDelegations
    keys: SqlSubjectKeys
    notices: SqlNotices
    overdue: SqlOverdue
    accesses: Accesses
    receipts: ConsentReceipts
    reports: OwnReports
    view: Callable[[], AuthorityView]
    sign_in: SignInDesk | None
    clock: Clock
    issuer: str
