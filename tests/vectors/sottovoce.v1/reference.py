"""A second implementation of the secrets of `sottovoce.v1`, written from docs/protocol.md alone.

It is for comparing, not for use: plain Python, `hashlib` and `hmac` only, every value kept and named, nothing wiped.
It shares no line with `proxy/` and imports nothing of it.  It has no AEAD (the standard library has none), so it ends
at keys, nonces and associated data; whole records stand in kat.json.

`python tests/vectors/sottovoce.v1/reference.py` prints intermediate.json.
"""

import hashlib
import hmac
import json
import sys

Named = dict[str, str]
"""Name to hex."""
Log = dict[str, bytes]

CLIENT_HELLO, SERVER_HELLO, HELLO_RETRY, SERVER_PARAMS, SERVER_CERTIFICATE, SERVER_VERIFY = 1, 2, 3, 4, 5, 6
SERVER_FINISHED, CLIENT_PARAMS, CLIENT_CREDENTIAL, CLIENT_FINISHED, REKEY_INIT, REKEY_RESPONSE = 7, 8, 9, 11, 12, 13
SUITE_AES, SUITE_CHACHA = 0x0005, 0xF001
ZEROS = bytes(48)


# Encodings (§2, §3)


def u(number: int, size: int) -> bytes:
    """An unsigned integer, big endian."""
    return number.to_bytes(size, "big")


def message(kind: int, **tlvs: bytes) -> bytes:
    """`type u8 || length u24 || TLVs`; a keyword t5=… is tag 5."""
    body = b""
    for tag, value in sorted((int(name[1:]), value) for name, value in tlvs.items()):
        body += u(tag, 1) + u(len(value), 2) + value
    return u(kind, 1) + u(len(body), 3) + body


def prologue(binding_type: int, binding: bytes, authority: bytes, path: bytes) -> bytes:
    """§4."""
    out = b"sottovoce.v1 prologue" + u(binding_type, 1)
    for part in (binding, authority, path):
        out += u(len(part), 2) + part
    return out


# SHA-384 and HKDF-SHA-384 (§5)


def sha384(data: bytes) -> bytes:
    """H."""
    return hashlib.sha384(data).digest()


def mac(key: bytes, data: bytes, name: str = "sha384") -> bytes:
    """HMAC."""
    return hmac.new(key, data, name).digest()


def extract(salt: bytes, ikm: bytes, name: str = "sha384") -> bytes:
    """HKDF-Extract, RFC 5869 §2.2."""
    return mac(salt or bytes(hashlib.new(name).digest_size), ikm, name)


def expand(prk: bytes, info: bytes, size: int, name: str = "sha384") -> bytes:
    """HKDF-Expand, RFC 5869 §2.3."""
    out = block = b""
    counter = 1
    while len(out) < size:
        block = mac(prk, block + info + bytes([counter]), name)
        out += block
        counter += 1
    return out[:size]


def hl(secret: bytes, label: str, context: bytes, size: int) -> bytes:
    """HL of §5."""
    name = b"svp1 " + label.encode("ascii")
    return expand(secret, u(size, 2) + u(len(name), 1) + name + u(len(context), 1) + context, size)


# SFrame (§8, RFC 9605 §4.4)


def kid(epoch: int, generation: int) -> int:
    """KID of an epoch and a generation."""
    return (epoch << 4) | (generation % 16)


def sframe_header(key_id: int, counter: int) -> bytes:
    """The shortest SFrame header."""

    def field(value: int) -> tuple[int, bytes]:
        if value < 8:
            return value, b""
        shortest = value.to_bytes(8, "big").lstrip(b"\0")
        return 8 + len(shortest) - 1, shortest

    k, k_bytes = field(key_id)
    c, c_bytes = field(counter)
    return bytes([k * 16 + c]) + k_bytes + c_bytes


def sframe_key(base: bytes, key_id: int, suite: int) -> tuple[bytes, bytes]:
    """(key, salt)."""
    secret = extract(b"", base, "sha512")
    suffix = u(key_id, 8) + u(suite, 2)
    return (
        expand(secret, b"SFrame 1.0 Secret key " + suffix, 32, "sha512"),
        expand(secret, b"SFrame 1.0 Secret salt " + suffix, 12, "sha512"),
    )


def sframe_nonce(salt: bytes, counter: int) -> bytes:
    """Salt XOR CTR."""
    return u(int.from_bytes(salt, "big") ^ counter, 12)


def next_base(base: bytes) -> bytes:
    """One ratchet step."""
    return expand(extract(b"", base, "sha512"), b"SFrame 1.0 Ratchet", 64, "sha512")


# The key schedule (§5)


def handshake(log: Log, psk: bytes | None, hybrid: bytes, t_server_hello: bytes) -> None:
    """From the hybrid secret to both sides' handshake secrets, their record keys and finished keys."""
    log["ES"] = extract(ZEROS, psk or ZEROS)
    log["HS"] = extract(hl(log["ES"], "derived", sha384(b""), 48), hybrid)
    for side in ("c", "s"):
        secret = log[f"{side}_hs"] = hl(log["HS"], f"{side} hs", t_server_hello, 48)
        log[f"{side}_hs key"] = hl(secret, "key", b"", 32)
        log[f"{side}_hs iv"] = hl(secret, "iv", b"", 12)
        log[f"{side}_hs finished key"] = hl(secret, "finished", b"", 48)
    log["MS"] = extract(hl(log["HS"], "derived", sha384(b""), 48), ZEROS)


def epoch(log: Log, number: int, root: bytes, transcript: bytes) -> None:
    """Everything that is derived when root[e] is made."""
    log[f"root[{number}]"] = root
    log[f"TH[{number}]"] = transcript
    for name in ("c2s", "s2c"):
        log[f"base_{name}[{number}]"] = hl(root, name, transcript, 64)
        log[f"ctl_{name}[{number}]"] = hl(root, f"{name} ctl", transcript, 64)
    log[f"rk[{number}]"] = hl(root, "rekey", sha384(b""), 48)
    log[f"res[{number}]"] = hl(root, "res", transcript, 48)


def root_step(log: Log, number: int, init: bytes, response: bytes, hybrid: bytes) -> None:
    """From epoch `number` to the next."""
    transcript = sha384(log[f"TH[{number}]"] + init + response)
    epoch(log, number + 1, hl(extract(log[f"rk[{number}]"], hybrid), "root", transcript, 48), transcript)


def generations(log: Log, name: str, number: int, suite: int, wanted: tuple[int, ...]) -> None:
    """Ratchet one base key and give key, salt and one nonce of the generations wanted."""
    base = log[f"{name}[{number}]"]
    for generation in range(max(wanted) + 1):
        if generation in wanted:
            where = f"{name}[{number}] generation {generation}"
            key_id = kid(number, generation)
            log[where] = base
            log[f"{where} suite {suite:04x} key"], salt = sframe_key(base, key_id, suite)
            log[f"{where} suite {suite:04x} salt"] = salt
            log[f"{where} suite {suite:04x} nonce of CTR 513"] = sframe_nonce(salt, 513)
            log[f"{where} header of CTR 513"] = sframe_header(key_id, 513)
        base = next_base(base)


# Merkle trees and anchors (§6)


def merkle_root(leaf: bytes, path: list[tuple[int, bytes]]) -> bytes:
    """Path entries are (direction, sibling)."""
    for direction, sibling in path:
        leaf = sha384(b"\x01" + (sibling + leaf if direction else leaf + sibling))
    return leaf


# The conversations


def flights(log: Log, inputs: Log, seen: bytes) -> None:
    """Both sealed flights: their messages, T after each, both Finished.  `seen` is the transcript up to ServerHello."""

    def add(name: str, text: bytes) -> None:
        nonlocal seen
        seen += text
        log[name] = text
        log[f"T({name})"] = sha384(seen)

    add("ServerParams", inputs["ServerParams"])
    add("ServerCertificate", message(SERVER_CERTIFICATE, t1=inputs["voice certificate"]))
    log["leaf"] = sha384(b"\x00" + log["T(ServerCertificate)"])
    root = merkle_root(log["leaf"], [(0, inputs["Merkle node 1"]), (1, inputs["Merkle node 2"])])
    log["Merkle root"] = root
    log["server verify signed"] = b"sottovoce.v1 server verify\x00" + root
    add("ServerVerify", inputs["ServerVerify"])
    add("ServerFinished", message(SERVER_FINISHED, t1=mac(log["s_hs finished key"], log["T(ServerVerify)"])))
    add("ClientParams", inputs["ClientParams"])
    add("ClientCredential", inputs["ClientCredential"])
    add("ClientFinished", message(CLIENT_FINISHED, t1=mac(log["c_hs finished key"], log["T(ClientCredential)"])))


def conversation(inputs: Log, *, suite: int, retried: bool) -> Log:
    """One session from the first ClientHello to epoch 2, and one stand-in for a far epoch."""
    log: Log = {}
    log["prologue"] = prologue(inputs["binding type"][0], inputs["binding"], inputs["authority"], inputs["path"])
    seen = log["prologue"]
    if retried:
        seen += b"\xfe\x00\x00\x30" + sha384(inputs["first ClientHello"])
        log["T(first ClientHello, as a synthetic message)"] = sha384(seen)
        seen += inputs["HelloRetry"]
        log["T(HelloRetry)"] = sha384(seen)
    seen += inputs["ClientHello"]
    log["T(ClientHello)"] = sha384(seen)
    seen += inputs["ServerHello"]
    log["T(ServerHello)"] = sha384(seen)
    handshake(log, inputs.get("psk"), inputs["hybrid secret"], log["T(ServerHello)"])
    flights(log, inputs, seen)
    epoch(log, 1, hl(log["MS"], "root", log["T(ClientFinished)"], 48), log["T(ClientFinished)"])
    root_step(log, 1, inputs["RekeyInit"], inputs["RekeyResponse"], inputs["hybrid secret of the step"])
    log["rekey leaf"] = sha384(b"\x00" + log["TH[2]"] + sha384(inputs["voice certificate"]))
    log["rekey verify signed"] = b"sottovoce.v1 rekey verify\x00" + log["rekey leaf"]
    for name in ("base_c2s", "base_s2c", "ctl_c2s", "ctl_s2c"):
        generations(log, name, 1, suite, (0, 1, 15, 16, 17))
        generations(log, name, 2, suite, (0, 1))
    for far in (16, 0x0FFF_FFFF, 0xFFFF_FFFF):
        log[f"far[{far}]"] = inputs["base of a far epoch"]
        generations(log, "far", far, suite, (0, 15, 16))
    return log


def client_hello(suites: list[int], shares: list[tuple[int, bytes]], binding_type: int, extra: bytes) -> bytes:
    """A ClientHello with a tag 0xA7 that the server skips."""
    return message(
        CLIENT_HELLO,
        t1=u(1, 2),
        t2=b"".join(u(suite, 2) for suite in suites),
        t3=bytes(range(32)),
        t4=b"".join(u(group, 2) + u(len(share), 2) + share for group, share in shares),
        t6=u(binding_type, 1),
        t167=extra,
    )


def common_inputs(seed: int) -> Log:
    """What both conversations have alike, from bytes that tell them apart."""
    fill = bytes([seed])
    return {
        "hybrid secret": (fill + b"\x51") * 32,
        "hybrid secret of the step": (fill + b"\x52") * 32,
        "voice certificate": (fill + b"\x63") * 50,
        "Merkle node 1": (fill + b"\x11") * 24,
        "Merkle node 2": (fill + b"\x12") * 24,
        "base of a far epoch": (fill + b"\x64") * 32,
        "ServerParams": message(
            SERVER_PARAMS,
            t1=bytes([seed]) * 16,
            t2=u(300, 2),
            t3=u(1000, 4),
            t4=b"\x01",
            t5=b"\x02\x03",
            t6=b"\x01",
            t7=b"\x00\x01",
        ),
        "ServerVerify": message(
            SERVER_VERIFY,
            t1=(fill + b"\x11") * 24 + (fill + b"\x12") * 24,
            t2=b"\x00\x01",
            t3=u(0x0503, 2) + b"\x71" * 96,
            t4=u(0x0905, 2) + b"\x72" * 3309,
        ),
        "ClientParams": message(CLIENT_PARAMS, t1=b"\x03", t2=b"\x03", t3=b"\x14", t4=b'{"tenant":"a"}'),
    }


def retried_inputs() -> Log:
    """X25519MLKEM768 with AES, after a HelloRetry; bound to TLS; a bearer token."""
    group, suites = 0x11EC, [0x0101, 0x0001]
    inputs = common_inputs(0xA0)
    return inputs | {
        "binding type": b"\x01",
        "binding": b"\xb1" * 32,
        "authority": b"voice.example.com:8443",
        "path": b"/v1/voice/echo?x=1",
        "first ClientHello": client_hello(suites, [], 1, b"\x01\x02"),
        "HelloRetry": message(HELLO_RETRY, t1=u(group, 2)),
        "ClientHello": client_hello(suites, [(group, b"\xc1" * 1216)], 1, b"\x03"),
        "ServerHello": message(
            SERVER_HELLO, t1=u(1, 2), t2=u(0x0001, 2), t3=b"\x22" * 32, t4=u(group, 2) + b"\xc2" * 1120
        ),
        "ClientCredential": message(CLIENT_CREDENTIAL, t1=b"\x01", t2=b"a token"),
        "RekeyInit": message(REKEY_INIT, t1=u(2, 4), t2=u(group, 2) + b"\xc3" * 1216),
        "RekeyResponse": message(REKEY_RESPONSE, t1=u(2, 4), t2=u(group, 2) + b"\xc4" * 1120),
    }


def psk_inputs() -> Log:
    """The same group with ChaCha20-Poly1305 and a psk; unbound; no credential.  ServerVerify stays in for its bytes."""
    group = 0x11EC
    inputs = common_inputs(0xB0)
    return inputs | {
        "binding type": b"\x00",
        "binding": b"",
        "authority": b"[2001:db8::1]",
        "path": b"/v1/voice/%65cho",
        "psk": b"\xa5" * 48,
        "ClientHello": client_hello([0x0002], [(group, b"\xc5" * 1216)], 0, b""),
        "ServerHello": message(
            SERVER_HELLO, t1=u(1, 2), t2=u(0x0002, 2), t3=b"\x23" * 32, t4=u(group, 2) + b"\xc6" * 1120
        ),
        "ClientCredential": message(CLIENT_CREDENTIAL, t1=b"\x00", t2=b""),
        "RekeyInit": message(REKEY_INIT, t1=u(2, 4), t2=u(group, 2) + b"\xc7" * 1216),
        "RekeyResponse": message(REKEY_RESPONSE, t1=u(2, 4), t2=u(group, 2) + b"\xc8" * 1120),
    }


def anchor_ids() -> tuple[Log, Log]:
    """(inputs, outputs): an anchor without a PQ key, with ML-DSA-65, with ML-DSA-87."""
    classical = b"\x04" + b"\x61" * 96
    inputs = {"classical": classical, "mldsa65": b"\x65" * 1952, "mldsa87": b"\x62" * 2592}
    start = u(0x0503, 2) + classical
    return inputs, {
        "anchor id without PQ": hashlib.sha256(start).digest(),
        "anchor id with ML-DSA-65": hashlib.sha256(start + u(0x0905, 2) + inputs["mldsa65"]).digest(),
        "anchor id with ML-DSA-87": hashlib.sha256(start + u(0x0906, 2) + inputs["mldsa87"]).digest(),
    }


def in_hex(values: Log) -> Named:
    """The same as text."""
    return {name: value.hex() for name, value in values.items()}


def everything() -> dict[str, dict[str, Named]]:
    """The content of intermediate.json."""
    first, second = retried_inputs(), psk_inputs()
    anchor_inputs, anchor_outputs = anchor_ids()
    return {
        "retried": {"inputs": in_hex(first), "outputs": in_hex(conversation(first, suite=SUITE_AES, retried=True))},
        "psk": {"inputs": in_hex(second), "outputs": in_hex(conversation(second, suite=SUITE_CHACHA, retried=False))},
        "anchors": {"inputs": in_hex(anchor_inputs), "outputs": in_hex(anchor_outputs)},
    }


if __name__ == "__main__":
    json.dump(everything(), sys.stdout, indent=1)
    sys.stdout.write("\n")
