"""The house's order, as far as a program can see it: sizes, transactions in doors, pure decisions, the top level."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("access", "approvals", "core", "ledger", "partners", "payouts", "postback", "reports", "tracking", "web")
TOP_LEVEL = {
    *ROOMS, "forwarding", "migrations", "tests", "bench", "deploy", "docs",
    "wsgi.py", "worker.py", "config.py", "pyproject.toml",
    "README.md", "Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md",
}  # fmt: skip
MODULE_LINES_MAX = 350
FUNCTION_LINES_MAX = 60

# What may open a transaction beside routes.py, jobs.py and commands.py. The intake writer's spans several requests.
DOORS = ("core/", "web/", "postback/writer.py", "worker.py", "migrations/")

# Where decisions stand: import-linter's contract "Decisions are pure" lists them. They may import the standard library,
# three modules of core, what compares texts, and each other, nothing else.
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
PURE = {
    f"{module.replace('.', '/')}.py"
    for contract in CONTRACTS
    if contract["name"].startswith("Decisions are pure")
    for module in contract["source_modules"]
}
PURE_MAY_IMPORT = {"orjson", "rapidfuzz", "core.money", "core.conditions", "core.errors"}
# A network whose proof is that its body decrypts: ciphers are no reach into the world.
MAY_DECRYPT = {"postback/schemes/clickbank.py"}
# A file of one of these names holds decisions, wherever it is added.
DECIDING_NAMES = {
    "allowlist.py", "canonical.py", "categories.py", "deciding.py", "matching.py", "posting.py", "pricing.py",
    "routing.py", "verification.py",
}  # fmt: skip


def tracked() -> list[str]:
    """Paths of the files git knows or would add, that are there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


FILES = tracked()
MODULES = [
    path for path in FILES if path.endswith(".py") and not path.startswith(("tests/", "migrations/versions/", "bench/"))
]


def parsed(path: str) -> ast.Module:
    """The syntax tree of `path`."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), path)


def imports(path: str) -> Iterator[str]:
    """Names of the modules `path` imports, wherever in it."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            # `from core import money` imports core.money.
            is_package = module.partition(".")[0] in ROOMS and (ROOT / module.replace(".", "/")).is_dir()
            yield from (f"{module}.{alias.name}" if is_package else module for alias in node.names)


def attribute_calls(path: str, name: str) -> list[int]:
    """Line numbers in `path` where something's method `name` is called."""
    return [
        node.lineno
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
    ]


def test_no_module_is_too_long_to_read_at_once() -> None:
    lengths = {path: len((ROOT / path).read_text(encoding="utf-8").splitlines()) for path in MODULES}

    assert {path: length for path, length in lengths.items() if length > MODULE_LINES_MAX} == {}


def test_no_function_is_too_long_to_see_at_once() -> None:
    long = [
        f"{path}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_the_runtime_alone_commits() -> None:
    commits = [f"{path}:{line}" for path in MODULES for line in attribute_calls(path, "commit")]

    assert [where for where in commits if not where.startswith("core/runtime.py:")] == []


def test_transactions_open_in_doors_alone() -> None:
    inside = [
        f"{path}:{line}"
        for path in MODULES
        if Path(path).name not in {"routes.py", "jobs.py", "commands.py"} and not path.startswith(DOORS)
        for line in attribute_calls(path, "transaction")
    ]

    assert inside == []


def test_the_doors_and_web_alone_read_the_settings() -> None:
    doors = {"wsgi.py", "worker.py", "config.py", "migrations/env.py", "deploy/gunicorn.conf.py"}
    readers = {path for path in MODULES if "config" in set(imports(path))}

    assert {path for path in readers if path not in doors and not path.startswith("web/")} == set()


def test_every_file_of_decisions_is_under_the_contract() -> None:
    # postback/matching.py is the stage that gives conversions their click; its decision is in attribution.py.
    deciding = {path for path in MODULES if Path(path).name in DECIDING_NAMES} - {"postback/matching.py"}

    assert deciding - PURE == set()
    assert {"core/conditions.py", "core/money.py"} <= PURE


@pytest.mark.parametrize("path", sorted(PURE))
def test_a_decision_imports_nothing_that_reaches_the_world(path: str) -> None:
    foreign = {
        name
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and name not in PURE_MAY_IMPORT
        and f"{name.replace('.', '/')}.py" not in PURE
        and not (path in MAY_DECRYPT and name.startswith("cryptography.hazmat.primitives"))
    }

    assert foreign == set()


def test_the_lock_files_name_no_host() -> None:
    for path in ("deploy/requirements.lock", "deploy/requirements-dev.lock"):
        text = (ROOT / path).read_text(encoding="utf-8")

        assert re.findall(r"://|--index|--find-links|--extra-index", text) == []
        assert "--hash=sha256:" in text


def test_the_top_level_holds_what_the_architecture_lists() -> None:
    top = {path.partition("/")[0] for path in FILES}

    assert {name for name in top if not name.startswith(".")} - TOP_LEVEL == set()


def test_nothing_is_left_to_do_in_the_code() -> None:
    # Brackets, so that this file does not find itself.
    words = re.compile(r"\b(TOD[O]|FIXM[E]|XX[X])\b")
    found = [
        f"{path}:{number}"
        for path in FILES
        if path.endswith((".py", ".html", ".js", ".css", ".md", "Makefile"))
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), 1)
        if words.search(line)
    ]

    assert found == []
