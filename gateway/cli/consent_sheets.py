"""Consents and their uses as people read them on the command line."""

from collections.abc import Iterable, Iterator, Sequence

from creditgate.v1 import consent_service_pb2 as pb
from gateway.cli import terms
from gateway.cli.output import Sheet, period, several, utc

_DAY_SECONDS = 86_400


def consent_sheet(consent: pb.Consent) -> Sheet:
    """Return one consent, whole, as a block."""
    allowed = consent.terms
    rows = (
        ("consent", consent.name),
        ("state", terms.show_consent_state(consent.state)),
        ("subject", consent.subject),
        ("operator", consent.operator_id),
        ("client", consent.client_id),
        ("message", consent.message),
        ("items", several(item_cell(each.item, each.fields) for each in allowed.items)),
        ("purposes", several(map(terms.show_purpose, allowed.purposes))),
        ("regions", several(allowed.regions)),
        ("answer", terms.show_answer_form(allowed.answer_form)),
        ("access", terms.show_access(allowed.access_mode, allowed.times_per_day)),
        ("validity", period(allowed.validity)),
        (
            "data life",
            f"{_length(allowed.data_life.seconds)},"
            f" then {terms.show_data_life_end(allowed.data_life_end)}",
        ),
        ("asked", utc(consent.create_time)),
        ("answer until", utc(consent.answer_until)),
        ("answered by", consent.representative),
        ("delegation", consent.delegation),
        ("answered requests", str(consent.answered_requests)),
        ("copies", "\n".join(_duties(consent))),
        ("history", "\n".join(_history(consent))),
        ("receipt", consent.receipt),
        ("subject's signature", consent.subject_signature),
        ("subject's key", consent.subject_key),
        ("etag", consent.etag),
    )
    return Sheet("Consent", [name for name, _ in rows], [[cell for _, cell in rows]], blocks=True)


def consents_sheet(consents: Iterable[pb.Consent]) -> Sheet:
    """Return consents, one a row."""
    return Sheet(
        "Consents",
        ("consent", "state", "subject", "operator", "items", "access", "until", "answered"),
        [
            (
                consent.name,
                terms.show_consent_state(consent.state),
                consent.subject,
                consent.operator_id,
                several(each.item for each in consent.terms.items),
                terms.show_access(consent.terms.access_mode, consent.terms.times_per_day),
                utc(consent.terms.validity.end_time),
                str(consent.answered_requests),
            )
            for consent in consents
        ],
        frozenset({"answered"}),
    )


def access_sheet(accesses: Iterable[pb.ConsentAccess]) -> Sheet:
    """Return uses of records, one a row."""
    return Sheet(
        "Accesses",
        (
            "served",
            "operator",
            "item",
            "purpose",
            "region",
            "disclosed_by",
            "consent",
            "record",
            "sent_again",
            "last_sent_again",
        ),
        [
            (
                utc(access.serve_time),
                access.operator_id,
                access.item,
                terms.show_purpose(access.purpose),
                access.region,
                access.home_region,
                access.consent,
                access.record or ("recognised" if access.recognised else "nothing found"),
                str(access.given_again.times),
                utc(access.given_again.last_time) if access.given_again.times else "",
            )
            for access in accesses
        ],
        frozenset({"sent_again"}),
    )


def item_cell(item: str, fields: Sequence[str]) -> str:
    """Return an item with the fields it is cut to; none means all."""
    return f"{item} ({', '.join(fields)})" if fields else item


def change_line(change: pb.WatchConsentsResponse) -> str:
    """Return one change of a watched stream as a line."""
    event = change.event
    line = f"{event.sequence}  {event.consent}  {_event(event)}"
    if not change.HasField("data_life_until"):
        return line
    end = terms.show_data_life_end(change.data_life_end)
    return f"{line}; copies: {end} until {utc(change.data_life_until)}"


def _length(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY_SECONDS)
    return f"{seconds} seconds" if rest else f"{days} days"


def _duties(consent: pb.Consent) -> Iterator[str]:
    """Yield each duty to remove copies, oldest first."""
    if consent.HasField("removal") and consent.removal not in consent.removals:
        yield _duty(consent.removal)
    if consent.removals_left_out:
        unreported = consent.unreported_left_out
        yield f"({consent.removals_left_out} older ones left out, {unreported} not reported)"
    yield from map(_duty, consent.removals)


def _duty(removal: pb.ConsentRemoval) -> str:
    duty = f"{terms.show_data_life_end(removal.data_life_end)} until {utc(removal.deadline)}"
    if removal.HasField("acknowledge_time"):
        told = f"{duty}; gone {utc(removal.remove_time)}, as told {utc(removal.acknowledge_time)}"
        return f"{told}, LATE" if removal.overdue else told
    due = f"{duty}; reported by {utc(removal.report_by)}"
    return f"{due}; OVERDUE" if removal.overdue else due


def _history(consent: pb.Consent) -> Iterator[str]:
    """Yield each change, oldest first, and what is left out of their middle."""
    half = len(consent.history) // 2
    for number, event in enumerate(consent.history):
        if number == half and consent.history_left_out:
            yield f"({consent.history_left_out} left out)"
        yield _event(event)


def _event(event: pb.ConsentEvent) -> str:
    why = f": {event.reason}" if event.reason else ""
    if event.part_of:
        why = f": of {event.part_of}, what {event.region} gave"
    state = terms.show_consent_state(event.state)
    return f"{utc(event.event_time)}  {state} by {terms.show_actor(event.actor)}{why}"
