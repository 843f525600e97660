"""Tables of who works here: staff, their sessions, API tokens."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from core.database import Base, Id, Json


class Staff(Base):
    """A human being who signs in. `roles` is a sorted list of role names (access/roles.py)."""

    __tablename__ = "staff"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    roles: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class StaffSession(Base):
    """A signed-in browser. Only the SHA-256 of its cookie is kept."""

    __tablename__ = "staff_sessions"

    token_sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    csrf_token: Mapped[str] = mapped_column(sa.String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    stepped_up_at: Mapped[datetime | None]  # when it last showed a second factor


class ApiToken(Base):
    """A machine's key, `clk_<id>_<32 bytes>`; only its SHA-256 is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(100))
    token_sha256: Mapped[str] = mapped_column(sa.String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SecondFactor(Base):
    """A person's TOTP seed, sealed. It counts once it is confirmed; a time step is taken once."""

    __tablename__ = "second_factors"

    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    sealed_seed: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    last_step: Mapped[int] = mapped_column(sa.BigInteger, server_default=sa.text("0"))


class RecoveryCode(Base):
    """A code for when the second factor is lost, good once. Only its HMAC is kept."""

    __tablename__ = "recovery_codes"

    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    code_hmac: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    used_at: Mapped[datetime | None]


class Passkey(Base):
    """A credential of a person's device: its public key, and how often it said it has signed."""

    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    name: Mapped[str] = mapped_column(sa.String(60))
    credential_sha256: Mapped[str] = mapped_column(sa.String(64), unique=True)
    credential: Mapped[bytes] = mapped_column(sa.LargeBinary)  # WebAuthn's attested credential data
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)  # 0 of devices that do not count
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class TakenChallenge(Base):
    """A challenge that was answered, kept until it would be over anyway."""

    __tablename__ = "taken_challenges"

    sha256: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    until: Mapped[datetime] = mapped_column(index=True)


class StaffIdentity(Base):
    """Who a person is at a provider of single sign-on: one of them there, for good."""

    __tablename__ = "staff_identities"

    issuer: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    subject: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), index=True)
    bound_at: Mapped[datetime]

    __table_args__ = (sa.UniqueConstraint("issuer", "staff_id"),)


class SignInFailures(Base):
    """How often signing in failed of late, under a key of account and address."""

    __tablename__ = "sign_in_failures"

    key: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    failures: Mapped[int] = mapped_column(sa.Integer)
    last_at: Mapped[datetime]


class GroupMember(Base):
    """One person in one group; a group is there while it has a member."""

    __tablename__ = "staff_group_members"

    group_name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    staff_id: Mapped[str] = mapped_column(sa.ForeignKey("staff.id"), primary_key=True)
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(sa.String(120))
