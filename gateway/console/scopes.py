"""Scopes: what each one lets do, those defined here first."""

from starlette.responses import Response

from creditgate.v1 import scope_service_pb2 as pb
from gateway.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show every scope."""
    listed = await visit.every_page(
        pb.ListScopeDefinitionsRequest(page_size=200), pb.ListScopeDefinitionsResponse
    )
    return visit.page(
        "scopes.html",
        tab="/scopes",
        defined=[each for each in listed.definitions if not each.built_in],
        built_in=[each for each in listed.definitions if each.built_in],
        retired=pb.ScopeDefinitionState.SCOPE_DEFINITION_STATE_RETIRED,
    )
