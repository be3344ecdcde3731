"""Lists a page at a time (AIP-158), and things by their resource names (AIP-122)."""

from typing import Annotated

import typer

PageSize = Annotated[int, typer.Option("--page-size", min=1, max=1_000)]
PageToken = Annotated[
    str, typer.Option("--page-token", help="Next page, as told by the page before.")
]


def tell_more(page_token: str, *, as_json: bool) -> None:
    """Tell people that there is another page, if there is."""
    if page_token and not as_json:
        typer.echo(f"There is more: --page-token {page_token}")


def resource(collection: str, text: str) -> str:
    """Return the resource name of one of a collection, given either that or its id."""
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"
