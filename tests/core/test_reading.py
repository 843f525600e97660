"""Requests that no schema can judge: they are refused with a reason, on both databases, and never our fault."""

from collections.abc import Callable

import pytest

from tests.conftest import Caller

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"name": "a\\u0000b"}', "name"),
        (b'{"name": "\\ud800"}', "name"),
        (b'{"payee": {"name": "\\u0000"}}', "payee.name"),
        (b'{"name": 99999999999999999999}', "name"),
        (b'{"name": NaN}', "body"),
        (b'{"name": ' + b"9" * 5000 + b"}", "body"),
        (b"[" * 100_000, "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
    ],
    ids=["nul", "surrogate", "nested", "integer", "nan", "digits", "brackets", "cut", "bytes"],
)
def test_a_body_that_could_not_be_kept_is_refused_with_its_place(machine: Caller, body: bytes, field: str) -> None:
    answer = machine.post("/api/v1/affiliates", data=body, headers=JSON)

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json["errors"]] == [field]


@pytest.mark.parametrize("path", ["/api/v1/payouts?affiliate_id=%00", "/api/v1/accruals?conversion_id=a%00b"])
def test_a_query_with_a_nul_is_refused(machine: Caller, path: str) -> None:
    assert machine.get(path).status_code == 422


def test_rules_with_a_nul_are_refused_where_it_stands(machine: Caller) -> None:
    rule = {"id": "r", "when": {"event": {"eq": "\0"}}, "category": {}}

    answer = machine.post("/api/v1/category-rulesets", {"rules": [rule]})

    assert [fault["field"] for fault in answer.json["errors"]] == ["rules.0.when.event.eq"]


def test_a_version_no_column_holds_is_not_found(machine: Caller) -> None:
    assert machine.get("/api/v1/category-rulesets/99999999999999999999").status_code == 404


def test_a_number_no_database_holds_is_no_cursor(sign_in: Callable[..., Caller]) -> None:
    assert sign_in("auditor").get("/api/v1/audit?after=99999999999999999999").status_code == 422
