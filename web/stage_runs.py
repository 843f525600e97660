"""The door that wakes a stage now."""

from dataclasses import dataclass

import marshmallow as ma

from access.roles import Role
from core import doorbell
from core.errors import NotFound, Unavailable
from core.http.doors import actors, current_actor
from core.http.endpoints import Blueprint, endpoint
from core.http.wire import Wire
from core.runtime import installed
from web.stages import STAGES

blueprint = Blueprint("stages", __name__, url_prefix="/api/v1", description="Wake a stage of the engine now.")

PERIOD = ma.validate.Regexp(r"^\d{4}-(0[1-9]|1[0-2])$", error="takes a month, such as 2026-10")


@dataclass(frozen=True)
class StageRunOptions:
    """`period` narrows a stage that works on months."""

    period: str | None = None


class StageRunOptionsSchema(Wire):
    """Body of a run; may be empty."""

    shape = StageRunOptions

    period = ma.fields.String(load_default=None, validate=PERIOD)


class StageRunSchema(ma.Schema):
    """The run asked for."""

    run_id = ma.fields.String(required=True)


@endpoint(
    blueprint, "POST", "/stages/<name>/runs",
    door=actors(Role.ADMIN, Role.FINANCE, scope="stages:run"),
    body=StageRunOptionsSchema(), answers=StageRunSchema, status=202, transaction=False,
)  # fmt: skip
def run_stage(name: str, body: StageRunOptions) -> dict[str, str]:
    """Ring for the stage; rings for the same stage and options melt into one while it waits."""
    stage = STAGES.get(name)
    if stage is None:
        message = f"there is no stage {name}; these there are: {', '.join(STAGES)}"
        raise NotFound(message)
    options = {"period": body.period} if body.period and stage.takes_period else {}
    if stage.takes_period:
        # Who asked becomes the creator of what the stage makes: nobody approves what he created.
        options["asked_by"] = current_actor().id
    job_id = doorbell.ring(installed().redis, name, options)
    if job_id is None:
        message = "the queue does not answer; the periodic ring will wake the stage when it is back"
        raise Unavailable(message)
    return {"run_id": job_id}
