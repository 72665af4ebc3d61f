"""The tables of docs/hsm-vendors.md, made from the rows.  `python -m tests.hsm.vendors.page` writes them anew."""

import re
from pathlib import Path

from sottovoce.hsm.vendors import PROFILES, TEMPLATES, Fact, PinRule, VendorProfile, template_text

PAGE = Path(__file__).parents[3] / "docs/hsm-vendors.md"
_COLUMNS = {
    "libraries": "library",
    "settings": "where its settings are",
    "pin": "PIN",
    "max_sessions": "sessions",
    "idle_seconds": "drops an idle session after",
    "key_wrap": "AES key wrap (RFC 3394)",
    "key_wrap_padded": "with padding (RFC 5649)",
    "gcm_nonce": "nonce of AES-GCM",
    "quirk": "to know",
}
_ANY_LENGTH = (PinRule().min_bytes, PinRule().max_bytes)
_between = re.compile(r"(<!-- (\w+) -->\n).*?(\n<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """Give the page with everything that is generated in it as it has to be."""
    parts = {
        "vendors": "\n\n".join(map(_section, PROFILES.values())),
        **{name: f"```text\n{template_text(template)}```" for name, template in TEMPLATES.items()},
    }
    return _between.sub(lambda found: f"{found[1]}{parts[found[2]]}{found[3]}", text)


def _section(row: VendorProfile) -> str:
    lines = [
        f"### {row.vendor}",
        "",
        f"{row.product}. The library was {'run' if row.mark == 'run' else 'never run here'}.",
        "",
    ]
    lines += ["| | | known from |", "|---|---|---|"]
    lines += [f"| {_COLUMNS[name]} | {_value(name, fact)} | {fact.mark}: {fact.source} |" for name, fact in row.facts]
    if row.uncertified:
        lines.append(f"| security level | none may be asserted: {row.uncertified} | |")
    return "\n".join(lines)


def _value(name: str, fact: Fact[object]) -> str:
    match name, fact.value:
        case _, None:
            return "not told"
        case "libraries", tuple(places):
            return "<br>".join(f"`{place}`" for place in places)
        case "pin", PinRule() as rule:
            length = (rule.min_bytes, rule.max_bytes)
            return str(rule.form) if length == _ANY_LENGTH else f"{rule.form}, {length[0]} to {length[1]} bytes"
        case "max_sessions", count:
            return str(count or "as many as wanted")
        case "idle_seconds", count:
            return f"{count} s" if count else "never"
        case "key_wrap" | "key_wrap_padded", int(mechanism):
            return f"`0x{mechanism:X}`" if mechanism else "none"
        case _, value:
            return str(value)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
