"""What a failed command tells: one line for people, one document for scripts, a status."""

import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from creditgate.refusal import Refused, Violation, reason_name
from gateway.cli.outputs import require_apart

REFUSED: Final = 2
FAILED: Final = 1
USAGE: Final = "USAGE"
"""The reason told where a command is wrongly called; no gateway gives it."""
UNREACHABLE: Final = "UNREACHABLE"
"""No gateway answered."""
STORE: Final = "STORE"
"""The database or a file of the store cannot be used."""
FILE: Final = "FILE"
"""A file, folder or socket cannot be used."""
UNEXPECTED: Final = "UNEXPECTED"
"""A defect."""
UNABLE: Final = "UNABLE"
"""The command cannot go on; the message says why."""
_AS_JSON: Final = "--json"
_CATALOGUE_FILE: Final = "gateway.catalogue.file.CatalogueFileRefused"
SPEAKING: Final = frozenset(
    {
        _CATALOGUE_FILE,
        "gateway.anchor.home.NoAnchor",
        "gateway.backup.cut.NoStores",
        "gateway.backup.cut.StoreBusy",
        "gateway.backup.manifest.BackupUnusable",
        "gateway.backup.restoring.NotEmpty",
        "gateway.config.ConfigRefused",
        "gateway.conformance.policy_file.PolicyRefused",
        "gateway.demo.browser.PageUnexpected",
        "gateway.demo.gateway_process.GatewayDidNotStart",
        "gateway.demo.seed.SeedRefused",
        "gateway.server.patience.WorkerFailed",
        "gateway.storage.at_work.KeysChanging",
        "gateway.storage.at_work.StillAtWork",
        "gateway.storage.migrate.MigrationBlocked",
        "gateway.storage.versions.StoreOfNewerVersion",
        "gateway.transparency.identity.AnotherLog",
        "sdk.conformance.ReconciliationBroken",
        "sdk.copies.held.CopiesRefused",
        "sdk.documents.DocumentRefused",
        "sdk.documents.KeysUnavailable",
        "sdk.loading.feed.FeedBroken",
        "sdk.loading.mapping_file.MappingRefused",
        "sdk.loading.rows.SourceRefused",
        "sdk.usage_book.BookRefused",
    }
)
"""Exceptions whose message alone tells what is wrong and how to mend it. By name, since
importing their modules would make every command wait for what it does not use."""

_NO_SCHEMA: Final = ("SQLITE_ERROR", "42P01")
"""What SQLite and PostgreSQL call it where a table is not there."""
_SERVE: Final = "start it with `creditgate serve`, or name another gateway by --profile"


class CommandFailed(Exception):
    """A command cannot go on; the message says what is wrong and how to mend it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a command failed. ``reason`` is a RefusalReason's name, an OAuth error code, USAGE,
    or, where nobody refused, one of the words above; ``faults`` are those of a file, by line;
    ``retry_after`` in seconds; ``exit_status`` REFUSED or FAILED."""

    exit_status: int
    reason: str
    message: str
    violations: Sequence[Violation] = ()
    retry_after: float | None = None
    faults: Sequence[Mapping[str, object]] = ()

    def as_document(self) -> dict[str, object]:
        """Return what ``--json`` prints; ``faults`` only where a file has some."""
        error: dict[str, object] = {
            "reason": self.reason,
            "message": self.message,
            "violations": [
                {"field": violation.field, "description": violation.description}
                for violation in self.violations
            ],
            "retry_after": self.retry_after,
        }
        if self.faults:
            error["faults"] = [dict(fault) for fault in self.faults]
        return {"error": error}

    def as_text(self) -> str:
        """Return what people read."""
        # Where nobody refused, the message says it better than a word for scripts.
        refused = self.exit_status == REFUSED
        head = f"{self.reason}: {self.message}" if refused else self.message
        wait = "" if self.retry_after is None else f" (try again in {self.retry_after:g} s)"
        # The gateway's own message names the fields already; others' may not.
        fields = [
            f"\n  {fault.field}: {fault.description}"
            for fault in self.violations
            if fault.description not in self.message
        ]
        return "".join((head, wait, *fields))


class ReportedCommand(TyperCommand):
    """A command whose failures are reported: refusals with status 2, others with 1."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of the command; raises typer.Exit where the settings are at fault."""
        as_json = _AS_JSON in args
        try:
            return super().parse_args(ctx, args)
        except _PASSED_ON:
            raise
        except Exception as error:
            raise _reported(failure_of(error), as_json=as_json) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command; raises typer.Exit where it failed."""
        try:
            require_apart(ctx)
            return super().invoke(ctx)
        except _PASSED_ON:
            raise
        except Exception as error:
            failure = _acting(failure_of(error), ctx.params.get("profile"))
            raise _reported(failure, as_json=bool(ctx.params.get("as_json"))) from None


class ReportedGroup(TyperGroup):
    """All commands: a wrong call is one JSON document too where ``--json`` is among its words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before the first command; raises typer.Exit where they are wrong."""
        ctx.meta[_AS_JSON] = _AS_JSON in args
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise _wrongly_called(error, ctx) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command named; raises typer.Exit where it is wrongly called."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            raise _wrongly_called(error, ctx) from None


_PASSED_ON: Final = (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError)


def _wrongly_called(error: Any, ctx: Any) -> Exception:
    """Return what to raise: the error itself where people read it, with its usage lines."""
    if not ctx.meta[_AS_JSON]:
        return error
    named = getattr(error, "option_name", "")
    if (param := getattr(error, "param", None)) is not None:
        named = param.opts[0] if param.param_type_name == "option" else param.metavar or param.name
    message = error.format_message()
    violations = (Violation(named, message),) if named else ()
    return _reported(Failure(REFUSED, USAGE, message, violations), as_json=True)


def _reported(failure: Failure, *, as_json: bool) -> typer.Exit:
    """Report a failure and return what ends the command with its status."""
    report(failure, as_json=as_json)
    return typer.Exit(failure.exit_status)


def _acting(failure: Failure, profile: Path | None) -> Failure:
    """Tell who the command acted as where that client's scopes did not do."""
    if profile is None or failure.reason not in {"SCOPE_NOT_GRANTED", "invalid_scope"}:
        return failure
    from sdk.credentials import Credentials

    client = Credentials.load(profile).client_id
    hint = f"The command acted as {client} ({profile}); --profile chooses another client."
    return replace(failure, message=f"{failure.message.rstrip('. ')}. {hint}")


def report(failure: Failure, *, as_json: bool) -> None:
    """Print a failure: to standard output as JSON, to standard error for people."""
    if as_json:
        document = json.dumps(failure.as_document(), ensure_ascii=False, indent=2)
        try:
            typer.echo(document)
        except BrokenPipeError:
            raise
        except OSError:
            # It may be what failed: a full disk.
            typer.echo(document, err=True)
    else:
        typer.echo(failure.as_text(), err=True)


def failure_of(error: Exception) -> Failure:
    """Return what ``error`` tells the caller of a command."""
    if isinstance(error, Refused):
        return Failure(
            REFUSED, reason_name(error.reason), error.message, error.violations, error.retry_after
        )
    if _name_of(type(error)) == _CATALOGUE_FILE:
        faults: Any = getattr(error, "faults", ())
        return Failure(FAILED, UNABLE, str(error), faults=[fault._asdict() for fault in faults])
    if isinstance(error, CommandFailed) or _name_of(type(error)) in SPEAKING:
        return Failure(FAILED, UNABLE, str(error))
    # Whoever raised these has imported their modules already; nobody else need wait for it.
    if "sdk.tokens" in sys.modules and (failure := _failed_call(error)) is not None:
        return failure
    if any(_name_of(kind) == "sqlalchemy.exc.DBAPIError" for kind in type(error).__mro__):
        return Failure(FAILED, STORE, _store_failure(error))
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return Failure(FAILED, FILE, f"{name}{error.strerror or type(error).__name__}")
    return Failure(FAILED, UNEXPECTED, _unexpected(error))


def _failed_call(error: Exception) -> Failure | None:
    import grpc

    from sdk.refusals import explain
    from sdk.tokens import TokenRefused

    if isinstance(error, TokenRefused):
        if error.error == "unavailable":
            return Failure(
                FAILED, UNREACHABLE, f"{error.description} If it does not run, {_SERVE}."
            )
        return Failure(REFUSED, error.error, error.description)
    if not isinstance(error, grpc.RpcError):
        return None
    refusal = explain(error)
    if refusal.reason:
        return Failure(
            REFUSED, refusal.reason, refusal.message, refusal.violations, refusal.retry_after
        )
    if refusal.status in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
        told = f"The gateway cannot be reached; {_SERVE}. ({refusal.message})"
        return Failure(FAILED, UNREACHABLE, told)
    return Failure(FAILED, refusal.status, f"{refusal.status}: {refusal.message}")


def _name_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _store_failure(error: Exception) -> str:
    # Only the driver's own words: the statement and its parameters may hold records.
    raised = getattr(error, "orig", None) or error
    said = " ".join(str(raised).split())
    codes = {getattr(raised, name, None) for name in ("sqlite_errorname", "sqlstate")}
    mend = "" if codes.isdisjoint(_NO_SCHEMA) else "`creditgate init` sets one up; "
    return (
        f"The store cannot be used: {said}. {mend}`database` and `home` in the settings say which"
        " it is."
    )


def _unexpected(error: Exception) -> str:
    """Return one line that lets a defect be found; its place stands for a traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"Unexpected {type(error).__name__}{place}: {error}. Please report it."
