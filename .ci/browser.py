"""The Chromium of the browser tests: ``browser.py find`` prints where it is, ``browser.py
install`` installs it from the system's packages where that may be done.

Standard library only: it runs before anything is installed.
"""

import os
import shutil
import subprocess
import sys

VARIABLE = "CREDITGATE_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")
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


def install() -> str:
    """Return the path of Chromium, installed when it was missing. Raises NoBrowser.

    Only root can install packages, and only Debian's tool is known here.
    """
    try:
        return find()
    except NoBrowser:
        if os.environ.get(VARIABLE) or os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise
    print("Installing Chromium for the browser tests, once.", flush=True)
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    said = ""
    for command in (("apt-get", "update"), INSTALL):
        done = subprocess.run(
            command,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
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
