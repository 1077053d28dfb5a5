"""What a second detector says of a prediction.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add one column, empty; nothing that is there changes."""
    name = op.f("prediction_agreement_is_an_iou")
    rule = sa.CheckConstraint("agreement IS NULL OR (agreement >= 0 AND agreement <= 1)", name=name)
    op.add_column("prediction", sa.Column("agreement", sa.Double(), rule, nullable=True))


def downgrade() -> None:
    """Take the column away with what is in it."""
    with op.batch_alter_table("prediction") as prediction:
        prediction.drop_constraint(op.f("prediction_agreement_is_an_iou"), type_="check")
        prediction.drop_column("agreement")
