"""Write the golden vectors: one believed request for each preset, computed apart from the code they test.

Only hashlib, hmac and the openssl program are used here. Run it as `python -m tests.postback.make_vectors`.
"""

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

from postback.presets.catalogue import CATALOGUE, Preset

HERE = Path(__file__).parent / "vectors"
URL = "https://clicks.example/postback/src_7Qm2vK9x"
SECRET = "k3y of the network & ours"
OURS = "computed by tests/postback/make_vectors.py with hashlib, hmac and openssl"

BITLABS_URL = "https://publisher.com/complete"
BITLABS_QUERY = "uid=8cc877ee-af19-488d-b28d-216fb866b996&val=500"

BODIES = {
    "rewardful": {
        "object": {
            "id": "39e68c88-d84a-4510-b3b4-43c75016a080", "amount": 3000, "currency": "USD",
            "sale": {"referral": {"id": "e523da29-6157-4aac-b4b5-05b3b7b14fb6"}},
        },
        "event": {"id": "1", "type": "commission.created"},
    },
    "refersion": {
        "id": 10308, "created": "2020-06-08 17:35:06", "status": "PENDING", "total": "59.00",
        "commission_total": "5.90", "currency": "USD",
    },
    "partnero": {"event": "transaction.created", "data": {"key": "txn_1"}},
    "dub": {
        "id": "evt_KleiO4HBwZFbO1vZLWIPZ2AtX", "event": "sale.created", "createdAt": "2024-08-26T16:41:52.346Z",
        "data": {"click": {"id": "c1"}, "sale": {"amount": 4500, "currency": "usd"}},
    },
    "adgem_v3": {
        "request_id": "r1", "transaction_id": "t1", "player_id": "p1", "payout": 1.25, "amount": 1250,
        "conversion_type": "reward",
    },
    "hotmart": {
        "id": "e1", "event": "PURCHASE_APPROVED", "version": "2.0.0",
        "data": {
            "purchase": {
                "transaction": "HP1", "price": {"value": 150.5, "currency_value": "BRL"}, "origin": {"sck": "c1"},
            },
        },
    },
}  # fmt: skip


def md5(text: str) -> str:
    """MD5 in hexadecimal."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def mac(algorithm: str, text: str, secret: str = SECRET) -> bytes:
    """HMAC of a text."""
    return hmac.new(secret.encode(), text.encode(), algorithm).digest()


def vector(
    preset: Preset, *, query: str = "", body: str = "", headers: dict[str, str] | None = None,
    secret: str = SECRET, url: str = URL, origin: str = OURS, source_url: str | None = None,
) -> dict[str, object]:  # fmt: skip
    """One vector as it is written."""
    return {
        "secret": secret,
        "request": {"method": preset.method, "url": url, "query": query, "body": body, "headers": headers or {}},
        "believed": True,
        "source_url": source_url or preset.docs,
        "origin": origin,
    }


def digistore() -> str:
    """A signed form, with an equals sign, an ampersand and an empty value."""
    fields = {
        "event": "on_payment", "transaction_id": "72318", "custom": "click=1&2", "currency": "EUR",
        "amount_brutto": "47.00", "api_mode": "test", "Zone": "x", "address_street2": "",
    }  # fmt: skip
    hashed = "".join(f"{name}={fields[name]}{SECRET}" for name in sorted(fields) if fields[name])
    return urlencode({**fields, "sha_sign": hashlib.sha512(hashed.encode()).hexdigest().upper()})


def clickbank() -> str:
    """An encrypted notification, made by openssl."""
    text = (
        '{"transactionTime":"2016-06-05T13:47:51-06:00","receipt":"CWOGBZLN","transactionType":"SALE",'
        '"totalAccountAmount":15.25,"currency":"USD","trackingCodes":["click1"]}'
    )
    key = hashlib.sha1(SECRET[:16].encode(), usedforsecurity=False).hexdigest()[:32].encode().hex()
    vector_bytes = bytes(range(16))
    sealed = subprocess.run(
        ["openssl", "enc", "-aes-256-cbc", "-K", key, "-iv", vector_bytes.hex()],
        input=text.encode(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    return json.dumps(
        {"notification": base64.b64encode(sealed).decode(), "iv": base64.b64encode(vector_bytes).decode()}
    )


def vendor_queries() -> dict[str, str]:
    """Signed queries of the networks that hash some values in a row."""
    lootably = hashlib.sha256(f"user 1203.0.113.50.0110{SECRET}".encode()).hexdigest()
    pubscale = {
        "user_id": "30356439-8d15-4f47-B133-010a37C19eBD", "value": "100.1234",
        "token": "525a5B8e-512b-441A-a10B-72d218c370e5",
    }  # fmt: skip
    pubscale_hash = md5(f"fa072672-d432-11c4-885a-EB1CdEc4Bb13.{pubscale['user_id']}.100.{pubscale['token']}")
    pollfish = base64.b64encode(mac("sha1", "30:click:1:1463152452308:08f31d41")).decode()
    sub_id = urlencode(
        {
            "subId": "click 1", "transId": "XX-1", "payout": "1.00", "reward": "500", "status": "1",
            "signature": md5(f"click 1XX-1500{SECRET}"),
        }
    )  # fmt: skip
    return {
        "cpx": "user_id=click1&trans_id=12-34&amount_usd=0.55&subid_1=a&subid_2=b&status=1&type=complete&hash="
        + md5(f"12-34-{SECRET}"),
        "torox": "user_id=click-1&id=9&payout=0.70&amount=70&oid=123&sig=" + md5(f"123-click-1-{SECRET}"),
        "lootably": f"user_id=user%201&transaction_id=t1&payout=0.01&reward=10&status=1&ip=203.0.113.5&hash={lootably}",
        "pubscale": urlencode({**pubscale, "signature": pubscale_hash}),
        "tapjoy": "&snuid=user%3A42&currency=50&mac_address=00-16-41-34-2C-A6&id=abc&verifier="
        + md5(f"abc:user:42:50:{SECRET}"),
        "levelplay": "appUserId=123%40abc.com&eventId=e77&rewards=5&timestamp=202611241530&signature="
        + md5(f"202611241530e77123@abc.com5{SECRET}"),
        "pollfish": "request_uuid=click%3A1&tx_id=08f31d41&cpa=30&timestamp=1463152452308&debug=false&signature="
        + quote(pollfish, safe=""),
        "wannads_legacy": sub_id,
        "revtoo": sub_id,
    }


def address_queries() -> dict[str, str]:
    """Signed queries of the networks that sign the address they call."""
    adgem = "player_id=click%201&transaction_id=t%2F1&payout=1.25&amount=1250&request_id=r1&timestamp=1700000000"
    makemoney = "user_id=click%201&transaction_id=t1&payout=0.50&amount=50"
    return {
        "adgem": f"{adgem}&verifier={mac('sha256', f'{URL}?{adgem}').hex()}",
        "makemoney_signed": f"{makemoney}&hash={mac('sha1', f'{URL}?{makemoney}').hex()}",
    }


def ayet(preset: Preset) -> dict[str, object]:
    """A query whose order and encoding are not those that are signed."""
    fields = {
        "transaction_id": "t-1", "external_identifier": "click 1", "payout_usd": "1.5", "currency_amount": "1500",
        "is_chargeback": "0", "callback_ts": "1700000000", "offer_name": "Play ~ & win", "empty": "",
    }  # fmt: skip
    encoded = [(name, quote_plus(value).replace("~", "%7E")) for name, value in sorted(fields.items())]
    signed = "&".join(f"{name}={value}" for name, value in encoded)
    sent = "&".join(f"{name}={quote(value, safe='~')}" for name, value in fields.items())
    return vector(preset, query=sent, headers={"x-ayetstudios-security-hash": mac("sha256", signed).hex()})


def body_vector(preset: Preset, body: str) -> dict[str, object]:
    """A body signed in a header."""
    digest = mac("sha256", body)
    encoded = digest.hex() if preset.verifier["encoding"] == "hex" else base64.b64encode(digest).decode()
    return vector(preset, body=body, headers={str(preset.verifier["header"]).lower(): encoded})


def token_vector(preset: Preset) -> dict[str, object]:
    """A query with each parameter of ours and the token."""
    query = {name: f"v{position}" for position, name in enumerate(sorted({*preset.parameters.values()}))}
    return vector(preset, query=urlencode({**query, str(preset.verifier["parameter"]): SECRET}))


def published(preset: Preset) -> dict[str, object]:
    """What a vendor has published as its own example: facts, quoted."""
    if preset.name == "bitlabs":
        return vector(
            preset, query=f"{BITLABS_QUERY}&hash=dbcd6bb8ca677344592842a52b4fca9bec36cd4b", url=BITLABS_URL,
            secret="JLOIAUNMHFli7ZJOQVEzm98rzqnm9", origin="published by BitLabs as its example, hash and all",
        )  # fmt: skip
    return vector(
        preset, query=vendor_queries()["pubscale"], secret="fa072672-d432-11c4-885a-EB1CdEc4Bb13",
        origin="values published by PubScale as its example; the hash computed from its final format",
    )  # fmt: skip


def made(preset: Preset) -> dict[str, object]:
    """Return the vector of one preset."""
    by_kind: dict[str, Callable[[Preset], dict[str, object]]] = {
        "token": token_vector,
        "body1": lambda preset: body_vector(preset, json.dumps(BODIES[preset.name])),
        "digistore24": lambda preset: vector(preset, body=digistore()),
        "clickbank": lambda preset: vector(preset, body=clickbank(), secret=SECRET[:16]),
        "hotmart": lambda preset: vector(
            preset, body=json.dumps(BODIES["hotmart"]), headers={"x-hotmart-hottok": SECRET}
        ),
        "ayet": ayet,
    }
    if preset.name in {"bitlabs", "pubscale"}:
        return published(preset)
    if preset.kind in by_kind:
        return by_kind[preset.kind](preset)
    return vector(preset, query=(vendor_queries() | address_queries())[preset.name])


def main() -> None:
    """Write every vector."""
    for preset in CATALOGUE.values():
        path = HERE / f"{preset.name}.json"
        path.write_text(json.dumps(made(preset), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
