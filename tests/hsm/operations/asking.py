"""Questions to one token, without the inventory: what every vendor's token has to answer alike."""

from sottovoce.hsm import Cluster
from sottovoce.hsm.kinds import KeyFacts, KeyKind, NewKey, TokenHealth, WrapMechanism, WrappedUnder
from sottovoce.hsm.messages import Answer, Operation, Question
from sottovoce.hsm.operations import messages as m
from sottovoce.primitives import Secret

DEADLINE = 60.0


class OneToken:
    """A token that is asked directly."""

    def __init__(self, pool: Cluster) -> None:
        self.pool = pool

    async def ask(self, operation: Operation[Question, Answer], question: Question) -> Answer:
        return await self.pool.call(operation, question, deadline_seconds=DEADLINE)

    async def generate(self, label: str, kind: KeyKind, *, is_extractable: bool = False) -> KeyFacts:
        question = m.Generate(NewKey(label, kind, is_extractable))
        return (await self.ask(m.GENERATE, question)).facts

    async def import_key(self, label: str, kind: KeyKind, value: bytes, *, is_extractable: bool = False) -> KeyFacts:
        question = m.Import(NewKey(label, kind, is_extractable), Secret("value", value))
        return (await self.ask(m.IMPORT, question)).facts

    async def sign(self, label: str, message: bytes) -> bytes:
        return (await self.ask(m.SIGN, m.Sign(label, message))).signature

    async def verify(self, label: str, message: bytes, signature: bytes) -> bool:
        return (await self.ask(m.VERIFY, m.Verify(label, message, signature))).is_right

    async def encrypt(self, label: str, content: bytes, data: bytes) -> m.Encrypted:
        return await self.ask(m.ENCRYPT, m.Encrypt(label, Secret("content", content), data))

    async def decrypt(self, label: str, sealed: m.Encrypted, data: bytes) -> Secret:
        return (await self.ask(m.DECRYPT, m.Decrypt(label, sealed.nonce, sealed.sealed, data))).content

    async def wrap(self, label: str, target: str, mechanism: WrapMechanism) -> WrappedUnder:
        return (await self.ask(m.WRAP, m.Wrap(label, target, mechanism))).wrapped

    async def unwrap(self, label: str, wrapped: WrappedUnder, new: NewKey) -> KeyFacts:
        return (await self.ask(m.UNWRAP, m.Unwrap(label, wrapped, new))).facts

    async def derive(self, label: str, peer: bytes) -> Secret:
        return (await self.ask(m.DERIVE, m.Derive(label, peer))).shared

    async def destroy(self, label: str) -> bool:
        return (await self.ask(m.DESTROY, m.Destroy(label))).was_there

    async def find(self, prefix: str = "key/") -> list[KeyFacts]:
        return list((await self.ask(m.FIND, m.Find(prefix))).keys)

    async def prove(self, label: str) -> None:
        await self.ask(m.PROVE, m.Prove(label))

    async def export(self, label: str) -> KeyFacts:
        return (await self.ask(m.EXPORT, m.Export(label))).facts

    async def random(self, length: int) -> Secret:
        return (await self.ask(m.RANDOM, m.Random(length))).random

    async def health(self) -> TokenHealth:
        return await self.ask(m.HEALTH, m.Health())
