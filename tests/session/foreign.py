"""A client and a server of `sottovoce.v1` that share no line with `proxy/`: built on the reference of the key schedule.

They keep to the text unless a test edits a message (`edit`) or rearranges a flight (`arrange`); whatever is changed is
what the transcript, the macs and the signatures are then made over, so a refusal is for the change and nothing else.
They check little themselves: they are there to be refused, or to talk to one that keeps the rules.
"""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from sottovoce.primitives import Signer
from sottovoce.session import LeafKind
from tests.session.dialogue import CARRIAGE, Edit
from tests.session.foreign_bytes import GROUPS, Chain, client_share, message, ref, server_share, split, tlvs_of, u
from tests.session.keys import Keys, certificate, serving_keys

Arrange = Callable[[list[bytes]], list[bytes]]


def unchanged(_: str, made: bytes) -> bytes:
    return made


def in_order(flight: list[bytes]) -> list[bytes]:
    return flight


class Peer:
    """What both foreign roles do alike."""

    def __init__(self, carriage: Any, edit: Edit, arrange: Arrange, binding_type: int | None) -> None:
        kind = carriage.binding_type if binding_type is None else binding_type
        self.binding_type = kind
        self.seen = ref.prologue(kind, carriage.binding if kind else b"", carriage.authority.lower(), carriage.path)
        self.opening = self.seen
        self.edit = edit
        self.arrange = arrange
        self.log: dict[str, bytes] = {}
        self.suite = 0
        self.epoch = 0
        self.params: dict[int, bytes] = {}
        self.psk: bytes | None = None

    def t(self) -> bytes:
        """T of everything so far."""
        return ref.sha384(self.seen)

    def add(self, name: str, made: bytes) -> bytes:
        """Edit a message of ours and take it into the transcript."""
        edited = self.edit(name, made)
        self.seen += edited
        return edited

    def agree(self, secret: bytes) -> None:
        ref.handshake(self.log, self.psk, secret, self.t())

    def sealed_record(self, side: str, messages: list[bytes]) -> bytes:
        plaintext = b"".join(self.arrange(messages))
        header = b"\x01" + u(len(plaintext) + 16, 2)
        cipher: Any = ChaCha20Poly1305 if self.suite == 0x0002 else AESGCM
        return header + cipher(self.log[f"{side}_hs key"]).encrypt(self.log[f"{side}_hs iv"], plaintext, header)

    def opened_record(self, side: str, record: bytes) -> list[bytes]:
        cipher: Any = ChaCha20Poly1305 if self.suite == 0x0002 else AESGCM
        plaintext = cipher(self.log[f"{side}_hs key"]).decrypt(self.log[f"{side}_hs iv"], record[3:], record[:3])
        return split(plaintext)

    def finished(self, side: str) -> bytes:
        kind = 11 if side == "c" else 7
        return message(kind, t1=ref.mac(self.log[f"{side}_hs finished key"], self.t()))

    def begin(self) -> None:
        """Epoch 1."""
        ref.epoch(self.log, 1, ref.hl(self.log["MS"], "root", self.t(), 48), self.t())
        self.epoch = 1

    def chain(self, direction: str, epoch: int | None = None) -> Chain:
        """A fresh chain of an epoch, `c2s` or `s2c`."""
        epoch = self.epoch if epoch is None else epoch
        per_key = int.from_bytes(self.params[3])
        return Chain(self.log[f"base_{direction}[{epoch}]"], epoch, self.suite, per_key)


class ForeignClient(Peer):
    """hello() → [retry(record)] → server_hello(record) → server_flight(record) → flight() → up, down."""

    def __init__(  # noqa: PLR0913  what a ClientHello and a flight can say
        self,
        *,
        suites: tuple[int, ...] = (0x0001,),
        shares: tuple[int, ...] | None = None,
        carriage: Any = CARRIAGE,
        binding_type: int | None = None,
        credential: tuple[int, bytes] = (0, b""),
        codecs: tuple[int, int, int] = (3, 3, 20),
        metadata: bytes | None = None,
        ticket: tuple[bytes, bytes] | None = None,
        signer: Signer | None = None,
        edit: Edit = unchanged,
        arrange: Arrange = in_order,
    ) -> None:
        super().__init__(carriage, edit, arrange, binding_type)
        self.suites = suites
        groups = shares if shares is not None else (GROUPS[suites[0]],)
        self.shares = {group: client_share(group) for group in groups}
        self.credential = credential
        self.codecs = codecs
        self.metadata = metadata
        self.ticket = ticket
        self.signer = signer
        self.certificate = b""
        self.first = b""

    def _hello(self) -> bytes:
        shares = b"".join(u(group, 2) + u(len(share), 2) + share for group, (share, _) in self.shares.items())
        suites = b"".join(u(suite, 2) for suite in self.suites)
        offered = {} if self.ticket is None else {"t5": self.ticket[0]}
        return message(1, t1=u(1, 2), t2=suites, t3=b"\x0c" * 32, t4=shares, t6=u(self.binding_type, 1), **offered)

    def hello(self) -> bytes:
        self.first = self.add("ClientHello", self._hello())
        return b"\x00" + self.first

    def retry(self, record: bytes) -> bytes:
        assert record[1] == 3
        group = int.from_bytes(tlvs_of(record[5:])[1])
        self.seen = self.opening + b"\xfe\x00\x00\x30" + ref.sha384(self.first) + record[1:]
        self.shares = {group: client_share(group)}
        return b"\x00" + self.add("second ClientHello", self._hello())

    def server_hello(self, record: bytes) -> None:
        assert record[:2] == b"\x00\x02"
        found = tlvs_of(record[5:])
        self.suite = int.from_bytes(found[2])
        self.seen += record[1:]
        if 5 in found:
            assert found[5] == b"\x01"
            assert self.ticket is not None
            self.psk = self.ticket[1]
        group = int.from_bytes(found[4][:2])
        self.agree(self.shares[group][1](found[4][2:]))

    def server_flight(self, record: bytes) -> None:
        names: dict[int, bytes] = {}
        for made in self.opened_record("s", record):
            if made[0] == 7:
                assert made == self.finished("s")
            self.seen += made
            names[made[0]] = made
        assert list(names) == ([4, 5, 6, 7] if self.psk is None else [4, 7])
        self.params = tlvs_of(names[4][4:])
        self.certificate = tlvs_of(names[5][4:])[1] if 5 in names else b""

    def flight(self) -> bytes:
        optional = {} if self.metadata is None else {"t4": self.metadata}
        send, receive, milliseconds = (u(number, 1) for number in self.codecs)
        kind, value = self.credential
        messages = [
            self.add("ClientParams", message(8, t1=send, t2=receive, t3=milliseconds, **optional)),
            self.add("ClientCredential", message(9, t1=u(kind, 1), t2=value)),
        ]
        if self.signer is not None:
            signature = self.signer.sign(b"sottovoce.v1 client verify\x00" + self.t())
            algorithm = u(self.signer.public_key.algorithm, 2)
            messages.append(self.add("ClientVerify", message(10, t1=algorithm + signature)))
        messages.append(self.add("ClientFinished", self.finished("c")))
        record = self.sealed_record("c", messages)
        self.begin()
        self.up, self.down = self.chain("c2s"), self.chain("s2c")
        return record

    def rekey_init(self, **changes: Any) -> bytes:
        """A RekeyInit message; `epoch`, `group` and `share` may be changed."""
        group = GROUPS[self.suite]
        share, self.step_exchange = client_share(group)
        fields = {"epoch": self.epoch + 1, "group": group, "share": share} | changes
        self.init = message(12, t1=u(fields["epoch"], 4), t2=u(fields["group"], 2) + fields["share"])
        return self.init

    def rekey_response(self, payload: bytes) -> None:
        """Take the server's answer and derive the next epoch."""
        response = split(payload)[0]
        secret = self.step_exchange(tlvs_of(response[4:])[2][2:])
        ref.root_step(self.log, self.epoch, self.init, response, secret)
        self.epoch += 1


class ForeignServer(Peer):
    """take_hello(record) → hello() → flight() → client_flight(record) → up, down."""

    def __init__(  # noqa: PLR0913  what a ServerHello and a flight can say
        self,
        *,
        suite: int = 0x0001,
        carriage: Any = CARRIAGE,
        binding_type: int | None = None,
        keys: Keys | None = None,
        encoded: bytes | None = None,
        psk: bytes | None = None,
        edit: Edit = unchanged,
        arrange: Arrange = in_order,
        **params: bytes,
    ) -> None:
        super().__init__(carriage, edit, arrange, binding_type)
        self.suite = suite
        self.keys = keys or serving_keys()
        self.encoded = certificate() if encoded is None else encoded
        self.psk = psk
        self.siblings: list[tuple[int, bytes]] = [(1, ref.sha384(b"\x00another"))]
        self.labels = {
            LeafKind.SERVER_VERIFY: b"sottovoce.v1 server verify",
            LeafKind.REKEY_VERIFY: b"sottovoce.v1 rekey verify",
        }
        self.client_hello: dict[int, bytes] = {}
        self.client_messages: list[bytes] = []
        defaults = {
            "t1": b"\x1d" * 16, "t2": u(300, 2), "t3": u(1000, 4), "t4": b"\x01", "t5": bytes(range(1, 9)),
            "t6": b"\x01", "t7": b"\x00\x01\x02\x03" if psk is None else b"\x00",
        }  # fmt: skip
        self.server_params = message(4, **(defaults | params))

    def take_hello(self, record: bytes) -> None:
        assert record[:2] == b"\x00\x01"
        self.client_hello = tlvs_of(record[5:])
        self.seen += record[1:]

    def retry(self, group: int) -> bytes:
        """HelloRetry instead of an answer."""
        self.seen = self.opening + b"\xfe\x00\x00\x30" + ref.sha384(self.seen[len(self.opening) :])
        return b"\x00" + self.add("HelloRetry", message(3, t1=u(group, 2)))

    def client_shares(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        rest = self.client_hello[4]
        while rest:
            size = int.from_bytes(rest[2:4])
            found[int.from_bytes(rest[:2])] = rest[4 : 4 + size]
            rest = rest[4 + size :]
        return found

    def hello(self) -> bytes:
        group = GROUPS[self.suite]
        share, secret = server_share(group, self.client_shares()[group])
        accepted = {} if self.psk is None else {"t5": b"\x01"}
        made = message(2, t1=u(1, 2), t2=u(self.suite, 2), t3=b"\x0d" * 32, t4=u(group, 2) + share, **accepted)
        record = b"\x00" + self.add("ServerHello", made)
        self.agree(secret)
        return record

    def proof_tlvs(self, kind: LeafKind, leaf: bytes) -> dict[str, bytes]:
        """TLVs 1–4: a path over `siblings`, and the signatures over its root after `label` of that kind."""
        root = ref.merkle_root(leaf, self.siblings)
        signed = self.labels[kind] + b"\x00" + root
        classical, pq = self.keys.classical, self.keys.pq
        found = {
            "t1": b"".join(node for _, node in self.siblings),
            "t2": bytes(direction for direction, _ in self.siblings),
            "t3": u(classical.public_key.algorithm, 2) + classical.sign(signed),
        }
        if pq is not None:
            found["t4"] = u(pq.public_key.algorithm, 2) + pq.sign(signed)
        return found

    def flight(self) -> bytes:
        """All four messages; with a ticket accepted ServerParams and ServerFinished only."""
        messages = [self.add("ServerParams", self.server_params)]
        if self.psk is None:
            messages.append(self.add("ServerCertificate", message(5, t1=self.encoded)))
            proof = self.proof_tlvs(LeafKind.SERVER_VERIFY, ref.sha384(b"\x00" + self.t()))
            messages.append(self.add("ServerVerify", message(6, **proof)))
        messages.append(self.add("ServerFinished", self.finished("s")))
        self.params = tlvs_of(self.server_params[4:])
        return self.sealed_record("s", messages)

    def client_flight(self, record: bytes) -> None:
        for made in self.opened_record("c", record):
            if made[0] == 11:
                assert made == self.finished("c")
            self.client_messages.append(made)
            self.seen += made
        self.begin()
        self.up, self.down = self.chain("c2s"), self.chain("s2c")

    def rekey_answer(self, init: bytes, *, verify: bool = True, encoded: bytes | None = None) -> bytes:
        """RekeyResponse and RekeyVerify, edited, as the payload of a frame; then the next epoch is there."""
        group = GROUPS[self.suite]
        share, secret = server_share(group, tlvs_of(init[4:])[2][2:])
        response = self.edit("RekeyResponse", message(13, t1=u(self.epoch + 1, 4), t2=u(group, 2) + share))
        ref.root_step(self.log, self.epoch, init, response, secret)
        self.epoch += 1
        if not verify:
            return response
        current = self.encoded if encoded is None else encoded
        leaf = ref.sha384(b"\x00" + self.log[f"TH[{self.epoch}]"] + ref.sha384(current))
        tlvs = self.proof_tlvs(LeafKind.REKEY_VERIFY, leaf) | ({} if encoded is None else {"t5": encoded})
        return response + self.edit("RekeyVerify", message(14, **tlvs))
