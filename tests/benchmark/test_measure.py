"""The harness: cases, methods, interleaved rounds, records."""

import math
import time

import pytest

from hbm_fast.benchmark.measure import Case, Method, break_even, measure
from hbm_fast.benchmark.records import Record, Results, measured_here


@pytest.fixture
def calls():
    return []


@pytest.fixture
def case(calls):
    """Sums of the first n integers; the second method is wrong and runs half of them."""

    def method(name, error):
        def prepare(n):
            def run():
                calls.append(name)
                time.sleep(0.002)  # long enough not to be repeated
                return n * (n + 1) // 2 + error

            return run

        return prepare

    def check(answer, n):
        return {"error": abs(answer - n * (n + 1) // 2), "answer": answer}

    methods = [
        Method("ours", method("ours", 0)),
        Method("peer", method("peer", 3), share=2),
        Method("absent", method("absent", 0), requires=("a_module_that_is_not_installed",)),
    ]
    return Case("sums", 10, "term", lambda n: (n,), check, methods)


def test_rounds_are_interleaved(case, calls):
    ours, peer = measure(case, rounds=3)
    assert calls == ["ours", "ours", "peer", "peer"] * 4  # compiled, then warm and timed by turns
    assert (ours.case, ours.method, ours.ratio, ours.error) == ("sums", "ours", 1.0, 0)
    assert (peer.method, peer.error) == ("peer", 3)
    assert ours.metrics["terms"] == 10
    assert peer.metrics["terms"] == 5
    assert peer.metrics["answer"] == 18
    assert peer.metrics["lower_quartile"] <= peer.ratio <= peer.metrics["upper_quartile"]
    assert peer.metrics["ns_a_term"] == pytest.approx(peer.seconds / 5 * 1e9)


def test_methods_are_chosen_by_name(case, calls):
    assert [record.method for record in measure(case, ["peer"], rounds=1)] == ["peer"]
    assert measure(case, ["absent"]) == []
    assert set(calls) == {"peer"}


def test_records_are_written_and_read(case, tmp_path):
    results = measured_here("Sums", measure(case, rounds=1), ["numpy", "no-such-package"], ["a note"])
    assert results.versions["no-such-package"] == "absent"
    results.write(tmp_path / "sums.json")
    assert Results.read(tmp_path / "sums.json") == results
    infinite = Results("", [Record("a", "b", error=math.inf)])
    infinite.write(tmp_path / "infinite.json")
    assert Results.read(tmp_path / "infinite.json").records[0].error == "inf"


def test_break_even():
    assert break_even(100.0, 0.5, 1.5) == 100.0
    assert break_even(100.0, 1.5, 1.5) == math.inf
