"""Files that commands write: none takes the place of another file that the same command is given.

What the caller names as an output is overwritten, as by other programs; but where it is one of the
command's other files, under whatever name, what the command reads would be lost.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import typer

_OUTPUTS: Final = "gateway.cli.outputs"
_PERHAPS_FILES: Final = "gateway.cli.outputs.perhaps"


def output_file(ctx: typer.Context, param: typer.CallbackParam, value: Path | None) -> Path | None:
    """Be the callback of an option that names a file to write."""
    ctx.meta.setdefault(_OUTPUTS, set()).add(param.name)
    return value


def file_or_other(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """Be the callback of a text that may name a file to read."""
    ctx.meta.setdefault(_PERHAPS_FILES, set()).add(param.name)
    return value


def require_apart(ctx: Any) -> None:
    """Raise typer.BadParameter where a file that the command would write is another of its
    files: by the same path, by a link, or open as its standard input."""
    outputs, perhaps = (ctx.meta.get(kind, ()) for kind in (_OUTPUTS, _PERHAPS_FILES))
    for param in ctx.command.params:
        output = ctx.params.get(param.name) if param.name in outputs else None
        others = [
            Path(value) if name in perhaps else value
            for name, value in ctx.params.items()
            if name != param.name
        ]
        if output is not None and _identity(output) in {*_identities(others)}:
            raise typer.BadParameter(
                f"{output} is another file of this command, which would be lost: choose another.",
                ctx=ctx,
                param=param,
            )


def _identities(values: Iterable[object]) -> Iterable[object]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _identities(value)
        elif (identity := _identity(value)) is not None:
            yield identity


def _identity(value: object) -> object:
    """Return what is the same for two names of one file that has contents to lose; None for what
    is no such file."""
    try:
        status = value.stat() if isinstance(value, Path) else os.fstat(_descriptor(value))
    except FileNotFoundError:
        return os.path.realpath(value) if isinstance(value, Path) else None
    except (OSError, AttributeError, ValueError):
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def _descriptor(value: Any) -> int:
    return value.fileno()
