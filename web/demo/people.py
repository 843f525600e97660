"""The people of the demo and the machine's token: made as the command line makes them, in the database."""

import secrets
from dataclasses import dataclass, field

import sqlalchemy as sa

from access import people, tokens
from access.models import Staff
from access.roles import ALL_MACHINE
from core.actors import system
from core.runtime import Runtime
from partners.models import Source
from web.demo.account import Account
from web.demo.cast import Cast
from web.demo.client import Client

BY = system("demo")


@dataclass(frozen=True)
class Login:
    """How one person signs in."""

    name: str
    email: str
    roles: tuple[str, ...]
    password: str = field(repr=False)


@dataclass(frozen=True)
class People:
    """Everyone of the demo."""

    logins: tuple[Login, ...]
    token: str = field(repr=False)


WHO = (
    ("Ada", ("admin",)),
    ("Bob", ("admin", "auditor")),
    ("Cleo", ("finance",)),
    ("Mia", ("manager",)),
    ("Dan", ("finance",)),
)


def is_empty(engine: sa.Engine) -> bool:
    """Say whether the database holds no staff and no source; one without tables is empty."""
    inspector = sa.inspect(engine)
    tables = [table for table in (Staff, Source) if inspector.has_table(table.__tablename__)]
    with engine.connect() as connection:
        return not any(connection.scalar(sa.select(sa.literal(1)).select_from(table).limit(1)) for table in tables)


def create(runtime: Runtime) -> People:
    """Make everyone, with a password of this run alone, and the machine's token."""
    # One for all, for whoever tries the console; never the same twice, for the server may be seen by others.
    password = f"demo-{secrets.token_hex(6)}"
    logins = tuple(Login(name, f"{name.lower()}@example.com", roles, password) for name, roles in WHO)
    with runtime.transaction() as session:
        for login in logins:
            people.create(
                runtime, session, email=login.email, roles=list(login.roles), password=login.password, actor=BY
            )
        token = tokens.create(runtime, session, name="demo", scopes=[ALL_MACHINE], days=1, actor=BY)
    return People(logins, token.value)


def signed_in(everyone: People, url: str, account: Account) -> Cast:
    """Sign everyone in over HTTP."""
    with account.chapter("people") as said:
        ada, bob, cleo, mia, dan = (
            Client.signed_in(url, login.name, login.email, login.password) for login in everyone.logins
        )
        said.append(", ".join(f"{login.name} ({' and '.join(login.roles)})" for login in everyone.logins))
    return Cast(
        machine=Client.with_token(url, everyone.token),
        admin=ada,
        second_admin=bob,
        finance=cleo,
        manager=mia,
        second_finance=dan,
        visitor=Client(url, "a visitor"),
    )
