"""POST /postback/<source_id>: Standard Webhooks, with its own library as the sender."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.conftest import START, Answer, TestClock
from tests.postback.conftest import Network, Stored, Trade

TOLD = {"click_id": "CLICK-1", "transaction_id": "TXN789", "payout": "0.50", "currency": "GBP"}


@pytest.fixture
def sender(new_network: Callable[..., Network]) -> Network:
    """An sw1 source's network."""
    return new_network(scheme="sw1")


def body_of(**changes: object) -> str:
    return json.dumps({**TOLD, **changes})


def headers_of(sender: Network, body: str, *, message_id: str = "msg_1", at: Any = START) -> dict[str, str]:
    """Sign with PyPI's standardwebhooks, which shares no line with us."""
    signature = Webhook(base64.b64encode(sender.key).decode()).sign(message_id, at, body)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def post(sender: Network, body: str, headers: Mapping[str, str], query: str = "") -> Answer:
    return sender.fire(query, method="POST", data=body.encode(), headers=headers)


def test_a_postback_signed_by_the_standards_own_library_is_recorded_and_repeats_are_duplicates(
    sender: Network, trade: Trade, stored: Stored
) -> None:
    trade.click("CLICK-1")
    body = body_of(payout=0.5, note={"deep": [1]})

    first = post(sender, body, headers_of(sender, body))
    again = post(sender, body, headers_of(sender, body))
    as_new_message = post(sender, body_of(), headers_of(sender, body_of(), message_id="msg_2"))

    assert (first.status_code, first.json["status"]) == (200, "accepted")
    assert again.json == as_new_message.json == {**first.json, "status": "duplicate"}
    receipt = next(each for each in stored.receipts() if each.id == first.json["receipt_id"])
    assert receipt.signature_headers["webhook-id"] == "msg_1"
    assert (receipt.assurance, receipt.raw_body.decode()) == ("A", body)
    assert receipt.covered_fields == ["click_id", "currency", "note", "payout", "transaction_id"]


def test_every_tampered_variant_is_refused_with_its_reason_and_the_one_body(
    sender: Network, stored: Stored, clock: TestClock
) -> None:
    body = body_of()
    good = headers_of(sender, body)
    other = headers_of(sender, body, message_id="msg_2")
    future = START.replace(minute=2, second=1)

    def post_next(*arguments: Any) -> Answer:
        clock.advance(milliseconds=1)  # receipts are numbered by their time
        return post(*arguments)

    def without(name: str) -> dict[str, str]:
        return {each: value for each, value in good.items() if each != name}

    answers = [
        post_next(sender, body_of(payout="9.50"), good),
        post_next(sender, body + " ", good),
        post_next(sender, body, {**good, "webhook-id": "msg_2"}),
        post_next(sender, body, {**good, "webhook-timestamp": str(int(START.timestamp()) + 1)}),
        post_next(sender, body, {**good, "webhook-signature": other["webhook-signature"]}),
        post_next(sender, body, {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}),
        post_next(sender, body, {**good, "webhook-signature": good["webhook-signature"].rstrip("=")}),
        post_next(
            sender, body, {**good, "webhook-signature": " ".join(["v1,AAAA"] * 10 + [good["webhook-signature"]])}
        ),
        post_next(sender, body, {**good, "webhook-signature": "v1,é"}),
        *(post_next(sender, body, without(name)) for name in good),
        post_next(sender, body, headers_of(sender, body, at=future)),
    ]
    clock.advance(milliseconds=1)
    answers.append(sender.fire(sender.signed()))

    assert {(a.status_code, a.data) for a in answers} == {(401, b'{"status": "unauthorised"}')}
    assert stored.reasons() == (
        ["bad_signature"] * 5 + ["signature_malformed"] * 4 + ["signature_missing"] * 3
        + ["from_the_future", "wrong_method"]
    )  # fmt: skip
    assert stored.conversions() == []


def test_one_good_signature_among_others_is_enough(sender: Network) -> None:
    body = body_of()
    good = headers_of(sender, body)
    several = f"v1a,abc v1,{base64.b64encode(bytes(32)).decode()} {good['webhook-signature']}"

    assert post(sender, body, {**good, "webhook-signature": several}).status_code == 200


def test_what_stands_in_the_unsigned_query_is_not_read(sender: Network, stored: Stored) -> None:
    body = json.dumps({name: value for name, value in TOLD.items() if name != "payout"})

    answer = post(sender, body, headers_of(sender, body), query="payout=99.00&transaction_id=OTHER")

    assert answer.status_code == 200
    [conversion] = stored.conversions()
    assert (conversion.payout_minor, conversion.transaction_id) == (None, "TXN789")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("[]", ["body"]),
        ('{"payout": "1", "payout": "2"}', ["payout"]),
        (body_of(payout=[1], click_id=None), ["payout", "click_id"]),
        (body_of(payout=0.123), ["payout"]),
        (body_of(transaction_id="a\u0000b"), ["transaction_id"]),
    ],
)
def test_a_signed_body_that_says_nothing_valid_hears_why(sender: Network, body: str, fields: list[str]) -> None:
    answer = post(sender, body, headers_of(sender, body))

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json["errors"]] == fields


def test_a_stale_message_is_held(sender: Network, stored: Stored, clock: TestClock) -> None:
    body = body_of()
    headers = headers_of(sender, body)
    clock.advance(seconds=1801)

    answer = post(sender, body, headers)

    assert (answer.status_code, answer.json["status"]) == (202, "held_late")
    assert stored.conversions()[0].hold_reason == "late"


def test_a_body_needs_a_length_and_at_most_64_kibibytes(sender: Network, stored: Stored) -> None:
    body = body_of(note="x" * 64 * 1024)
    largest = body_of(note="")
    largest = body_of(note="x" * (64 * 1024 - len(largest)))

    def code(text: str, **environ: str) -> tuple[int, Any]:
        answer = sender.fire(
            "", method="POST", data=text.encode(), headers=headers_of(sender, text), environ_overrides=environ
        )
        return answer.status_code, answer.json["status"]

    assert code(body_of(), CONTENT_LENGTH="") == (411, "length_required")
    assert code(body_of(), CONTENT_LENGTH="-1") == (411, "length_required")
    assert code(body_of(), HTTP_TRANSFER_ENCODING="chunked") == (411, "length_required")
    assert code(body) == (413, "too_large")
    assert code(body_of(), CONTENT_LENGTH="0" * 9 + "99999") == (413, "too_large")
    assert stored.receipts() == []
    assert code(largest)[0] == 200
