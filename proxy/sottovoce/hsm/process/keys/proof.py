"""How a key proves itself: it does once what it is for, and the result is checked; and what a token says of itself."""

import os

import pkcs11

from sottovoce.hsm.errors import TokenLost
from sottovoce.hsm.kinds import KeyUse, TokenHealth
from sottovoce.hsm.process.keys.store import CAPABILITIES, P384, FoundKey, look_at, raw_point, supported_kinds, use_key
from sottovoce.hsm.process.keys.use import PROBE, authenticate, derive, seal, sign
from sottovoce.hsm.process.keys.wrapping import prove_wrapping, wrap_mechanisms
from sottovoce.hsm.process.worker import Worker
from sottovoce.primitives import Secret, p384_point


def prove(worker: Worker, label: str) -> None:
    """See that a key does what it is for.  Raises TokenLost when it does not, KeyAbsent."""
    match look_at(worker, label).kind.use:
        case KeyUse.SIGN:
            sign(worker, label, PROBE + os.urandom(32))
        case KeyUse.AUTHENTICATE:
            authenticate(worker, label, PROBE + os.urandom(32))
        case KeyUse.SEAL:
            with Secret.take("probe", os.urandom(32)) as content:
                seal(worker, label, content, PROBE)
        case KeyUse.WRAP:
            prove_wrapping(worker, label)
        case KeyUse.AGREE:
            use_key(worker, label, KeyUse.AGREE, lambda session, found: _prove_agreement(worker, session, found))


def describe_token(worker: Worker) -> TokenHealth:
    """Say what the token is and can do; it has to answer for that."""

    def attempt(session: pkcs11.Session) -> TokenHealth:
        worker.see_login()
        token, library = session.token, worker.module.library
        return TokenHealth(
            label=token.label,
            manufacturer=token.manufacturer_id,
            model=token.model,
            serial=bytes(token.serial).decode(errors="replace").strip("\x00 "),
            library=f"{library.library_description} {'.'.join(map(str, library.library_version))}",
            kinds=tuple(sorted(supported_kinds(session))),
            wrapping=wrap_mechanisms(worker),
        )

    return worker.attempt(attempt)


def _prove_agreement(worker: Worker, session: pkcs11.Session, found: FoundKey) -> None:
    """Derive with a pair that is made for it, from both ends."""
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: P384}, local=True)
    public, private = parameters.generate_keypair(store=False, capabilities=CAPABILITIES[KeyUse.AGREE])
    try:
        with (
            derive(worker, session, found.key, raw_point(public)) as ours,
            derive(worker, session, private, p384_point(found.facts.public)) as theirs,
        ):
            if ours != theirs or ours.is_wiped:
                raise TokenLost(f"{found.facts.label} derives another secret than its peer")
    finally:
        public.destroy()
        private.destroy()
