"""Which destinations a campaign may have."""

import pytest

from partners.placeholders import faults


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/?cid={click_id}",
        "http://shop.example:8080/in/{click_id}/{affiliate_id}?a={sub1}&b={sub5}#x",
        "https://[2001:db8::1]/?cid={click_id}",
        "https://shop.example",
    ],
)
def test_a_destination_that_holds_has_no_fault(url: str) -> None:
    assert faults(url) == []


@pytest.mark.parametrize(
    ("url", "reasons"),
    [
        ("javascript:alert(1)", ["begins with http:// or https://", "names no host"]),
        ("ftp://user@shop.example/", ["begins with http:// or https://", "carries a user name or password"]),
        ("https://shop.example:port/", ["is no URL"]),
        ("https://[::1/", ["is no URL"]),
        ("https://shop.example/a b", ["takes at most"]),
        ("https://shop.example/\r\nSet-Cookie:x", ["takes at most"]),
        ("https://shop.example\\@evil.example/", ["takes at most"]),
        ("https://münchen.example/", ["takes at most"]),
        ("https://shop.example/?" + "a" * 2000, ["takes at most"]),
        ("https://a.example/?a={sub6}&b={cid}", ["has the unknown placeholder"] * 2),
        ("https://shop.example/?a={{click_id}}", ["has a brace"]),
        ("https://shop.example/?a={Click_Id}", ["has a brace"]),
        ("https://{click_id}.example/", ["has a placeholder in its host"]),
        ("https://shop.example/{sub1}", ["has a sub in its path"]),
    ],
)  # fmt: skip
def test_every_fault_of_a_destination_is_named(url: str, reasons: list[str]) -> None:
    found = faults(url)

    assert [fault.field for fault in found] == ["destination_url"] * len(reasons)
    for fault, reason in zip(found, reasons, strict=True):
        assert fault.reason.startswith(reason)
