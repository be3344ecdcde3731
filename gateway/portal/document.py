"""Statements as documents, to keep: signed, as tables, or to be read."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from starlette.responses import Response, StreamingResponse

from creditgate.v1 import statement_document_pb2 as pb
from gateway.pages.rendering import GUARDS
from gateway.pages.troubles import NotShown
from gateway.pages.words import Words
from gateway.portal.statement import month_shown
from gateway.portal.visit import Visit

_F = pb.StatementForm
FORMS: Final[dict[str, tuple[_F.ValueType, Words]]] = {
    "pdf": (_F.STATEMENT_FORM_PDF, ("PDF，供阅读", "PDF, to read")),
    "json": (_F.STATEMENT_FORM_SIGNED_JSON, ("签名的 JSON，供核验", "Signed JSON, to verify")),
    "csv": (_F.STATEMENT_FORM_CSV, ("CSV", "CSV")),
    "parquet": (_F.STATEMENT_FORM_PARQUET, ("Parquet", "Parquet")),
}
"""Forms by their name in paths, with what they are called."""


def forms(visit: Visit) -> list[tuple[str, str]]:
    """Return the forms statements are served in here: name in paths, and title."""
    if not visit.parts.window.serves(pb.GetStatementDocumentRequest):
        return []
    return [(name, visit.say(*words)) for name, (_, words) in FORMS.items()]


async def give(visit: Visit) -> Response:
    """Give the statement of a month as a file."""
    month = month_shown(visit, str(visit.request.path_params["month"]))
    name = str(visit.request.path_params["form"])
    if name not in dict(forms(visit)):
        raise NotShown("missing")
    parts = visit.each(
        pb.GetStatementDocumentRequest(
            month=month.name, form=FORMS[name][0], language=visit.language
        ),
        pb.GetStatementDocumentResponse,
    )
    # Before anything is sent: what is refused is told on a page.
    first = await anext(parts)

    async def content() -> AsyncIterator[bytes]:
        async with aclosing(parts):
            yield first.content
            async for part in parts:
                yield part.content

    headers = {
        **GUARDS,
        "Content-Disposition": f'attachment; filename="{first.file_name}"',
        # RFC 9530 section 3: the digest of the file, by which a broken download is found.
        "Repr-Digest": f"sha-256=:{b64encode(first.sha256).decode()}:",
    }
    return StreamingResponse(content(), media_type=first.media_type, headers=headers)
