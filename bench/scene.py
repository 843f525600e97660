"""What every measured database holds before a round: a source with its secret, a campaign, an affiliate, clicks."""

import base64
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import config
from bench.databases import TEMPLATE, Cluster
from core.actors import system
from core.database import connect
from core.runtime import Runtime
from partners import affiliates, campaigns, sources
from partners.affiliates import NewAffiliate
from partners.campaigns import NewCampaign
from partners.sources import NewSource, RateLimit
from partners.terms import NewTerms
from tests.servers import start_valkey
from tracking import clicks
from tracking.clicks import NewClick
from web import assembly
from web.commands import migrate

BY = system("bench")
SECRET_KEY = "a secret key for measurements, forty characters"  # noqa: S105 - of a throw-away database
KEY_ENCRYPTION_KEY = base64.b64encode(bytes(range(32))).decode()
# So far above any load here that the source's token bucket is asked and never empty.
RATE = RateLimit(per_second=1_000_000, burst=1_000_000)
# Not one for all: every conversion locks its click, and thousands would queue at the same row as they never do.
CLICKS = 1000
LOCAL_ONLY = ("127.0.0.1/32",)


@dataclass(frozen=True)
class Scene:
    """The ids a sender and a filler need; `key` is the 32 bytes that sign."""

    source_id: str
    secret_id: str
    click_ids: tuple[str, ...]
    campaign_id: str
    affiliate_id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True)
class Stage:
    """Where measurements run: a folder with a short path, a Valkey, and what servers are told of both."""

    folder: Path
    redis_url: str

    def environment(self, database_url: str, *, port: int = 8000, folder: Path | None = None) -> dict[str, str]:
        """Return the settings of one of our own processes on `database_url`."""
        return {
            "SECRET_KEY": SECRET_KEY,
            "KEY_ENCRYPTION_KEY": KEY_ENCRYPTION_KEY,
            "DATABASE_URL": database_url,
            "REDIS_URL": self.redis_url,
            "VAR_DIR": str(folder or self.folder),
            "WEB_PROCESSES": "2",
            "HOST": "127.0.0.1",
            "PORT": str(port),
        }

    @contextlib.contextmanager
    def runtime(self, database_url: str) -> Iterator[Runtime]:
        """Build a runtime of our own code on `database_url`."""
        built = assembly.build(config.load(self.environment(database_url)))
        try:
            yield built
        finally:
            built.engine.dispose()
            built.redis.close()


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Open the place for one run of measurements; all of it goes away with the block."""
    folder = Path(tempfile.mkdtemp(prefix="clickledger-bench-", dir="/tmp"))
    folder.chmod(0o755)
    valkey = start_valkey(folder)
    try:
        yield Stage(folder, f"unix://{folder}/valkey.sock")
    finally:
        valkey.kill()
        valkey.wait()
        shutil.rmtree(folder, ignore_errors=True)


def postgresql_template(stage: Stage, cluster: Cluster) -> Scene:
    """Migrate the database that rounds are copied from, and set the scene in it."""
    cluster.execute(f"CREATE DATABASE {TEMPLATE}")
    return _set(stage, cluster.url(TEMPLATE))


def sqlite_template(stage: Stage) -> tuple[Path, Scene]:
    """Make the file that rounds are copied from, with the scene in it."""
    path = stage.folder / "template.sqlite"
    scene = _set(stage, f"sqlite:///{path}")
    return path, scene


def _set(stage: Stage, url: str) -> Scene:
    engine = connect(url)
    migrate(engine)
    engine.dispose()
    with stage.runtime(url) as runtime, runtime.transaction() as session:
        source, secret = sources.create(
            runtime,
            session,
            NewSource("Bench", "pb1", allowlist=LOCAL_ONLY, dedupe_by="transaction_id", rate_limit=RATE),
            actor=BY,
        )
        affiliate = affiliates.create(runtime, session, NewAffiliate("Blog One", "EUR"), actor=BY)
        terms = NewTerms("told")
        campaign = campaigns.create(runtime, session, NewCampaign("Spring", "https://shop.example/", terms), actor=BY)
        session.flush()
        clicked_at = runtime.clock() - timedelta(hours=1)
        new = NewClick(campaign.id, affiliate.id, clicked_at=clicked_at)
        made = clicks.record(runtime, session, [new] * CLICKS)
        key = base64.b64decode(secret.value.removeprefix("whsec_"))
        return Scene(source.id, secret.id, tuple(click.click_id for click in made), campaign.id, affiliate.id, key)
