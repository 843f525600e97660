"""The examples of docs/postback-signing.md run, and sign as the published vectors say."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parent.parent / "docs" / "postback-signing.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|php|javascript|sh)\n(.*?)```", DOCUMENT, re.DOTALL)
INTERPRETERS = {"python": [sys.executable, "-"], "php": ["php"], "javascript": ["node", "-"], "sh": ["sh"]}
PB1 = (
    "click_id=ABC123&transaction_id=TXN789&payout=0.50&currency=GBP&ts=1767225600&sig="
    "03ac2d7d6fb18b66671b72a9a84a7d29a8435d6cccf4ab06987c2a9589ccdd0c"
)
SW1 = "v1,kH2qFX9Z8qV60ypL8Zch943o3POjkrsUxIw2UJz4Gqg="


def test_the_document_has_an_example_in_each_language() -> None:
    assert [language for language, _ in BLOCKS] == ["python", "php", "javascript", "sh", "sh"]


@pytest.mark.parametrize(
    ("language", "code"), BLOCKS, ids=[f"{language}-{n}" for n, (language, _) in enumerate(BLOCKS)]
)
def test_an_example_signs_as_the_vector_says(language: str, code: str) -> None:
    command = INTERPRETERS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}: install Debian's php-cli or nodejs")

    printed = subprocess.run(command, input=code, capture_output=True, text=True, check=True, timeout=30).stdout

    assert printed.strip() == (SW1 if "webhook" in code or "msg_" in code else PB1)
