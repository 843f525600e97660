"""Views for reporting tools (docs/views.md): what they may see, and nothing secret.

A later migration that changes a table below them stands within core.views.put_aside.
"""

from alembic import op

from core.views import decimal_of, drop, make

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

# View -> its columns, a line for what belongs together, and where they come from. {sale}, {period} and such are SQL
# that differs between the databases.
_VIEWS: dict[str, tuple[str, str]] = {
    "v_periods": (
        """p.id AS period, p.state, p.closed_at, p.closed_by, p.digest,
        (SELECT count(*) FROM period_snapshots AS s WHERE s.period = p.id) AS snapshots, p.version""",
        "periods AS p",
    ),
    "v_affiliates": (
        """a.id, a.name, a.status, a.currency, a.hold_days, {minimum_payout}, a.payment_cycle, a.tax_form_required,
        a.tax_form, a.vat_treatment, a.created_at""",
        "affiliates AS a",
    ),
    "v_conversions": (
        """c.id, c.source_id, s.name AS source, s.is_test, c.transaction_id, c.click_id, c.campaign_id,
        m.name AS campaign, c.affiliate_id, a.name AS affiliate, c.event, c.status_word, c.state, c.hold_reason,
        {payout}, {sale}, c.currency, c.occurred_at, c.recorded_at, {period}, c.assurance""",
        """conversions AS c JOIN sources AS s ON s.id = c.source_id
        LEFT JOIN campaigns AS m ON m.id = c.campaign_id LEFT JOIN affiliates AS a ON a.id = c.affiliate_id""",
    ),
    "v_accruals": (
        """r.id, r.conversion_id, r.kind, r.seq, r.affiliate_id, a.name AS affiliate, r.source_id, r.campaign_id,
        r.category_code, r.category_name, r.category_account, {accrued}, r.currency, r.assurance,
        r.is_amount_covered, r.occurred_on, r.payable_on, r.period, r.created_at, r.payout_id""",
        "accruals AS r LEFT JOIN affiliates AS a ON a.id = r.affiliate_id",
    ),
    "v_payouts": (
        """p.id, p.affiliate_id, a.name AS affiliate, p.period, {paid}, p.currency, p.state, p.approval_id,
        (SELECT max(b.released_at) FROM batch_items AS i JOIN batches AS b ON b.id = i.batch_id
        WHERE i.payout_id = p.id AND i.state <> 'cancelled') AS released_at,
        (SELECT max(i.settled_on) FROM batch_items AS i WHERE i.payout_id = p.id) AS settled_on,
        p.created_at, p.created_by""",
        "payouts AS p JOIN affiliates AS a ON a.id = p.affiliate_id",
    ),
    "v_journal": (
        """l.entry_id, l.line_number, e.kind, e.source_type, e.source_id, e.period, e.posted_on, e.occurred_on,
        e.posted_at, e.description, {account}, {posted}, l.currency, l.affiliate_id""",
        "journal_lines AS l JOIN journal_entries AS e ON e.id = l.entry_id",
    ),
    "v_matches": (
        """t.id, t.group_id, t.leg, r.period, r.source_id, t.reconciliation_id, t.matched_by, t.state, t.score,
        t.made_by, t.our_id, t.their_id, {allocated}, {off}, t.currency, t.created_at""",
        "matches AS t JOIN reconciliations AS r ON r.id = t.reconciliation_id",
    ),
    "v_discrepancies": (
        """d.id, d.period, d.leg, d.source_id, s.name AS source, d."class", d.state, d.resolution, d.conversion_id,
        d.payout_id, d.line_id, {ours}, d.ours_currency, {theirs}, d.theirs_currency, {difference}, d.created_at,
        d.resolved_at, d.resolved_by, d.version""",
        "discrepancies AS d LEFT JOIN sources AS s ON s.id = d.source_id",
    ),
    "v_receipts_log": (
        """r.id, r.received_at, r.source_id, s.name AS source, r.method, r.verdict, r.reason, r.assurance, r.outcome,
        r.conversion_id, r.latency_us""",
        "receipts AS r LEFT JOIN sources AS s ON s.id = r.source_id",
    ),
}
# Of two currencies there is no difference; where one side is missing, all of the other is it.
_DIFFERENCE = (
    "CASE WHEN coalesce(d.ours_currency, d.theirs_currency) = coalesce(d.theirs_currency, d.ours_currency)"
    " THEN coalesce(d.theirs_minor, 0) - coalesce(d.ours_minor, 0) END"
)
# Name within the templates above -> the column's name, its minor units, its currency.
_MONEY = {
    "minimum_payout": ("minimum_payout", "a.minimum_payout_minor", "a.currency"),
    "payout": ("payout", "c.payout_minor", "c.currency"),
    "sale": ("sale", "c.amount_minor", "c.currency"),
    "accrued": ("amount", "r.amount_minor", "r.currency"),
    "paid": ("amount", "p.amount_minor", "p.currency"),
    "posted": ("amount", "l.amount_minor", "l.currency"),
    "allocated": ("allocated", "t.allocated_minor", "t.currency"),
    "off": ("difference", "t.difference_minor", "t.currency"),
    "ours": ("ours", "d.ours_minor", "d.ours_currency"),
    "theirs": ("theirs", "d.theirs_minor", "d.theirs_currency"),
    "difference": ("difference", f"({_DIFFERENCE})", "coalesce(d.theirs_currency, d.ours_currency)"),
}


def _parts(dialect: str) -> dict[str, str]:
    parts = {
        key: f"{decimal_of(dialect, minor, currency)} AS {name}, {minor} AS {name}_minor"
        for key, (name, minor, currency) in _MONEY.items()
    }
    is_postgresql = dialect == "postgresql"
    # Our own accounts stand in the journal by their IBAN: its last four characters tell them apart.
    last_four = "right(l.account, 4)" if is_postgresql else "substr(l.account, -4)"
    month = "to_char(c.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM')" if is_postgresql else "substr(c.occurred_at, 1, 7)"
    return parts | {
        "account": f"CASE WHEN l.account LIKE 'bank:%' THEN 'bank:..' || {last_four} ELSE l.account END AS account",
        "period": f"{month} AS period",
    }


def upgrade() -> None:
    """Make the views."""
    connection = op.get_bind()
    parts = _parts(connection.dialect.name)
    for name, (columns, tables) in _VIEWS.items():
        make(connection, name, f"SELECT {columns.format_map(parts)} FROM {tables}")  # noqa: S608 - our own text


def downgrade() -> None:
    """Drop them."""
    connection = op.get_bind()
    for name in reversed(_VIEWS):
        drop(connection, name)
