"""Fixtures of the authorisation server's tests."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.oauth.world import World


@pytest.fixture
def world(tmp_path: Path, authority_engine: Engine) -> World:
    """A fresh installation."""
    return World(tmp_path, authority_engine)
