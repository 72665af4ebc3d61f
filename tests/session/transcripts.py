"""Transcripts of whole sessions: what both ends were given, step by step, and every byte that they made of it.

A transcript is JSON; bytes are base64.  It holds the inputs (carriage, configurations, certificates, entropy, key
agreement, proofs, tickets, the clock) and the steps, each with what came of it.  `replay` hands the inputs to today's
sessions and holds what they do against what was written down.  Of an event those fields are compared that were written
down, without texts for people, so that an event may learn more; of the bytes, all.
"""

from typing import Any

from sottovoce.primitives import Secret, Suite
from sottovoce.session import (
    ClientConfig,
    ClientSession,
    Credential,
    CredentialShown,
    Dependencies,
    ServerConfig,
    ServerDependencies,
    ServerSession,
    ShownCredential,
    SignatureWanted,
    parse_anchor_file,
)
from sottovoce.wire import Codec
from tests.session.dialogue import Serving
from tests.session.tapes import (
    Json,
    Tape,
    TapedBox,
    TapedCredentials,
    TapedEntropy,
    TapedKem,
    TapedSigner,
    agrees,
    made_carriage,
    made_proof,
    made_public_key,
    made_ticket,
    made_verdict,
    plain,
    unplain,
)

FORMAT = "sottovoce.transcript.1"


class Stage:
    """Two sessions, and the tapes of what they ask for.  `parts` are the real ones while recording."""

    def __init__(self, script: Json, parts: Json | None = None) -> None:
        self.script = script
        self.is_recording = parts is not None
        self.tapes: list[Tape] = []
        self.serving = Serving(unplain(script["server"]["certificate"]))
        given = parts or {}
        client, server = script["client"], script["server"]
        now, wall = script["now"], script["wall"]
        kem = TapedKem(self._tape("client_kem"), given.get("kem"))
        entropy = TapedEntropy(self._tape("client_entropy"), given.get("client_entropy"))
        self.client = ClientSession(
            self._client_config(client, given), made_carriage(client["carriage"]), Dependencies(kem, entropy), now, wall
        )
        box = TapedBox(self._tape("tickets"), given.get("tickets")) if server["has_tickets"] else None
        dependencies = ServerDependencies(
            kem=TapedKem(self._tape("server_kem"), given.get("kem")),
            entropy=TapedEntropy(self._tape("server_entropy"), given.get("server_entropy")),
            serving=self.serving,
            credentials=TapedCredentials(server["verdict"]),
            tickets=box,
        )
        fields = server["config"] | {
            "suites": tuple(map(Suite, server["config"]["suites"])),
            "codecs": tuple(map(Codec, server["config"]["codecs"])),
            "credential_kinds": tuple(server["config"]["credential_kinds"]),
        }
        self.server = ServerSession(ServerConfig(**fields), made_carriage(server["carriage"]), dependencies, now, wall)
        self.shown: list[ShownCredential] = []
        self.wanted: list[SignatureWanted] = []

    def _tape(self, name: str) -> Tape:
        tape = Tape(self.script["tapes"].setdefault(name, []), is_recording=self.is_recording)
        self.tapes.append(tape)
        return tape

    def _client_config(self, client: Json, given: Json) -> ClientConfig:
        config, shown = client["config"], client["credential"]
        signer = None
        if shown["public_key"] is not None:
            signer = TapedSigner(self._tape("signer"), made_public_key(shown["public_key"]), given.get("signer"))
        return ClientConfig(
            anchors=parse_anchor_file(client["anchors"].encode()),
            suites=tuple(map(Suite, config["suites"])),
            credential=Credential(
                shown["kind"],
                None if shown["token"] is None else Secret("token", unplain(shown["token"])),
                signer,
                None if shown["certificate_sha256"] is None else unplain(shown["certificate_sha256"]),
            ),
            send_codec=Codec(config["send_codec"]),
            receive_codec=Codec(config["receive_codec"]),
            frame_milliseconds=config["frame_milliseconds"],
            metadata=None if config["metadata"] is None else unplain(config["metadata"]),
            ticket=None if client["ticket"] is None else made_ticket(client["ticket"]),
        )

    def perform(self, step: Json) -> Any:  # noqa: C901, PLR0912  a case for each kind of step
        """Do one step and give what came of it."""
        session: Any = self.client if step["who"] == "client" else self.server
        now = step["at"]
        match step["do"]:
            case "receive":
                return session.receive(unplain(step["record"]), now)
            case "to_send" | "datagrams_to_send" | "events" as name:
                return getattr(session, name)()
            case "seal_audio" | "seal_datagram" | "send_audio" as name:
                options = {"flags": step["flags"], "timestamp": step["timestamp"]}
                return getattr(session, name)(unplain(step["codec_bytes"]), now, **options)
            case "open_datagram":
                return session.open_datagram(unplain(step["record"]), now)
            case "send":
                arguments = [unplain(each["bytes"]) if isinstance(each, dict) else each for each in step["arguments"]]
                return getattr(session, f"send_{step['what']}")(*arguments, now, **step["options"])
            case "on_deadline":
                return session.on_deadline(now)
            case "close":
                return session.close(step["code"], now)
            case "carriage_ended":
                return session.carriage_ended(None)
            case "request_rekey":
                return session.request_rekey()
            case "serve":
                self.serving.certificate = unplain(step["certificate"])
                return None
            case "provide_proof":
                (wanted,) = [each for each in self.wanted if self._leaf(each) == step["leaf"]]
                assert wanted.kind == step["kind"]
                certificate = self.serving.under(wanted.anchor_id)
                return session.provide_proof(wanted, certificate, made_proof(step["proof"]), now)
            case "provide_verdict":
                return session.provide_verdict(self.shown.pop(), made_verdict(step["verdict"]), now)
            case other:
                raise ValueError(other)

    def note(self, came: Any) -> Any:
        """Remember what waits for its verdict or its signature; gives what came as it is written down."""
        if not isinstance(came, list):
            return plain(came)
        events: list[Any] = came
        self.shown += [event.shown for event in events if isinstance(event, CredentialShown)]
        self.wanted += [event for event in events if isinstance(event, SignatureWanted)]
        return [self._written(event) if isinstance(event, SignatureWanted) else plain(event) for event in events]

    def _written(self, wanted: SignatureWanted) -> Json:
        """A leaf that is to be signed, under the certificate that is served now."""
        return {"is": "SignatureWanted", "kind": int(wanted.kind), "leaf": self._leaf(wanted)}

    def _leaf(self, wanted: SignatureWanted) -> str:
        return plain(wanted.leaf_under(self.serving.under(wanted.anchor_id)))


def replay(script: Json) -> Stage:
    """Go through a transcript.  Raises AssertionError at the first step that comes out otherwise."""
    assert script["format"] == FORMAT
    stage = Stage(script)
    for number, step in enumerate(script["steps"]):
        came = stage.perform(step)
        now = stage.note(came)
        assert agrees(now, step["gives"]), f"step {number}: {step['who']} {step['do']} at {step['at']}: {now!r:.300}"
    assert all(tape.is_at_end for tape in stage.tapes), "something was not asked for again"
    return stage
