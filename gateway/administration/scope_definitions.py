"""Managed scopes: defined, changed, retired; those of methods are listed with them."""

from creditgate.refusal import Refused, Violation
from creditgate.scopes import known_scopes
from creditgate.v1 import scope_service_pb2 as pb
from gateway.administration.desk import Desk
from gateway.administration.journal import Judge, draft, stored
from gateway.administration.listing import page_by_id
from gateway.administration.presence import conflict, exists, missing, require_etag
from gateway.administration.request import (
    etag_faults,
    reason_faults,
    require,
)
from gateway.administration.scope_message import built_in_message, definition_message
from gateway.administration.scope_request import definition_of
from gateway.authenticate.caller import Caller
from gateway.authority.view import AuthorityView
from operators.authority import Authority
from operators.log import Draft
from operators.scope_definition import SCOPE_DEFINITION, ScopeDefinition


class ScopeDefinitions(Desk):
    """The methods of ScopeService about what scopes there are."""

    async def create_scope_definition(
        self, request: pb.CreateScopeDefinitionRequest, caller: Caller
    ) -> pb.CreateScopeDefinitionResponse:
        """Answer CreateScopeDefinition; raises Refused INVALID_REQUEST, RESOURCE_EXISTS."""
        definition = definition_of(request.definition, reason_faults(request.reason))

        def judge(view: AuthorityView, _now: int) -> list[Draft]:
            if definition.name in view.authority.definitions:
                raise exists("There is or was a scope of this name; choose another.")
            _require_items(view, request.definition)
            return [draft(SCOPE_DEFINITION, definition.name, definition)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.CreateScopeDefinitionResponse(
            definition=definition_message(stored(ScopeDefinition, change))
        )

    async def get_scope_definition(
        self, request: pb.GetScopeDefinitionRequest, caller: Caller
    ) -> pb.GetScopeDefinitionResponse:
        """Answer GetScopeDefinition; raises Refused RESOURCE_NOT_FOUND."""
        del caller  # administrators see every scope
        message = _message_of(self._feed.current().authority, request.name)
        if message is None:
            raise _unknown()
        return pb.GetScopeDefinitionResponse(definition=message)

    async def list_scope_definitions(
        self, request: pb.ListScopeDefinitionsRequest, caller: Caller
    ) -> pb.ListScopeDefinitionsResponse:
        """Answer ListScopeDefinitions; raises Refused INVALID_REQUEST."""
        del caller  # administrators see every scope
        authority = self._feed.current().authority
        built_in = frozenset[str]() if request.defined_only else known_scopes()
        page, token = page_by_id(
            built_in | authority.definitions.keys(),
            lambda name: _message_of(authority, name) or built_in_message(name),
            page_size=request.page_size,
            token=request.page_token,
            filters=("scope definitions", str(request.defined_only)),
        )
        return pb.ListScopeDefinitionsResponse(definitions=page, next_page_token=token)

    async def update_scope_definition(
        self, request: pb.UpdateScopeDefinitionRequest, caller: Caller
    ) -> pb.UpdateScopeDefinitionResponse:
        """Answer UpdateScopeDefinition.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, ETAG_MISMATCH, or
        STATE_CONFLICT for a retired scope.
        """
        outcome = await self._change(request, updating_definition(request), caller)
        response = pb.UpdateScopeDefinitionResponse(proposal_id=outcome.proposal_id)
        for change in outcome.changes:
            response.definition.CopyFrom(definition_message(stored(ScopeDefinition, change)))
        return response

    async def retire_scope_definition(
        self, request: pb.RetireScopeDefinitionRequest, caller: Caller
    ) -> pb.RetireScopeDefinitionResponse:
        """Answer RetireScopeDefinition.

        Raises Refused INVALID_REQUEST, RESOURCE_NOT_FOUND, or STATE_CONFLICT for a scope
        retired already.
        """
        require(reason_faults(request.reason))

        def judge(view: AuthorityView, now: int) -> list[Draft]:
            present = _standing(view.authority, request.name)
            retired = present.model_copy(update={"retired_at": now})
            return [draft(SCOPE_DEFINITION, present.name, retired)]

        (change,) = await self._write(judge, caller, request.reason)
        return pb.RetireScopeDefinitionResponse(
            definition=definition_message(stored(ScopeDefinition, change))
        )


def updating_definition(request: pb.UpdateScopeDefinitionRequest) -> Judge:
    """Return the judge of an UpdateScopeDefinition request; raises Refused INVALID_REQUEST."""
    faults = reason_faults(request.reason)
    faults += etag_faults("definition.etag", request.definition.etag)
    asked = definition_of(request.definition, faults)

    def judge(view: AuthorityView, _now: int) -> list[Draft]:
        present = _standing(view.authority, asked.name)
        require_etag(present, request.definition.etag)
        _require_items(view, request.definition)
        changed = asked.model_copy(update={"version": present.version})
        return [draft(SCOPE_DEFINITION, present.name, changed)]

    return judge


def _standing(authority: Authority, name: str) -> ScopeDefinition:
    definition = authority.definitions.get(name)
    if definition is None:
        raise _unknown()
    if definition.retired_at is not None:
        raise conflict("The scope was retired for good; define another under a new name.")
    return definition


def _require_items(view: AuthorityView, asked: pb.ScopeDefinition) -> None:
    require(
        [
            Violation(
                f"definition.items[{index}]",
                "no catalogue item has this code; ListCatalogueItems lists them",
            )
            for index, code in enumerate(asked.items)
            if code not in view.catalogue
        ]
    )


def _message_of(authority: Authority, name: str) -> pb.ScopeDefinition | None:
    definition = authority.definitions.get(name)
    if definition is not None:
        return definition_message(definition)
    return built_in_message(name) if name in known_scopes() else None


def _unknown() -> Refused:
    return missing("No scope of this name was defined; ListScopeDefinitions lists them.")
