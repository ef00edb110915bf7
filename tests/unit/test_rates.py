"""Rates: what a key may call is neither more nor less than its rate, a second's worth at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.rates import Bucket, parse_rates


def test_rates_are_read_by_role() -> None:
    assert parse_rates("pos=200/s, eshop=500/s") == {"pos": 200, "eshop": 500}
    assert parse_rates("") == {}


@pytest.mark.parametrize("text", ["pos", "pos=200", "pos=0/s", "till=5/s", "pos=1/s,pos=2/s", "pos=1.5/s"])
def test_wrong_rates_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rates(text)


def test_a_second_s_worth_at_once_and_then_one_by_one() -> None:
    bucket = Bucket()
    assert bucket.take(100.0, 5, 100) == (5, 0.0)
    granted, wait = bucket.take(100.0, 5, 1)
    assert granted == 0
    assert wait == pytest.approx(0.2)
    assert bucket.take(100.21, 5, 1) == (1, 0.0)
    assert bucket.take(100.22, 5, 1)[0] == 0
    assert bucket.take(200.0, 5, 100) == (5, 0.0), "what is not used does not add up beyond a second"


@given(
    rate=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 50)), min_size=1, max_size=200),
)
def test_no_time_gives_more_than_the_rate_and_a_patient_key_gets_it(
    rate: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now, begun, total = Bucket(), 1000.0, 1000.0, 0
    for pause, asked in steps:
        now += pause
        granted, wait = bucket.take(now, rate, asked)
        assert (granted == 0) == (wait > 0)
        total += granted
        assert total <= rate * (now - begun) + rate + 1e-3
        if granted == 0:
            assert bucket.take(now + wait + 1e-6, rate, 1)[0] == 1, (
                "after the wait that was told one is granted"
            )
            now, total = now + wait + 1e-6, total + 1
