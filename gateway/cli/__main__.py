"""``python -m gateway.cli`` is ``creditgate``."""

from gateway.cli.main import app

if __name__ == "__main__":
    app(prog_name="creditgate")
