"""Log events, what a proxy says that is not ready, and exit codes.

The names stand here as they are logged: their home, `observe`, needs the server's libraries, which whoever has only a
client lacks.  A test holds the two together.
"""

from collections.abc import Iterator

from sottovoce.app.explaining.entries import Entry, Kind

_FINE = "nothing to do"
_SLOW_HSM = ("the token process was killed or hangs", "the HSM is slow, unplugged or restarts")
_LOOK_THERE = "sottovoce doctor DIR tries token and keys, when the proxy does not run"
_RENEWAL = (
    "look for token.lost before it: without the HSM nothing is issued",
    "the certificate in use stays good until its own end; sottovoce doctor DIR shows the dates",
)
_MEND_AND_HANGUP = "sottovoce check DIR names each problem and its remedy; mend it, then SIGHUP again"

_EVENTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "configuration.loaded": ("The configuration was read and holds.", ("a start", "SIGHUP"), (_FINE,)),
    "configuration.refused": (
        "A changed configuration is not used, for it has faults; the one before goes on.",
        ("SIGHUP after an edit with a slip",),
        (_MEND_AND_HANGUP,),
    ),
    "restart.needed": (
        "What was changed takes a restart: addresses, the HSM, the audit log, the process's own settings.",
        ("SIGHUP after such an edit",),
        ("stop the proxy (SIGTERM; calls are told to come again) and start it",),
    ),
    "clients.loaded": ("Who may call was read again.", ("sottovoce clients, or an edit by hand",), (_FINE,)),
    "clients.refused": (
        "What was changed about who may call is not used; what held before goes on.",
        ("a slip in clients.toml", "a file of CAs or revocations that cannot be read"),
        (_MEND_AND_HANGUP,),
    ),
    "proxy.ready": ("Calls can come.", ("a start",), (_FINE,)),
    "proxy.draining": ("The proxy lets nobody in and sends its calls away.", ("SIGTERM or Ctrl-C",), (_FINE,)),
    "proxy.stopped": ("The proxy has ended in good order.", ("SIGTERM or Ctrl-C",), (_FINE,)),
    "worker.started": ("A worker takes calls.", ("a start, an upgrade, or one that was lost before",), (_FINE,)),
    "worker.lost": (
        "A worker ended unasked: its calls are lost, those of the others go on.",
        ("somebody killed it, or the machine has no memory left", "a fault in the proxy"),
        ("it is started again by itself, later each time; report it if the kernel's log says nothing of it",),
    ),
    "worker.ended": ("A worker has ended as it was told to.", ("a stop or an upgrade",), (_FINE,)),
    "supervisor.lost": (
        "A worker's supervisor is gone: the worker sends its calls elsewhere and ends.",
        ("the supervisor was killed, or an upgrade did not start",),
        ("see what the supervisor logged last; the service manager starts the proxy again",),
    ),
    "replacement.begun": ("The installed program takes the proxy's place.", ("SIGUSR2",), (_FINE,)),
    "replacement.refused": (
        "A request to become a newer proxy is not heeded: what runs, or is under way, goes on.",
        (
            "the new program finds faults in the configuration",
            "process.workers is 1, or the PINs are sealed",
            "it was asked again while that was under way, or while it was only just starting",
        ),
        ("the reason tells: mend it and ask again, or restart",),
    ),
    "replacement.done": ("A newer program has the proxy's sockets and workers.", ("SIGUSR2",), (_FINE,)),
    "admin.exposed": (
        "The admin address can be reached from other machines.",
        ("admin.address is not loopback",),
        ("write admin.address = 127.0.0.1:9443, or see that only those reach it who should",),
    ),
    "file_limit.raised": ("The proxy may open as many files as it was allowed.", ("a start",), (_FINE,)),
    "library.warned": (
        "A library that the proxy uses said something.",
        ("an old version of a library",),
        ("install the versions that requirements.lock names; report it if it stays",),
    ),
    "task.crashed": (
        "A bug ended one connection; the others go on.",
        ("a fault in the proxy",),
        ("report it with the line of the log: it holds no audio and no key",),
    ),
    "tls.refused": (
        "A TLS handshake failed, here or at the client.",
        ("a client that is too old, does not trust the CA, or speaks no TLS", "a port scan or a health check"),
        ("sottovoce explain with the reason of the event explains it; doctor wss://HOST/ROUTE tries it from outside",),
    ),
    "upgrade.refused": (
        "A request over TLS did not become a call.",
        ("a wrong path", "an origin that is not allowed", "a program that speaks another protocol"),
        ("sottovoce explain with the status of the event explains it",),
    ),
    "connection.refused": (
        "A connection was turned away: closed before a byte was read; for open_files it is told 503, over TLS.",
        (
            "max_connections or max_handshakes… of [listener] is reached",
            "a flood",
            "a wrong PROXY protocol header",
            "open_files: no descriptor is left",
        ),
        ("sottovoce explain with the limit that the reason begins with explains it (PROXY protocol: proxy_header)",),
    ),
    "session.established": ("A call is sealed and goes to its route.", ("a caller",), (_FINE,)),
    "session.refused": (
        "A voice handshake failed.",
        (
            "a credential that is not accepted",
            "a client that does not accept the proxy's voice certificate: an old anchor.json",
            "a client of another version",
            "a route that is not for this identity",
        ),
        ("sottovoce explain with the code of the event explains it; the reason is told here only",),
    ),
    "session.rekeyed": ("A call has fresh keys.", ("every voice.epoch_seconds",), (_FINE,)),
    "session.ended": (
        "A call is over; code, side and reason say how.",
        ("somebody hung up, or something ended it",),
        (
            "sottovoce explain with the code of the event explains it",
            "1006 by the client: a network that broke, or somebody who cut",
            "1006 by the proxy: a client broke a rule of TLS or WebSocket, which the reason names; many are a flood",
        ),
    ),
    "classical_suite.used": (
        "A call runs without post-quantum key agreement, as the configuration allows.",
        ("voice.suites or a route's suites name a classical one", "an old client"),
        ("remove the suites without MLKEM once no client needs them",),
    ),
    "backend.lost": (
        "A call's backend could not be reached, went away or broke its contract.",
        ("the reason begins with the fault: unreachable, refused, closed, lost, flood, …",),
        ("sottovoce explain with the fault's name explains it",),
    ),
    "backend.silent": (
        "A call's backend is connected and has said nothing for some seconds.",
        ("a bot that waits for something", "it answers in a dialect that the adapter does not know", "it only listens"),
        ("see whether the backend gets start and audio, and sends what docs/backend-raw.md asks for",),
    ),
    "plaintext_network.allowed": (
        "A route sends audio unencrypted over a network, as the configuration allows.",
        ("routes.NAME.allow_plaintext_network = true",),
        ("give the backend TLS and write a wss:// url",),
    ),
    "token.started": ("A token process has logged in and proved itself.", ("a start or a replacement",), (_FINE,)),
    "token.lost": (
        "The token process is gone or of no use; another one is started at once.",
        (*_SLOW_HSM, "the PIN was changed or refused: then nothing more is tried"),
        ("the reason says which; once is nothing, again and again is the HSM", _LOOK_THERE),
    ),
    "hsm.sealed": (
        "The HSM is sealed: new calls are refused (503), and running ones end as hsm.seal.running_calls says.",
        ("every start of a proxy with a seal", "an operator sealed it", "an unsealing was not finished"),
        ("sottovoce hsm unseal DIR, by as many people as it takes; the reason says why it was sealed",),
    ),
    "hsm.unsealing": (
        "A share of the seal was given; `have` of the `wanted` ones are there.",
        ("somebody unseals it",),
        ("the others have hsm.seal.unseal_seconds for theirs", "if nobody of yours does: seal it, and ask why"),
    ),
    "hsm.unsealed": (
        "Enough shares were given: tokens are started, certificates and ticket keys had, calls let in.",
        ("somebody unsealed it",),
        (_FINE,),
    ),
    "hsm.share_refused": (
        "Something was given as a share and was not taken; `kind` says what was wrong with it.",
        ("a slip of the pen", "a share of an older seal", "an attempt to unseal it without the shares"),
        ("compare it with the paper; if it was nobody of yours, find out who reached the control socket",),
    ),
    "hsm.seal_state_lost": (
        "How the seal stands could not be written; it stands so all the same, and a start is sealed in any case.",
        ("the disk is full", "the directory of hsm.seal.state_file may not be written"),
        ("make room or mend the permissions; only the reason would be forgotten at a restart",),
    ),
    "root.signed": ("The HSM has signed a batch of handshakes.", ("calls",), (_FINE,)),
    "signature.dropped": (
        "A handshake got no signature in time and was given up.",
        _SLOW_HSM,
        ("callers try again by themselves; if it lasts, look for token.lost", _LOOK_THERE),
    ),
    "leaf.issued": ("The TLS certificate was renewed.", ("two thirds of its life are over",), (_FINE,)),
    "leaf.renewal_failed": (
        "The TLS certificate could not be renewed; it is tried again.",
        (*_SLOW_HSM, "the issuing CA's certificate has expired", "the clock is wrong"),
        _RENEWAL,
    ),
    "voice_certificate.issued": ("The voice certificate was renewed.", ("it was due",), (_FINE,)),
    "voice_certificate.renewal_failed": (
        "The voice certificate could not be renewed; it is tried again.",
        (*_SLOW_HSM, "certs/anchor.json is not that of this token", "keys/serving.json does not hold a token's keys"),
        _RENEWAL,
    ),
    "ticket_key.replaced": ("The key of tickets was replaced.", ("every hour or so",), (_FINE,)),
    "ticket_key.failed": (
        "No new key for tickets could be had; calls go on with full handshakes.",
        _SLOW_HSM,
        ("look for token.lost", _LOOK_THERE),
    ),
    "audit.repaired": ("The audit log can be written again; nothing was lost.", ("the disk has room",), (_FINE,)),
    "audit.failed": (
        "The audit log cannot be written: no new call is let in, for its end could not be kept.",
        ("the disk is full", "the file or its directory may not be written"),
        ("make room or mend the permissions; the proxy goes on by itself", "sottovoce doctor DIR looks at both"),
    ),
}

_NO_RENEWAL = ("the certificate could not be renewed, for the token is down or the clock wrong",)
_LOOK_AT_STATUS = "sottovoce status DIR names the cause; sottovoce doctor DIR looks at the machine, too"
_REASONS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "draining": ("The proxy is going down and sends its calls elsewhere.", ("SIGTERM or Ctrl-C",), (_FINE,)),
    "no_worker": (
        "No worker takes calls: all were lost, or none has begun yet.",
        ("a fault in the proxy that a caller brings about again", "the machine has no memory left"),
        ("see worker.lost in the log; they are started again by themselves",),
    ),
    "audit_log_unwritable": (
        "The audit log cannot be written, so no new call is let in.",
        ("the disk is full", "the file or its directory may not be written"),
        ("make room or mend the permissions; the proxy goes on by itself",),
    ),
    "sealed": (
        "The HSM is sealed: no token may be used, and new calls get 503.",
        ("every start of a proxy with a seal", "an operator sealed it"),
        ("sottovoce hsm unseal DIR, by as many people as it takes", "sottovoce status DIR tells since when and why"),
    ),
    "leaf_over": ("The TLS certificate has ended: clients refuse it.", _NO_RENEWAL, (_LOOK_AT_STATUS,)),
    "voice_certificate_over": ("The voice certificate has ended: clients refuse it.", _NO_RENEWAL, (_LOOK_AT_STATUS,)),
    "hsm_down": (
        "There are several tokens, and none is up: no handshake can be signed.",
        ("what all of them need is down: a network, a machine, a licence", "the PIN was changed for all of them"),
        ("calls that run go on; one token that comes back is enough", _LOOK_AT_STATUS),
    ),
    "hsm_down_and_leaf_low": (
        "The token is down and less than a third of the TLS certificate's life is left.",
        _SLOW_HSM,
        ("mend the token before the certificate ends", _LOOK_AT_STATUS),
    ),
    "hsm_down_and_voice_certificate_low": (
        "The token is down and less than a third of the voice certificate's life is left.",
        _SLOW_HSM,
        ("mend the token before the certificate ends", _LOOK_AT_STATUS),
    ),
}

_EXITS: tuple[tuple[int, str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    (0, "done", "The command did what it was asked.", ("all is well",), (_FINE,)),
    (
        1,
        "failed",
        "The command was refused or failed; a line on standard error says why.",
        ("whatever that line names",),
        ("do what the line says; with --json the reason is in `error`",),
    ),
    (
        2,
        "usage",
        "The command line itself is wrong; nothing was done.",
        ("an unknown option, or a missing argument",),
        ("read --help of the command",),
    ),
    (
        3,
        "not_healthy",
        "The command has an answer, and it is a bad one.",
        ("sottovoce doctor or status found something that fails",),
        ("mend what stands first; one cause is one line",),
    ),
    (
        4,
        "threshold_missed",
        "A load test ran, and missed a threshold of --fail-if.",
        ("the machine or the network is slower than was asked for",),
        ("the report has the figures; see first whether the generator itself was late",),
    ),
    (130, "interrupted", "The command was interrupted.", ("Ctrl-C",), (_FINE,)),
    (143, "terminated", "The command was told to end.", ("SIGTERM",), (_FINE,)),
)


def happening_entries() -> Iterator[Entry]:
    """Give the rows."""
    for number, name, meaning, causes, remedies in _EXITS:
        yield Entry(Kind.EXIT, name, number, meaning, causes, remedies)
    for reason, (meaning, causes, remedies) in _REASONS.items():
        yield Entry(Kind.READY, reason, None, meaning, causes, remedies)
    for event, (meaning, causes, remedies) in _EVENTS.items():
        yield Entry(Kind.EVENT, event, None, meaning, causes, remedies)
