"""Files that are there whole or not at all, also after a power cut."""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def whole(path: Path, fill: Callable[[Path], None]) -> tuple[int, str]:
    """Have `fill` write a temporary file, bring it to the disk and then under its name; return its size and SHA-256.

    Only its owner may read it: reports name people and amounts.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    temporary.touch(mode=0o600, exist_ok=False)
    try:
        fill(temporary)
        digest, size_bytes = hashlib.sha256(), 0
        with temporary.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
                size_bytes += len(chunk)
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)
    return size_bytes, digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    # The new name is on the disk once its folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
