"""The migrations of a version to come: those of today, and one more of each schema."""

import shutil
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from gateway.storage.engines import Engines
from gateway.storage.migrate import Schema, alembic_config, run
from tests.storage.schemas import TABLES, engine_of

NEWER = "9999"
_MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{former}"
{stated}

def upgrade():
    op.create_table("{schema}_of_newer", sa.Column("number", sa.Integer, primary_key=True))

def downgrade():
    op.drop_table("{schema}_of_newer")
"""


def newer_config(schema: Schema, folder: Path, *, beside: bool) -> Config:
    """Return the configuration of a schema's migrations with one more, made in ``folder``, which
    says that the code of today may serve ``beside`` it, or says nothing."""
    config = alembic_config(schema)
    head = ScriptDirectory.from_config(config).get_current_head()
    scripts = folder / schema
    today = Path(config.get_main_option("script_location") or "")
    shutil.copytree(today, scripts, ignore=shutil.ignore_patterns("__pycache__"))
    stated = f'serves_from = "{head}"' if beside else ""
    (scripts / "versions" / f"{NEWER}_newer.py").write_text(
        _MIGRATION.format(revision=NEWER, former=head, stated=stated, schema=schema),
        encoding="utf-8",
    )
    config.set_main_option("script_location", str(scripts))
    return config


def migrate_to_newer(engines: Engines, folder: Path, *, beside: bool) -> None:
    """Bring all stores up to date as the version to come does."""
    for schema in TABLES:
        run(engine_of(engines, schema), newer_config(schema, folder, beside=beside))
