"""Who goes into the next batch, among clients and accounts that want more than their share."""

from loyalty.engine.turns import OF_ONE, Turns


def test_requests_of_one_client_go_in_the_order_in_which_they_came() -> None:
    turns: Turns[int] = Turns()
    for number in range(10):
        turns.add(number, f"m{number}", "till")
    assert turns.take(4) == [0, 1, 2, 3]
    assert turns.take(64) == [4, 5, 6, 7, 8, 9]
    assert turns.take(64) == []
    assert (len(turns), turns.ready) == (0, 0)


def test_a_till_behind_a_thousand_requests_of_another_client_is_in_the_next_batch() -> None:
    turns: Turns[str] = Turns()
    for number in range(1000):
        turns.add("greedy", f"m{number}", "e-shop")
    for number in range(3):
        turns.add(f"till {number}", f"t{number}", "tills")
    batch = turns.take(8)
    assert [one for one in batch if one != "greedy"] == ["till 0", "till 1", "till 2"]
    assert batch.count("greedy") == 5, "room that nobody else wants is not wasted"


def test_clients_take_turns_from_batch_to_batch() -> None:
    turns: Turns[str] = Turns()
    for client in "abc":
        for number in range(4):
            turns.add(client, f"{client}{number}", client)
    assert ["".join(turns.take(2)) for _ in range(6)] == ["ab", "ca", "bc", "ab", "ca", "bc"]


def test_of_one_account_a_few_go_at_a_time_and_the_next_when_these_are_back() -> None:
    turns: Turns[int] = Turns()
    for number in range(OF_ONE + 2):
        turns.add(number, "hot", "any")
    turns.add(100, "cold", "any")
    assert turns.take(64) == [*range(OF_ONE), 100]
    turns.add(200, "hot", "any")
    assert turns.take(64) == [], "what waits for the account waits outside of the batches of others"
    assert (len(turns), turns.ready, turns.waiting_about("hot")) == (3, 0, 3)
    turns.back(["hot", "cold"])
    assert turns.take(64) == [OF_ONE, OF_ONE + 1, 200]
    turns.back(["hot"])
    assert (len(turns), turns.waiting_about("hot")) == (0, 0)


def test_an_account_cut_by_the_end_of_a_batch_goes_on_with_the_next_of_its_own() -> None:
    turns: Turns[int] = Turns()
    for number in range(3):
        turns.add(number, "ada", "any")
    assert turns.take(2) == [0, 1]
    turns.add(3, "bob", "any")
    assert turns.take(2) == [3]
    turns.back(["ada"])
    assert turns.take(2) == [2]


def test_requests_about_one_account_keep_their_order_whoever_sends_them() -> None:
    turns: Turns[int] = Turns()
    for number in range(OF_ONE * 3):
        turns.add(number, "ada", f"client {number % 2}")
    order = []
    while batch := turns.take(64):
        order += batch
        turns.back(["ada"])
    assert order == list(range(OF_ONE * 3))
