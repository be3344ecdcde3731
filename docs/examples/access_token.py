"""Print an access token, for a client that can't sign an assertion by itself.

``python docs/examples/access_token.py PROFILE``. The token lives five minutes and works only
over the client's own certificate.
"""

import sys
from contextlib import closing
from pathlib import Path

from sdk.credentials import Credentials
from sdk.tokens import TokenRefused, TokenSource


def main() -> None:
    """Print the token of the client whose profile is named."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/examples/access_token.py PROFILE")
    try:
        with closing(TokenSource(Credentials.load(Path(sys.argv[1])))) as tokens:
            sys.stdout.write(tokens.token() + "\n")
    except (TokenRefused, ValueError, OSError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
