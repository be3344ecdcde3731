"""Words of the command line that name what to load: files and folders that are there.

An empty word, such as a script passes of a variable that is not set, names nothing: as a path it would
be the current folder.
"""

from pathlib import Path

import typer


def file_or_folder(text: str) -> Path:
    """Read the path of a file or folder that is there. Raises typer.BadParameter."""
    if not text.strip():
        raise typer.BadParameter("the name is empty: name a file or a folder (. for this one)")
    path = Path(text)
    if not path.exists():
        raise typer.BadParameter(f"{text} does not exist")
    return path


def folder(text: str) -> Path:
    """Read the path of a folder that is there. Raises typer.BadParameter."""
    path = file_or_folder(text)
    if not path.is_dir():
        raise typer.BadParameter(f"{text} is no folder")
    return path
