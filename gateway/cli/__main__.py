"""``python -m gateway.cli`` is ``creditgate``."""

from gateway.cli.main import main

if __name__ == "__main__":
    main()
