"""The Chromium of the browser tests: ``browser.py find`` prints where it is, ``browser.py
install`` installs it from the system's packages where that may be done.

Standard library only: it runs before anything is installed.
"""

import os
import shutil
import subprocess
import sys

VARIABLE = "CREDITGATE_CHROMIUM"
# The same engine without the windows, menus and toolbars around a page, which nobody sees here and
# which take as much of the processor as the pages.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
PATIENCE = ("-o", "Acquire::http::Timeout=10", "-o", "Acquire::Retries=1")
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", SHELL)
INSTALL_SECONDS = 120
MEND = f"""The browser tests need Chromium, and there is none. On Debian this brings it:
    apt-get update && {" ".join(INSTALL)}
Elsewhere install Chromium or Chrome, or name one you have in {VARIABLE}."""


class NoBrowser(Exception):
    """There is no Chromium and none could be installed; the message tells the mend."""


def find() -> str:
    """Return the path of Chromium or Chrome. Raises NoBrowser."""
    named = os.environ.get(VARIABLE)
    for name in (named,) if named else NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise NoBrowser(MEND)


def wanted() -> bool:
    """Tell whether a browser is to be installed: where there is none, and in continuous
    integration where there is only one with windows. Only root can, and only Debian's tool is
    known here."""
    if os.environ.get(VARIABLE) or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    enough = (SHELL,) if os.environ.get("CI") == "true" else NAMES
    return not any(map(shutil.which, enough))


def install() -> str:
    """Return the path of Chromium, installed when it was missing. Raises NoBrowser."""
    if not wanted():
        return find()
    print("Installing Chromium for the browser tests, once.", flush=True)
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    said = ""
    for command in (("apt-get", *PATIENCE, "update"), (*INSTALL, *PATIENCE)):
        try:
            done = subprocess.run(
                command,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            break
        said += done.stdout
    try:
        return find()
    except NoBrowser:
        print(said, file=sys.stderr)
        raise


def main() -> int:
    """Print the path; or the mend, with exit status 1."""
    try:
        print(install() if sys.argv[1:] == ["install"] else find())
    except NoBrowser as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
