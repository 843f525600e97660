"""How matches, the words about them, and aliases travel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from core.http.wire import Amount, Moment, PageQuerySchema, Text, Wire
from reports.match_act_queries import AliasQuery, EventQuery
from reports.match_acts import ITEMS_MAX, NewMatch, Said
from reports.match_judging import GROUPS_MAX, Verdict
from reports.matching import Leg

REASON_LENGTH_MAX = 2000
_ID = ma.validate.Length(1, 40)
_REASON = [ma.validate.Length(1, REASON_LENGTH_MAX), ma.validate.Regexp(r".*\S", error="is needed")]
_VERSION = {"description": "the number of words about the group that were shown; without it, however many there are"}


def _reason() -> Text:
    return Text(required=True, validate=_REASON)


def _version() -> ma.fields.Integer:
    return ma.fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=ma.validate.Range(0), metadata=_VERSION
    )


def _ids(most: int, *, least: int = 1, required: bool = True) -> Any:
    ids = Text(validate=_ID)
    if required:
        return ma.fields.List(ids, required=True, validate=ma.validate.Length(least, most))
    return ma.fields.List(ids, load_default=(), validate=ma.validate.Length(max=most))


class AllocationSchema(Wire):
    """So much of one item of theirs is so much of one of ours; on the leg payout money paid out is positive."""

    shape = Said

    our_id = Text(required=True, validate=_ID)
    their_id = Text(required=True, validate=_ID)
    amount = Amount(required=True)


class NewMatchSchema(Wire):
    """Body of a match by hand. Without `allocations` one side has one item, and all that is left of each is taken."""

    shape = NewMatch

    leg = ma.fields.Enum(
        Leg,
        by_value=True,
        required=True,
        validate=ma.validate.NoneOf([Leg.ADVERTISER], error="takes network, remittance or payout"),
    )
    ours = _ids(ITEMS_MAX)
    theirs = _ids(ITEMS_MAX)
    reason = _reason()
    allocations = ma.fields.List(
        ma.fields.Nested(AllocationSchema, metadata={"description": "in part"}),
        load_default=(),
        validate=ma.validate.Length(max=ITEMS_MAX),
    )


@dataclass(frozen=True)
class Why:
    """A word about a group as it was seen at `version`, and its reason."""

    reason: str
    version: int | None = None


class MatchWordSchema(Wire):
    """Body of a word about a group."""

    shape = Why

    reason = _reason()
    version = _version()


@dataclass(frozen=True)
class Split:
    """What is to leave its group."""

    reason: str
    our_ids: Sequence[str] = ()
    their_ids: Sequence[str] = ()
    version: int | None = None


class MatchSplitSchema(Wire):
    """Body of a split: the edges at the named items leave the group."""

    shape = Split

    reason = _reason()
    our_ids = _ids(ITEMS_MAX, required=False)
    their_ids = _ids(ITEMS_MAX, required=False)
    version = _version()


@dataclass(frozen=True)
class Merge:
    """What is to be put together."""

    group_ids: Sequence[str]
    reason: str


class MatchMergeSchema(Wire):
    """Body of a merge."""

    shape = Merge

    group_ids = _ids(ITEMS_MAX, least=2)
    reason = _reason()


@dataclass(frozen=True)
class Bulk:
    """One word about many suggestions; `count` is how many of them the person saw waiting."""

    verdict: Verdict
    group_ids: Sequence[str]
    count: int
    reason: str


class BulkMatchesSchema(Wire):
    """Body of a word about many suggestions: all of them or none."""

    shape = Bulk

    verdict = ma.fields.Enum(Verdict, by_value=True, required=True)
    group_ids = _ids(GROUPS_MAX)
    count = ma.fields.Integer(required=True, strict=True)
    reason = _reason()


class BulkMatchesDoneSchema(ma.Schema):
    """How many suggestions the word was about; all of them are done."""

    done = ma.fields.Integer(required=True)


class MatchEdgeSchema(ma.Schema):
    """One of ours and one of theirs, how much of each, and theirs minus ours."""

    id = ma.fields.String()
    our_id = ma.fields.String()
    their_id = ma.fields.String()
    ours = Amount()
    theirs = Amount()
    difference = Amount()
    is_whole = ma.fields.Boolean(metadata={"description": "the two are matched with each other alone, and wholly"})
    state = ma.fields.String(metadata={"enum": ["confirmed", "suggested"]})
    matched_by = ma.fields.String()
    score = ma.fields.Integer(allow_none=True)
    made_by = ma.fields.String(allow_none=True, metadata={"description": "a person; null: a pass"})
    created_at = Moment()


class MatchItemSchema(ma.Schema):
    """One item of a side: `left` is what no confirmed match has taken of it, null where the amount was never told."""

    id = ma.fields.String()
    month = ma.fields.String()
    money = Amount(allow_none=True)
    left = Amount(allow_none=True)
    source_id = ma.fields.String(allow_none=True)
    facts = ma.fields.Dict(keys=ma.fields.String())


class ToldEdgeSchema(ma.Schema):
    """An edge as a word about it keeps it."""

    our_id = ma.fields.String()
    their_id = ma.fields.String()
    ours = Amount()
    theirs = Amount()
    state = ma.fields.String()
    matched_by = ma.fields.String()


class MatchEventSchema(ma.Schema):
    """One word of a person about a group: its edges before and after."""

    id = ma.fields.String()
    group_id = ma.fields.String()
    leg = ma.fields.String()
    kind = ma.fields.String(metadata={"enum": ["confirmed", "rejected", "matched", "unmatched", "split", "merged"]})
    actor = ma.fields.String()
    at = Moment()
    reason = ma.fields.String()
    before = ma.fields.List(ma.fields.Nested(ToldEdgeSchema))
    after = ma.fields.List(ma.fields.Nested(ToldEdgeSchema))


class MatchGroupSchema(ma.Schema):
    """A group of edges that were decided together, both sides' items, and what people said about it."""

    id = ma.fields.String()
    leg = ma.fields.String()
    state = ma.fields.String(metadata={"enum": ["confirmed", "suggested", "gone"]})
    difference = Amount(allow_none=True, metadata={"description": "theirs minus ours, over the group"})
    edges = ma.fields.List(ma.fields.Nested(MatchEdgeSchema))
    ours = ma.fields.List(ma.fields.Nested(MatchItemSchema))
    theirs = ma.fields.List(ma.fields.Nested(MatchItemSchema))
    events = ma.fields.List(ma.fields.Nested(MatchEventSchema))
    version = ma.fields.Integer()


class MatchEventQuerySchema(PageQuerySchema):
    """Query of the words about matches."""

    shape = EventQuery

    item = Text(load_default=None, validate=_ID, metadata={"description": "a conversion, payout or line"})
    group_id = Text(load_default=None, validate=_ID)


class MatchAliasQuerySchema(PageQuerySchema):
    """Query of the aliases."""

    shape = AliasQuery

    leg = ma.fields.String(load_default=None, validate=ma.validate.OneOf([leg.value for leg in Leg]))
    meaning = Text(load_default=None, validate=ma.validate.Length(1, 255))
    state = ma.fields.String(load_default="active", validate=ma.validate.OneOf(["active", "dropped"]))


class MatchAliasSchema(ma.Schema):
    """A text that stands for a source, an affiliate or a transaction id on lines of `scope`."""

    id = ma.fields.String()
    leg = ma.fields.String()
    meaning_kind = ma.fields.String(metadata={"enum": ["source", "affiliate", "transaction"]})
    meaning = ma.fields.String()
    alias = ma.fields.String()
    scope = ma.fields.String(metadata={"description": "a source, or an account"})
    learnt_from = ma.fields.String(metadata={"description": "the group of matches"})
    state = ma.fields.String()
    created_at = Moment()
    created_by = ma.fields.String()
