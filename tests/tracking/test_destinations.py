"""What a visitor chooses stays in its place of the destination."""

from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from tracking.destinations import filled

TEMPLATE = "https://shop.example/in/{click_id}?a={sub1}&fixed=1&b={sub2}&who={affiliate_id}#end"


def test_every_place_is_filled_and_one_without_a_value_stays_empty() -> None:
    assert filled(TEMPLATE, {"click_id": "abc", "sub1": "x", "affiliate_id": "aff_1"}) == (
        "https://shop.example/in/abc?a=x&fixed=1&b=&who=aff_1#end"
    )


def test_a_value_cannot_begin_another_parameter_or_name_another_place() -> None:
    assert filled("https://shop.example/?a={sub1}", {"sub1": "../1&b=2#{click_id}\r\n", "click_id": "abc"}) == (
        "https://shop.example/?a=..%2F1%26b%3D2%23%7Bclick_id%7D%0D%0A"
    )


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(sub1=TEXT, sub2=TEXT, click_id=st.from_regex(r"[A-Za-z0-9._~-]{1,40}", fullmatch=True))
def test_what_is_filled_in_can_be_read_back(sub1: str, sub2: str, click_id: str) -> None:
    url = urlsplit(filled(TEMPLATE, {"click_id": click_id, "sub1": sub1, "sub2": sub2, "affiliate_id": "aff_1"}))

    assert (url.scheme, url.netloc, url.path, url.fragment) == ("https", "shop.example", f"/in/{click_id}", "end")
    assert parse_qsl(url.query, keep_blank_values=True) == [
        ("a", sub1), ("fixed", "1"), ("b", sub2), ("who", "aff_1"),
    ]  # fmt: skip
