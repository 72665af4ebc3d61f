"""The names a TLS leaf may carry."""

import pytest
from cryptography import x509

from sottovoce.pki import LeafRefused, general_names


def test_hosts_and_addresses_become_what_they_are() -> None:
    names = general_names(("Voice.Example.com", "*.example.com", "xn--bcher-kva.example", "127.0.0.1", "::1", "a"))
    assert [type(name) for name in names] == [x509.DNSName] * 3 + [x509.IPAddress] * 2 + [x509.DNSName]
    assert [str(name.value) for name in names] == [
        "voice.example.com",
        "*.example.com",
        "xn--bcher-kva.example",
        "127.0.0.1",
        "::1",
        "a",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "*",
        "*.",
        "a.*.example",
        "*.*.example",
        "bücher.example",
        "voice.example.com:8443",
        "[::1]",
        "https://voice.example.com",
        "a..b",
        ".a",
        "a.",
        "-a.example",
        "a-.example",
        "a\x00.example",
        "a\n",
        "1.2.3",
        "0x7f.1",
        "127.1",
        "x" * 64,
        ".".join(["x" * 60] * 5),
    ],
)
def test_anything_that_could_be_read_in_two_ways_is_refused(name: str) -> None:
    with pytest.raises(LeafRefused, match="is no host name or IP address: write names as A-labels"):
        general_names((name,))


@pytest.mark.parametrize("names", [(), ("a", "a"), tuple(f"n{number}" for number in range(65))])
def test_too_few_too_many_or_double_names_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(LeafRefused, match="takes 1 to 64 names, each once"):
        general_names(names)
