"""Handshake messages of protocol §3: one struct each, with `encode` and `decode_untrusted`."""

from sottovoce.wire.messages.flights import (
    ClientCredential,
    ClientParams,
    ClientVerify,
    ServerCertificate,
    ServerParams,
    Verification,
    decode_finished_untrusted,
    encode_finished,
)
from sottovoce.wire.messages.hello import VERSION_1, ClientHello, HelloRetry, ServerHello
from sottovoce.wire.messages.rekey import (
    NewTicket,
    RekeyShare,
    RekeyVerify,
    check_rekey_request_untrusted,
    encode_rekey_request,
)
from sottovoce.wire.messages.tlv import (
    Tlv,
    body_of,
    decode_tlvs,
    encode_message,
    encode_tlvs,
    split_messages,
    tagged_u16,
)

__all__ = [
    "VERSION_1",
    "ClientCredential",
    "ClientHello",
    "ClientParams",
    "ClientVerify",
    "HelloRetry",
    "NewTicket",
    "RekeyShare",
    "RekeyVerify",
    "ServerCertificate",
    "ServerHello",
    "ServerParams",
    "Tlv",
    "Verification",
    "body_of",
    "check_rekey_request_untrusted",
    "decode_finished_untrusted",
    "decode_tlvs",
    "encode_finished",
    "encode_message",
    "encode_rekey_request",
    "encode_tlvs",
    "split_messages",
    "tagged_u16",
]
