"""Numbers of message types (protocol §3) and frame types (protocol §9)."""

from enum import IntEnum


class MessageType(IntEnum):
    """Handshake messages.  1–11 travel in handshake records, 12–16 in frames of type 6."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_RETRY = 3
    SERVER_PARAMS = 4
    SERVER_CERTIFICATE = 5
    SERVER_VERIFY = 6
    SERVER_FINISHED = 7
    CLIENT_PARAMS = 8
    CLIENT_CREDENTIAL = 9
    CLIENT_VERIFY = 10
    CLIENT_FINISHED = 11
    REKEY_INIT = 12
    REKEY_RESPONSE = 13
    REKEY_VERIFY = 14
    NEW_TICKET = 15
    REKEY_REQUEST = 16


class FrameType(IntEnum):
    """What a sealed frame carries."""

    AUDIO = 1
    SWITCH = 2
    DTMF = 3
    PING = 4
    PONG = 5
    HANDSHAKE = 6
    CLOSE = 7
    JSON = 8
    COVER = 9
    MARK = 10
    CLEAR = 11
    MUTE = 12
    DATA = 13


FIRST_IGNORED_FRAME_TYPE = 0x80


class CredentialKind(IntEnum):
    """Kinds of client credentials (protocol §3, ClientCredential)."""

    NONE = 0
    BEARER_TOKEN = 1
    SIGNING_KEY = 2
    OUTER_CERTIFICATE = 3
