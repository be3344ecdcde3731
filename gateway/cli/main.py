"""``creditgate``: all commands together."""

import typer

from gateway.cli import (
    administrator,
    alerts,
    analytics,
    anchor,
    audit,
    brake,
    catalogue,
    client,
    conformance_admin,
    consent,
    copies,
    federation,
    key,
    licence,
    limits,
    log,
    mapping,
    operator,
    price,
    recognition,
    record,
    report,
    scopes,
    settlement,
    sharing,
    statements,
    usage,
    witness,
)
from gateway.cli.backup import backup, restore
from gateway.cli.batch_command import batch
from gateway.cli.demo import demo
from gateway.cli.failures import ReportedCommand, ReportedGroup
from gateway.cli.health import health
from gateway.cli.init import init
from gateway.cli.load import load
from gateway.cli.login import login, logout
from gateway.cli.options import AsJson
from gateway.cli.output import print_json
from gateway.cli.serve import serve
from gateway.cli.verify import verify
from gateway.cli.written import written_out
from gateway.server.memory import load_quickly

app = typer.Typer(
    name="creditgate",
    cls=ReportedGroup,
    help="Federated gateway for the authorised operation of public-credit data (公共信用信息授权运营网关).",
    epilog=(
        "Exit status: 0 done, 1 failed, 2 refused by the gateway or wrongly called."
        " With --json every command prints one JSON document, refusals and"
        " wrong calls too."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.command("version", cls=ReportedCommand)
def version(as_json: AsJson = False) -> None:
    """Tell the version."""
    from importlib.metadata import version as version_of

    found = version_of("creditgate")
    if as_json:
        print_json({"version": found})
    else:
        typer.echo(found)


_INSTALLATION = "Installation"
_ADMINISTRATION = "Administration"
_RECORDS = "Records"

for command in (init, serve, demo, health, backup, restore):
    app.command(cls=ReportedCommand, rich_help_panel=_INSTALLATION)(command)
app.add_typer(key.app, name="key", rich_help_panel=_INSTALLATION)
app.add_typer(log.app, name="log", rich_help_panel=_INSTALLATION)
app.add_typer(anchor.app, name="anchor", rich_help_panel=_INSTALLATION)
for name, group in (
    ("administrator", administrator.app),
    ("alerts", alerts.app),
    ("brake", brake.app),
    ("limits", limits.app),
    ("catalogue", catalogue.app),
    ("mapping", mapping.app),
    ("operator", operator.app),
    ("licence", licence.app),
    ("client", client.app),
    ("federation", federation.app),
    ("witness", witness.app),
    ("recognition", recognition.app),
    ("scopes", scopes.app),
    ("price", price.app),
    ("sharing", sharing.app),
    ("settlement", settlement.app),
    ("analytics", analytics.app),
    ("conformance", conformance_admin.app),
    ("audit", audit.app),
):
    app.add_typer(group, name=name, rich_help_panel=_ADMINISTRATION)
for command in (login, logout):
    app.command(cls=ReportedCommand, rich_help_panel=_ADMINISTRATION)(command)
# What `scopes` was called at first.
app.add_typer(scopes.app, name="scope", hidden=True)
app.command(cls=ReportedCommand, rich_help_panel=_RECORDS)(load)
app.command(cls=ReportedCommand, rich_help_panel=_RECORDS)(record.query)
app.command(cls=ReportedCommand, rich_help_panel=_RECORDS)(batch)
app.command(cls=ReportedCommand, rich_help_panel=_RECORDS)(verify)
app.add_typer(record.app, name="record", rich_help_panel=_RECORDS)
app.add_typer(consent.app, name="consent", rich_help_panel=_RECORDS)
app.add_typer(report.app, name="report", rich_help_panel=_RECORDS)
app.add_typer(copies.app, name="copies", rich_help_panel=_RECORDS)
app.add_typer(usage.app, name="usage", rich_help_panel=_RECORDS)
app.command(cls=ReportedCommand, rich_help_panel=_RECORDS)(usage.statement)
app.add_typer(statements.app, name="statements", rich_help_panel=_RECORDS)


def main() -> None:
    """Run the command that the program was called with."""
    load_quickly()
    with written_out():
        app(prog_name="creditgate")
