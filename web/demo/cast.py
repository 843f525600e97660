"""Who and what a story is made of."""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from web.demo.account import Account
from web.demo.client import Client, Sender
from web.demo.data import Sample


@dataclass(frozen=True)
class Cast:
    """Who acts: a machine that integrates, two admins, the three who decide about money, and the public."""

    machine: Client
    admin: Client
    second_admin: Client
    finance: Client
    manager: Client
    second_finance: Client
    visitor: Client


@dataclass
class Partners:
    """Who we deal with, as the server knows them; click ids are kept by the number of the click."""

    senders: list[Sender] = field(default_factory=list)
    affiliates: list[str] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)
    click_ids: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """One play: `papers` is the folder for the files that come and go, `today` the day it is played."""

    account: Account
    cast: Cast
    sample: Sample
    papers: Path
    today: date
    partners: Partners = field(default_factory=Partners)
