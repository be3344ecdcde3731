"""``creditgate demo``: the main job, from licence to bill, on a gateway of its own."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import calls
from gateway.cli.failures import FAILED, CommandFailed
from gateway.cli.options import AsJson, DataFolder
from gateway.cli.output import as_dict, console, print_json, show_sheet

if TYPE_CHECKING:
    from gateway.demo.account import Section
    from gateway.demo.run import DemoRun


def demo(
    data: DataFolder = None,
    federation: Annotated[
        bool, typer.Option("--federation", help="Run three regions under one anchor instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the main job from licence to bill, check each step, and tell what happened."""
    if federation:
        _federation(as_json=as_json)
        return
    from gateway.config import GatewayConfig
    from gateway.demo.run import run_demo

    folder = GatewayConfig.load().home.absolute() / "demo"
    terminal = console()

    def told(section: "Section") -> None:
        if as_json:
            return
        show_sheet(section.sheet(), terminal)
        for sheet in section.sheets:
            show_sheet(sheet, terminal)

    with _alone(folder):
        run = calls.run(run_demo(folder, data, told))
    if as_json:
        print_json(_document(run))
    else:
        typer.echo(_ending(run, folder))
    if not run.account.ok:
        raise typer.Exit(FAILED)


def _federation(*, as_json: bool) -> None:
    from gateway.config import GatewayConfig
    from gateway.demo.federation import run_federation

    folder = GatewayConfig.load().home.absolute() / "demo-federation"
    terminal = console()

    def told(section: "Section") -> None:
        if not as_json:
            for sheet in (section.sheet(), *section.sheets):
                show_sheet(sheet, terminal)

    with _alone(folder):
        run = calls.run(run_federation(folder, told))
    if as_json:
        steps = run.account.as_document()
        print_json({"ok": run.account.ok, "steps": steps, "seconds": round(run.seconds, 1)})
    else:
        how = "all as expected" if run.account.ok else "NOT all as expected"
        typer.echo(f"Three regions, {run.seconds:.1f} s, {how}. Their files are in {folder}.")
    if not run.account.ok:
        raise typer.Exit(FAILED)


def _document(run: "DemoRun") -> dict[str, object]:
    load = run.seeded.load
    return {
        "ok": run.account.ok,
        "steps": run.account.as_document(),
        "load": {
            "files": load.files,
            "rows": load.rows,
            "published": load.published,
            "unchanged": load.unchanged,
            "rejected": load.rejected,
            "rejects": run.rejects,
            "report": str(load.report),
        },
        "statements": [as_dict(statement) for statement in run.statements],
        "seconds": round(run.seconds, 1),
    }


def _ending(run: "DemoRun", folder: Path) -> str:
    steps = [step for section in run.account.sections for step in section.steps]
    failed = sum(not step.ok for step in steps)
    how = "all as expected" if not failed else f"{failed} NOT as expected"
    return (
        f"{len(steps)} steps in {run.seconds:.1f} s, {how}. The gateway is stopped; its files are"
        f" in {folder}, the rejected rows in {run.seeded.load.report}."
    )


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other demos out of the folder. Raises CommandFailed when one is running."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandFailed(
                f"Another demo is running in {folder}: wait for it, or set CREDITGATE_HOME."
            ) from None
        yield
