"""FastAPI and asyncpg on uvicorn: prepared statements, a pool, one statement a postback, secrets remembered."""

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import checks
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

HERE = Path(__file__).parent
RECORD = (HERE / "record.sql").read_text()
SOURCE = (HERE / "source.sql").read_text()
POOL = 16
sources: dict[str, checks.Source] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold the pool while the process serves."""
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=POOL, max_size=POOL) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/postback/{source_id}")
async def postback(source_id: str, request: Request) -> JSONResponse:
    """Believe and record one postback."""
    now, started = time.time(), time.perf_counter()
    query = request.scope["query_string"]
    peer = request.client.host if request.client else ""
    try:
        source = await _source(source_id)
        told = checks.believed(source, peer, query, now)
    except checks.NotBelievedError:
        return JSONResponse({"status": "unauthorised"}, 401)
    except checks.NotValidError:
        return JSONResponse({"status": "invalid"}, 422)
    receipt_id = checks.new_id("rcp")
    row = await app.state.pool.fetchrow(
        RECORD,
        checks.new_id("cnv"),
        receipt_id,
        source.id,
        told.transaction_id,
        told.sha256,
        told.transaction_id,
        told.click_id,
        told.event,
        told.payout_minor,
        told.currency,
        json.dumps(told.subs),
        float(told.sent_at),
        now,
        peer,
        query.decode("latin-1"),
        source.secret_id,
        json.dumps(told.names),
        int((time.perf_counter() - started) * 1_000_000),
    )
    return JSONResponse({"status": row["status"], "receipt_id": receipt_id, "conversion_id": row["conversion_id"]})


async def _source(source_id: str) -> checks.Source:
    if source_id not in sources:
        row = await app.state.pool.fetchrow(SOURCE, source_id)
        if row is None:
            raise checks.NotBelievedError
        sources[source_id] = checks.Source.opened(
            os.environ["KEY_ENCRYPTION_KEY"],
            row["id"],
            json.loads(row["allowlist"]),
            row["secret_id"],
            row["sealed_value"],
        )
    return sources[source_id]
