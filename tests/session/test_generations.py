"""How many keys a side has sent under, whatever became of them."""

from tests.session.dialogue import Pair, talking


def test_none_before_the_handshake_and_one_behind_it() -> None:
    pair = Pair()
    assert pair.server.generations == 0
    pair.run()
    assert pair.server.generations == pair.client.generations == 1


def test_a_step_of_the_ratchet_is_one_more() -> None:
    pair = talking(messages_per_key=16)
    pair.voice(down=40)
    assert pair.server.generations == pair.server.generation + 1 == 3


def test_they_add_up_over_epochs_and_outlive_the_keys() -> None:
    pair = talking(messages_per_key=16)
    pair.voice(down=40)
    pair.step()
    assert pair.server.generation == 0
    assert pair.server.generations == 4
    pair.server.erase()
    assert pair.server.generation == 0
    assert pair.server.generations == 4
    pair.server.erase()
    assert pair.server.generations == 4
