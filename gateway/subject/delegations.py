"""Deputies of a company: who acts for it, appointing one, withdrawing it again."""

import asyncio
import hashlib
import secrets
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from consent.delegation import MOST_LABEL, Delegation, Power
from creditgate import plain_text
from creditgate.refusal import Refused
from creditgate.v1.refusal_pb2 import RefusalReason
from creditgate.v1.vocabulary_pb2 import Openness, Purpose
from gateway.consents.plain import item_name, purpose_name
from gateway.pages.troubles import NotShown
from gateway.pages.words import said
from gateway.subject.deputies import POWERS, delegation_line
from gateway.subject.lines import operator_name
from gateway.subject.naming import delegation_id_of
from gateway.subject.visit import CompanyVisit

DAYS: Final = (30, 90, 180, 366)
"""Terms a delegation can be given for; 366 days are the longest."""
_DAY: Final = 86_400
_FULL: Final = (
    RefusalReason.REFUSAL_REASON_STATE_CONFLICT,
    RefusalReason.REFUSAL_REASON_RATE_EXCEEDED,
)
_PURPOSES: Final = tuple(number for number in Purpose.values() if number)
_MOST_OPERATORS: Final = 10
_LOOKED_THROUGH: Final = 200


async def show(visit: CompanyVisit) -> Response:
    """Show who acts for the company, and who did."""
    _require_representative(visit)
    found = await asyncio.to_thread(visit.parts.delegations.of_subject, visit.acting.subject)
    view = visit.parts.view()
    return await visit.shown(
        "delegations.html",
        tab="/delegations",
        delegations=[
            (
                delegation_line(view, each, visit.now, visit.language),
                visit.browser.form_token(visit.purpose("end", each.delegation_id)),
            )
            for each in found
        ],
    )


async def draft(visit: CompanyVisit) -> Response:
    """Show the form by which a deputy is appointed, to whoever signed in lately enough."""
    delegation_id = f"{visit.now:010x}-{secrets.token_hex(12)}"
    return await _form_page(visit, delegation_id, {}, faults=())


async def appoint(visit: CompanyVisit) -> Response:
    """Write the appointment and show the link for the deputy, once; who signed in long ago is
    asked to again."""
    _require_representative(visit)
    delegation_id = delegation_id_of(visit.request.path_params.get("delegation_id", ""))
    form = await visit.form(visit.purpose("appoint", delegation_id))
    if not visit.fresh:
        return visit.sent_on("/delegations/new")
    faults = _faults(form)
    if faults:
        return await _form_page(visit, delegation_id, form, faults=faults)
    # From the session's own secret, so that the same form sent twice shows the same link.
    secret = visit.browser.form_token(visit.purpose("invitation", delegation_id))
    wanted = _delegation(visit, delegation_id, form)
    try:
        kept = await asyncio.to_thread(_kept, visit, wanted, secret)
    except Refused as refused:
        if refused.reason not in _FULL:
            raise
        return await _form_page(visit, delegation_id, form, faults=("many",))
    if kept is None:
        raise NotShown("changed")
    return await visit.shown(
        "invitation_made.html",
        tab="/delegations",
        line=delegation_line(visit.parts.view(), kept, visit.now, visit.language),
        link=f"{visit.parts.issuer.rstrip('/')}/my/invitations/{secret}",
    )


async def withdraw(visit: CompanyVisit) -> Response:
    """End a delegation at once."""
    _require_representative(visit)
    delegation_id = delegation_id_of(visit.request.path_params.get("delegation_id", ""))
    await visit.form(visit.purpose("end", delegation_id))

    def end() -> None:
        delegation = visit.parts.delegations.get(delegation_id)
        if delegation is None or delegation.subject != visit.acting.subject:
            raise NotShown("missing")
        visit.parts.delegations.end(delegation_id, visit.acting.principal, visit.now)

    await asyncio.to_thread(end)
    return visit.sent_on("/delegations")


def _kept(visit: CompanyVisit, wanted: Delegation, secret: str) -> Delegation | None:
    """Return the delegation as written; None where its id was used for another."""
    digest = hashlib.sha256(secret.encode()).digest()
    try:
        return visit.parts.delegations.invite(wanted, digest)
    except IntegrityError:
        kept = visit.parts.delegations.invited(digest, visit.now)
    return None if kept is None or _appoints(kept) != _appoints(wanted) else kept


def _appoints(delegation: Delegation) -> tuple[object, ...]:
    """Return what one form appoints, whenever it is sent: whom, to what, for how long."""
    chosen = delegation.model_dump(exclude={"valid_from", "valid_until"})
    return delegation.valid_until - delegation.valid_from, chosen


def _delegation(visit: CompanyVisit, delegation_id: str, form: Mapping[str, str]) -> Delegation:
    view = visit.parts.view()
    return Delegation(
        delegation_id=delegation_id,
        subject=visit.acting.subject,
        appointed_by=visit.acting.principal,
        label=form["label"].strip(),
        powers=frozenset(power for power in Power if f"power-{power.value}" in form),
        items=_chosen(form, "item-", view.catalogue),
        purposes=frozenset(map(int, _chosen(form, "purpose-", tuple(map(str, _PURPOSES))))),
        operators=_chosen(form, "operator-", view.authority.operators),
        valid_from=visit.now,
        valid_until=visit.now + int(form["days"]) * _DAY,
    )


def _faults(form: Mapping[str, str]) -> tuple[str, ...]:
    label = form.get("label", "").strip()
    faults = {
        "label": not 0 < len(label) <= MOST_LABEL or plain_text.fault(label) is not None,
        "powers": not any(f"power-{power.value}" in form for power in Power),
        "days": form.get("days", "") not in map(str, DAYS),
    }
    return tuple(name for name, wrong in faults.items() if wrong)


def _chosen(form: Mapping[str, str], prefix: str, known: Container[str]) -> frozenset[str]:
    """Return what was chosen. Raises NotShown "changed" for what there is not.

    Left out it would not limit, and where nothing else was chosen, open everything.
    """
    chosen = frozenset(name.removeprefix(prefix) for name in form if name.startswith(prefix))
    if any(each not in known for each in chosen):
        raise NotShown("changed")
    return chosen


@dataclass(frozen=True, slots=True)
class _Choice:
    name: str
    words: str


async def _form_page(
    visit: CompanyVisit, delegation_id: str, form: Mapping[str, str], *, faults: tuple[str, ...]
) -> Response:
    _require_representative(visit)
    view, language = visit.parts.view(), visit.language
    known = await asyncio.to_thread(
        visit.parts.consents.listed, subject=visit.acting.subject, limit=_LOOKED_THROUGH
    )
    operators = list(dict.fromkeys(each.operator_id for each in known))[:_MOST_OPERATORS]
    return await visit.shown(
        "appoint.html",
        tab="/delegations",
        status=400 if faults else 200,
        typed=visit.fresh,
        delegation_id=delegation_id,
        form=form,
        faults=faults,
        days=DAYS,
        powers=[_Choice(f"power-{each.value}", said(language, POWERS[each])) for each in Power],
        items=[
            _Choice(f"item-{code}", item_name(view, code, language))
            for code, item in sorted(view.catalogue.items())
            if item.openness == Openness.OPENNESS_CONSENT
        ],
        purposes=[
            _Choice(f"purpose-{number}", purpose_name(number, language)) for number in _PURPOSES
        ],
        operators=[_Choice(f"operator-{each}", operator_name(view, each)) for each in operators],
        token=visit.browser.form_token(visit.purpose("appoint", delegation_id)),
    )


def _require_representative(visit: CompanyVisit) -> None:
    if not visit.acting.represents:
        raise NotShown("missing")
