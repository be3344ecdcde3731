"""Terms of the contract as they are typed and shown on the command line.

``PURPOSE_CREDIT_APPROVAL`` reads ``credit-approval``; case and underscores don't matter.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from creditgate.scopes import known_scopes
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from creditgate.v1.catalogue_service_pb2 import ContentFieldType
from creditgate.v1.consent_service_pb2 import (
    ConsentAccessMode,
    ConsentActor,
    ConsentAnswerForm,
    ConsentState,
    DataLifeEnd,
)
from creditgate.v1.operator_service_pb2 import ClientRole, OperatorState
from creditgate.v1.scope_service_pb2 import ProposalState, ScopeDefinitionState
from creditgate.v1.settlement_service_pb2 import ClassPrice
from creditgate.v1.vocabulary_pb2 import Interval, Openness, Purpose, Severity, SubjectType

_PURPOSE: Final = "PURPOSE_"
_ROLE: Final = "CLIENT_ROLE_"
_SEVERITY: Final = "SEVERITY_"
_PROPOSAL: Final = "PROPOSAL_STATE_"
_ADMINISTRATORS: Final = "ADMINISTRATOR_ROLE_"
_CONSENT: Final = "CONSENT_STATE_"
_ACCESS: Final = "CONSENT_ACCESS_MODE_"
_FORM: Final = "CONSENT_ANSWER_FORM_"
_LIFE_END: Final = "DATA_LIFE_END_"
_ALL: Final = "all"
_SCOPE: Final = re.compile(r"[a-z.]{1,63}:[a-z]{1,63}")
_PRICE: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63})=([0-9]{1,18})")


def purpose(text: str) -> Purpose.ValueType:
    """Read a purpose."""
    return Purpose.Value(named(text, _PURPOSE, Purpose.keys()))


def purposes(incomplete: str) -> list[str]:
    """Complete a purpose."""
    return starting(incomplete, listed(_PURPOSE, Purpose.keys()))


def show_purpose(value: Purpose.ValueType) -> str:
    """Show a purpose."""
    return shown(Purpose.Name(value), _PURPOSE)


def role(text: str) -> ClientRole.ValueType:
    """Read a client's role."""
    return ClientRole.Value(named(text, _ROLE, ClientRole.keys()))


def roles(incomplete: str) -> list[str]:
    """Complete a client's role."""
    return starting(incomplete, listed(_ROLE, ClientRole.keys()))


def show_role(value: ClientRole.ValueType) -> str:
    """Show a client's role."""
    return shown(ClientRole.Name(value), _ROLE)


def severity(text: str) -> Severity.ValueType:
    """Read a severity grade."""
    return Severity.Value(named(text, _SEVERITY, Severity.keys()))


def severities(incomplete: str) -> list[str]:
    """Complete a severity grade."""
    return starting(incomplete, listed(_SEVERITY, Severity.keys()))


def show_severity(value: Severity.ValueType) -> str:
    """Show a severity grade, "" where none applies."""
    return shown(Severity.Name(value), _SEVERITY) if value else ""


def show_state(value: OperatorState.ValueType) -> str:
    """Show whether an operator may work."""
    return shown(OperatorState.Name(value), "OPERATOR_STATE_")


def show_openness(value: Openness.ValueType) -> str:
    """Show how open a catalogue item is."""
    return shown(Openness.Name(value), "OPENNESS_")


def show_subject_type(value: SubjectType.ValueType) -> str:
    """Show a kind of subject."""
    return shown(SubjectType.Name(value), "SUBJECT_TYPE_")


def show_field_type(value: ContentFieldType.ValueType) -> str:
    """Show the type of a content field."""
    return shown(ContentFieldType.Name(value), "CONTENT_FIELD_TYPE_")


def scope(text: str) -> str:
    """Read a scope: that of a method, or one that was defined."""
    if _SCOPE.fullmatch(text) is None:
        raise typer.BadParameter(
            "write a scope as name:verb, in lower-case letters, with dots in the name:"
            " credit.records:read, or research.companies:read for one to define"
        )
    return text


def scopes(incomplete: str) -> list[str]:
    """Complete a scope of a method."""
    return starting(incomplete, sorted(known_scopes()))


def administrator_role(text: str) -> AdministratorRole.ValueType:
    """Read a role of administrators."""
    return AdministratorRole.Value(named(text, _ADMINISTRATORS, AdministratorRole.keys()))


def administrator_roles(incomplete: str) -> list[str]:
    """Complete a role of administrators."""
    return starting(incomplete, listed(_ADMINISTRATORS, AdministratorRole.keys()))


def show_administrator_role(value: AdministratorRole.ValueType) -> str:
    """Show a role of administrators."""
    return shown(AdministratorRole.Name(value), _ADMINISTRATORS)


def proposal_state(text: str) -> ProposalState.ValueType:
    """Read where proposals stand; "all" stands for any."""
    if text.lower() == _ALL:
        return ProposalState.PROPOSAL_STATE_UNSPECIFIED
    return ProposalState.Value(named(text, _PROPOSAL, ProposalState.keys()))


def proposal_states(incomplete: str) -> list[str]:
    """Complete where proposals stand."""
    return starting(incomplete, [*listed(_PROPOSAL, ProposalState.keys()), _ALL])


def show_proposal_state(value: ProposalState.ValueType) -> str:
    """Show where a proposal stands."""
    return shown(ProposalState.Name(value), _PROPOSAL)


def show_definition_state(value: ScopeDefinitionState.ValueType) -> str:
    """Show whether a scope may be used."""
    return shown(ScopeDefinitionState.Name(value), "SCOPE_DEFINITION_STATE_")


def consent_state(text: str) -> ConsentState.ValueType:
    """Read where consents stand."""
    return ConsentState.Value(named(text, _CONSENT, ConsentState.keys()))


def consent_states(incomplete: str) -> list[str]:
    """Complete where consents stand."""
    return starting(incomplete, listed(_CONSENT, ConsentState.keys()))


def show_consent_state(value: ConsentState.ValueType) -> str:
    """Show where a consent stands."""
    return shown(ConsentState.Name(value), _CONSENT)


def access_mode(text: str) -> ConsentAccessMode.ValueType:
    """Read how often a consent may be used."""
    return ConsentAccessMode.Value(named(text, _ACCESS, ConsentAccessMode.keys()))


def access_modes(incomplete: str) -> list[str]:
    """Complete how often a consent may be used."""
    return starting(incomplete, listed(_ACCESS, ConsentAccessMode.keys()))


def show_access(value: ConsentAccessMode.ValueType, times_per_day: int) -> str:
    """Show how often a consent may be used."""
    return (
        f"{times_per_day} times a day"
        if times_per_day
        else shown(ConsentAccessMode.Name(value), _ACCESS)
    )


def answer_form(text: str) -> ConsentAnswerForm.ValueType:
    """Read what is answered under a consent."""
    return ConsentAnswerForm.Value(named(text, _FORM, ConsentAnswerForm.keys()))


def answer_forms(incomplete: str) -> list[str]:
    """Complete what is answered under a consent."""
    return starting(incomplete, listed(_FORM, ConsentAnswerForm.keys()))


def show_answer_form(value: ConsentAnswerForm.ValueType) -> str:
    """Show what is answered under a consent."""
    return shown(ConsentAnswerForm.Name(value), _FORM)


def data_life_end(text: str) -> DataLifeEnd.ValueType:
    """Read what must happen to copies at the end."""
    return DataLifeEnd.Value(named(text, _LIFE_END, DataLifeEnd.keys()))


def data_life_ends(incomplete: str) -> list[str]:
    """Complete what must happen to copies at the end."""
    return starting(incomplete, listed(_LIFE_END, DataLifeEnd.keys()))


def show_data_life_end(value: DataLifeEnd.ValueType) -> str:
    """Show what must happen to copies at the end, "" where nothing must."""
    return shown(DataLifeEnd.Name(value), _LIFE_END) if value else ""


def show_actor(value: ConsentActor.ValueType) -> str:
    """Show who changed a consent."""
    return shown(ConsentActor.Name(value), "CONSENT_ACTOR_")


def instant(text: str) -> int:
    """Read an instant: a date (its first second, UTC) or a time with its zone."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            "use a date (2026-01-31) or a time (2026-01-31T08:00:00Z)"
        ) from None
    if read.tzinfo is None:
        if "T" in text or " " in text:
            raise typer.BadParameter("give the time's zone, for example Z for UTC")
        read = read.replace(tzinfo=UTC)
    if read.microsecond:
        raise typer.BadParameter("use whole seconds")
    return int(read.timestamp())


def interval(from_: int | None, until: int | None) -> Interval:
    """Return [from_, until) in seconds, UTC; None leaves an end open."""
    return Interval(
        start_time=None if from_ is None else Timestamp(seconds=from_),
        end_time=None if until is None else Timestamp(seconds=until),
    )


def price(text: str) -> ClassPrice:
    """Read CLASS=MICROYUAN: a price class and its price of one record in micro-yuan."""
    match = _PRICE.fullmatch(text)
    if match is None:
        raise typer.BadParameter("use CLASS=MICROYUAN, for example basic=50000 for 0.05 yuan")
    return ClassPrice(price_class=match[1], unit_price_micro_yuan=int(match[2]))


def listed(prefix: str, names: Sequence[str]) -> list[str]:
    """Return the terms of an enum, the unspecified one left out."""
    return [shown(name, prefix) for name in names if name != f"{prefix}UNSPECIFIED"]


def shown(name: str, prefix: str) -> str:
    """Show one name of an enum."""
    return name.removeprefix(prefix).lower().replace("_", "-")


def named(text: str, prefix: str, names: Sequence[str]) -> str:
    """Read one name of an enum."""
    name = prefix + text.upper().replace("-", "_").removeprefix(prefix)
    if name not in names or name == f"{prefix}UNSPECIFIED":
        raise typer.BadParameter(f"use one of {', '.join(listed(prefix, names))}")
    return name


def starting(incomplete: str, terms: Sequence[str]) -> list[str]:
    """Return those of ``terms`` that start so."""
    return [term for term in terms if term.startswith(incomplete)]
