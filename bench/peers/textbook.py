"""The textbook's way: a Flask view, an ORM session a request, one commit a request (gunicorn, threads)."""

import os
import time
from datetime import UTC, datetime, timedelta

import checks
import flask
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, joinedload, sessionmaker

from partners.models import Campaign, Source, SourceSecret
from postback.models import Conversion, ConversionEvent, Receipt
from tracking.models import Click

app = flask.Flask(__name__)
engine = sa.create_engine(os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg://"), pool_size=8)
Sessions = sessionmaker(engine)
KEY_ENCRYPTION_KEY = os.environ["KEY_ENCRYPTION_KEY"]


@app.get("/postback/<source_id>")
def postback(source_id: str) -> tuple[dict[str, str | None], int]:
    """Believe and record one postback."""
    now = datetime.now(UTC)
    started = time.perf_counter()
    query = flask.request.environ["QUERY_STRING"].encode("latin-1")
    with Sessions() as session:
        try:
            source = _source(session, source_id)
            told = checks.believed(source, flask.request.remote_addr or "", query, now.timestamp())
        except checks.NotBelievedError:
            return {"status": "unauthorised"}, 401
        except checks.NotValidError:
            return {"status": "invalid"}, 422
        receipt = _receipt(source, told, query, now, started)
        conversion = _conversion(session, source, told, now)
        conversion.receipt_id = receipt.id
        receipt.outcome = "accepted" if conversion.click_id else "unmatched"
        receipt.conversion_id = conversion.id
        body = {"status": receipt.outcome, "receipt_id": receipt.id, "conversion_id": conversion.id}
        session.add(conversion)
        try:
            session.flush()
            session.add_all([_event(conversion), receipt])
            session.commit()
        except IntegrityError:
            session.rollback()
            body = _repeated(session, receipt)
    return body, 200


def _repeated(session: Session, receipt: Receipt) -> dict[str, str | None]:
    key = Conversion.source_id == receipt.source_id, Conversion.dedupe_key == receipt.dedupe_key
    receipt.outcome, receipt.conversion_id = "duplicate", session.scalars(sa.select(Conversion.id).where(*key)).one()
    body = {"status": receipt.outcome, "receipt_id": receipt.id, "conversion_id": receipt.conversion_id}
    session.add(receipt)
    session.commit()
    return body


def _source(session: Session, source_id: str) -> checks.Source:
    secrets = joinedload(Source.secrets)
    row = session.scalars(sa.select(Source).options(secrets).where(Source.id == source_id)).unique().one_or_none()
    live: list[SourceSecret] = [secret for secret in row.secrets if secret.revoked_at is None] if row else []
    if row is None or not live:
        raise checks.NotBelievedError
    return checks.Source.opened(KEY_ENCRYPTION_KEY, row.id, row.allowlist, live[-1].id, live[-1].sealed_value)


def _conversion(session: Session, source: checks.Source, told: checks.Postback, now: datetime) -> Conversion:
    click = session.scalars(sa.select(Click).where(Click.click_id == told.click_id)).one_or_none()
    occurred_at = datetime.fromtimestamp(told.sent_at, UTC)
    hold_reason = None
    if click is not None:
        campaign = session.get_one(Campaign, click.campaign_id)
        is_outside = occurred_at > click.clicked_at + timedelta(days=campaign.attribution_window_days)
        hold_reason = "outside_window" if is_outside else None
    return Conversion(
        id=checks.new_id("cnv"),
        source_id=source.id,
        dedupe_key=told.transaction_id,
        content_sha256=told.sha256,
        transaction_id=told.transaction_id,
        claimed_click_id=told.click_id,
        click_id=click.id if click else None,
        campaign_id=click.campaign_id if click else None,
        affiliate_id=click.affiliate_id if click else None,
        event=told.event,
        payout_minor=told.payout_minor,
        currency=told.currency,
        occurred_at=occurred_at,
        recorded_at=now,
        subs=told.subs,
        assurance="A",
        state="recorded" if click else "unmatched",
        hold_reason=hold_reason,
    )


def _event(conversion: Conversion) -> ConversionEvent:
    return ConversionEvent(
        conversion_id=conversion.id,
        seq=1,
        kind="recorded",
        at=conversion.recorded_at,
        actor_kind="system",
        actor_id="intake",
        receipt_id=conversion.receipt_id,
        details={"state": conversion.state, "hold_reason": conversion.hold_reason},
    )


def _receipt(source: checks.Source, told: checks.Postback, query: bytes, now: datetime, started: float) -> Receipt:
    return Receipt(
        id=checks.new_id("rcp"),
        received_at=now,
        source_id=source.id,
        peer=flask.request.remote_addr or "",
        method="GET",
        raw_query=query,
        raw_body=b"",
        signature_headers={},
        verdict="believed",
        faults=[],
        secret_id=source.secret_id,
        assurance="A",
        covered_fields=told.names,
        dedupe_key=told.transaction_id,
        latency_us=int((time.perf_counter() - started) * 1_000_000),
    )
