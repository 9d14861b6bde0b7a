"""The tables. A change here needs a migration beside it (a test compares the two) and a new REVISION."""

from __future__ import annotations

import sqlalchemy as sa

REVISION = "0002"

# Named constraints can be altered on every database.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

datasets = sa.Table(
    "datasets",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("format", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("identity", sa.String, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("class_names", sa.JSON, nullable=False),
    sa.Column("sample_count", sa.Integer, nullable=False),
    sa.Column("skipped_count", sa.Integer, nullable=False),
    sa.Column("samples_sha256", sa.String, nullable=False),  # artifact: samples and skipped, zlib JSON
    sa.Column("created", sa.String, nullable=False),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("task", sa.String, nullable=False),
    sa.Column("framework", sa.String, nullable=False),
    sa.Column("format", sa.String, nullable=False),
    sa.Column("source_sha256", sa.String, nullable=False),
    sa.Column("artifact_sha256", sa.String, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("dataset", sa.String, sa.ForeignKey("datasets.name"), nullable=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("created", sa.String, nullable=False),
)

variants = sa.Table(
    "variants",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("model", sa.String, sa.ForeignKey("models.name", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("level", sa.String, nullable=False),
    sa.Column("recipe_key", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.UniqueConstraint("model", "name", "target"),
)

variant_artifacts = sa.Table(
    "variant_artifacts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("variant_id", sa.Integer, sa.ForeignKey("variants.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("format", sa.String, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("variant_id", "format", "target"),
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False, unique=True),
    sa.Column("address", sa.String, nullable=False),
    sa.Column("certificate_pem", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("added", sa.String, nullable=False),
    sa.Column("last_seen", sa.String, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False, server_default="[]"),
)

pushes = sa.Table(
    "pushes",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("device", sa.String, sa.ForeignKey("devices.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("variant", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sent_bytes", sa.BigInteger, nullable=False),
    sa.Column("created", sa.String, nullable=False),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("device", sa.String, sa.ForeignKey("devices.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("slot", sa.String, nullable=False),
    sa.Column("variant", sa.String, nullable=False),
    sa.Column("sha256", sa.String, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created", sa.String, nullable=False),
)


def _results(name: str) -> sa.Table:
    # Device and variant are plain text: a result outlives the device, and a variant made again.
    return sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String, nullable=False, index=True),
        sa.Column("variant", sa.String, nullable=False, index=True),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("summary", sa.JSON, nullable=False),
        sa.Column("evidence_sha256", sa.String, nullable=False),
        sa.Column("artifact_sha256", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("created", sa.String, nullable=False),
    )


bench_results = _results("bench_results")
eval_results = _results("eval_results")
