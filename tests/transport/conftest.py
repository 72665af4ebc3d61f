import pytest

from sottovoce.transport import RecordLayer
from tests.transport.ends import Word


@pytest.fixture(scope="module", params=list(RecordLayer), ids=str)
def each_word(request: pytest.FixtureRequest) -> object:
    """Run a file's tests with records of our own at both ends, and with OpenSSL's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Word, "records", request.param)
        yield
