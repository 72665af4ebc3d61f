"""One library, one home: replacing a library must be a change to one package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "proxy" / "sottovoce"

HOMES = {
    "OpenSSL": {"transport"},
    "aioquic": {"transport"},
    "click": {"cli"},
    "cryptography": {"primitives", "pki", "transport"},  # pyOpenSSL takes its objects
    "hypercorn": {"admin"},
    "joserfc": {"identity"},
    "nacl": {"primitives"},
    "oqs": {"primitives"},
    "pkcs11": {"hsm"},
    "prometheus_client": {"observe"},
    "rich": {"cli"},
    "shamir_mnemonic": {"hsm"},
    "starlette": {"admin"},
    "structlog": {"observe"},
    "trio_websocket": {"relay"},
    "websockets": {"transport"},
}


def imported_libraries(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_finds_every_form_of_import() -> None:
    source = "import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef i():\n    import j\n"
    assert list(imported_libraries(source)) == ["a", "c", "e", "j"]


@pytest.mark.parametrize("library", HOMES)
def test_library_stays_at_home(library: str) -> None:
    strays = [
        str(path.relative_to(PACKAGE))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in HOMES[library]
        and library in imported_libraries(path.read_text(encoding="utf-8"))
    ]
    assert strays == []


def test_the_package_itself_imports_nothing() -> None:
    assert list(imported_libraries((PACKAGE / "__init__.py").read_text(encoding="utf-8"))) == []
