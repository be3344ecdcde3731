"""``creditgate administrator``: people who administer, and their roles."""

from collections.abc import Iterable
from typing import Annotated

import typer

from creditgate.v1 import administrator_service_pb2 as pb
from creditgate.v1.administrator_service_pb2 import AdministratorRole
from gateway.cli import calls, terms
from gateway.cli.failures import ReportedCommand
from gateway.cli.options import PROFILE, AsJson, Profile, Why
from gateway.cli.output import Sheet, several, show, utc

app = typer.Typer(help="People who administer, and their roles.", no_args_is_help=True)

_AdministratorId = Annotated[
    str, typer.Argument(metavar="ADMINISTRATOR", help="Id of the administrator.")
]
_Roles = Annotated[
    list[AdministratorRole.ValueType],
    typer.Option(
        "--role",
        parser=terms.administrator_role,
        autocompletion=terms.administrator_roles,
        metavar="ROLE",
        help="licensing, pricing, security or audit; repeat for more.",
    ),
]


@app.command("register", cls=ReportedCommand)
def register(
    administrator_id: _AdministratorId,
    name: Annotated[str, typer.Option("--name", help="Name, for people to read.")],
    issuer: Annotated[str, typer.Option("--issuer", help="Issuer of their identity provider.")],
    subject: Annotated[str, typer.Option("--subject", help='Their "sub" at that provider.')],
    roles: _Roles,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Register a person who may administer once they sign in."""
    person = pb.Administrator(
        administrator_id=administrator_id,
        display_name=name,
        issuer=issuer,
        subject=subject,
        roles=roles,
    )
    answer = calls.ask(
        profile,
        pb.RegisterAdministratorRequest(administrator=person, reason=reason),
        pb.RegisterAdministratorResponse,
    )
    show(answer, _sheet([answer.administrator]), as_json=as_json)


@app.command("list", cls=ReportedCommand)
def list_(profile: Profile = PROFILE, as_json: AsJson = False) -> None:
    """List administrators, removed ones included."""
    answer = calls.every_page(
        profile, pb.ListAdministratorsRequest(page_size=200), pb.ListAdministratorsResponse
    )
    show(answer, _sheet(answer.administrators), as_json=as_json)


@app.command("roles", cls=ReportedCommand)
def roles_(
    administrator_id: _AdministratorId,
    roles: _Roles,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Replace a person's roles; it acts on their next call."""

    async def assigned(gateway: calls.Gateway) -> pb.SetAdministratorRolesResponse:
        known = await gateway.every_page(
            pb.ListAdministratorsRequest(page_size=200), pb.ListAdministratorsResponse
        )
        # An unknown person is refused by the gateway itself, whatever etag it is sent.
        etags = {person.administrator_id: person.etag for person in known.administrators}
        request = pb.SetAdministratorRolesRequest(
            administrator_id=administrator_id,
            roles=roles,
            etag=etags.get(administrator_id, "0"),
            reason=reason,
        )
        return await gateway.ask(request, pb.SetAdministratorRolesResponse)

    answer = calls.with_gateway(profile, assigned)
    show(answer, _sheet([answer.administrator]), as_json=as_json)


@app.command("remove", cls=ReportedCommand)
def remove(
    administrator_id: _AdministratorId,
    reason: Why,
    profile: Profile = PROFILE,
    as_json: AsJson = False,
) -> None:
    """Remove a person at once and for good."""
    answer = calls.ask(
        profile,
        pb.RemoveAdministratorRequest(administrator_id=administrator_id, reason=reason),
        pb.RemoveAdministratorResponse,
    )
    show(answer, _sheet([answer.administrator]), as_json=as_json)


def _sheet(people: Iterable[pb.Administrator]) -> Sheet:
    return Sheet(
        "Administrators",
        ("administrator", "name", "roles", "identity provider", "subject", "removed"),
        [
            (
                person.administrator_id,
                person.display_name,
                several(map(terms.show_administrator_role, person.roles)),
                person.issuer,
                person.subject,
                utc(person.remove_time),
            )
            for person in people
        ],
    )
