"""Puts the pages together: their blueprints and what templates may call."""

import json
from typing import Any

import flask

from core import money
from web.pages import (
    advertiser_lists,
    affiliates,
    approval_acts,
    approvals,
    audit_log,
    batches,
    conversions,
    discrepancies,
    imports,
    match_review,
    month_end,
    passkeys,
    payouts,
    people,
    receipts,
    remittances,
    report_schedules,
    reports,
    rules,
    session,
    set_up_lists,
    sign_on,
    sources,
    today,
    words,
    zones,
)
from web.pages.sums_in_words import in_words


def register(app: flask.Flask) -> None:
    """Add the pages to `app`."""
    for blueprint in (
        session.blueprint,
        today.blueprint,
        affiliates.blueprint,
        discrepancies.blueprint,
        imports.blueprint,
        audit_log.blueprint,
        people.blueprint,
        passkeys.blueprint,
        rules.blueprint,
        match_review.blueprint,
        receipts.blueprint,
        sources.blueprint,
        approval_acts.blueprint,
        approvals.blueprint,
        batches.blueprint,
        conversions.blueprint,
        month_end.blueprint,
        payouts.blueprint,
        reports.blueprint,
        advertiser_lists.blueprint,
        remittances.blueprint,
        report_schedules.blueprint,
        set_up_lists.blueprint,
        sign_on.blueprint,
    ):
        app.register_blueprint(blueprint)
    app.jinja_env.globals.update(money=money.Money, zone_name=zones.name)
    app.jinja_env.filters.update(
        amount=words.amount,
        amounts=words.amounts,
        day=words.day,
        exact_here=lambda at: words.exact_moment(zones.here(at)),
        exact_moment=words.exact_moment,
        hour=lambda at: f"{zones.here(at):%H:%M}",
        in_words=in_words,
        plain=lambda value: money.to_text(value.amount_minor, value.currency),
        twice=lambda word: (word, word),
        column=_column,
        moment=lambda at: words.moment(zones.here(at)),
        month=words.month,
        of_wire=words.of_wire,
        parts=words.parts,
        pill=words.pill,
        plural=words.plural,
        short_hash=words.short_hash,
        span=words.span,
        tojson_shown=_indented,
        visible=words.visible,
        visible_lines=_visible_lines,
        words=words.words,
        words_first=words.sentence,
    )


def _indented(value: Any) -> str:
    # Not Jinja's tojson: that one escapes for scripts and marks its text as safe; this one is text like any other.
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True)


def _visible_lines(text: str) -> str:
    return "\n".join(words.visible(line) for line in text.split("\n"))


def _column(shown: words.Parts) -> str:
    """Return the class of a money cell whose column has another number of decimals than two."""
    decimals = money.exponent(shown.currency)
    return "" if decimals == len("00") else f" x{decimals}"
