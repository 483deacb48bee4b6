"""NetworkPool: each network is opened once, and nobody waits for one that another opens."""

import copy
import gc
import multiprocessing
import pickle
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from emotion_estimators._sklearn import fit_context
from emotion_estimators.networks.facenet.engine import _OnnxFaceNetwork, random_state
from emotion_estimators.networks.pool import NetworkPool, pool

MIB = 2**20


class Network:
    """What is opened; counts."""

    n_opened = 0

    def __init__(self, weights=None):
        type(self).n_opened += 1
        self.weights = weights


@pytest.fixture(autouse=True)
def count_from_zero(monkeypatch):
    monkeypatch.setattr(Network, "n_opened", 0)


def in_threads(function, n):
    """Return what n threads, begun together, get from a function of their number."""
    ready = threading.Barrier(n)

    def run(number):
        ready.wait(timeout=30)
        return function(number)

    with ThreadPoolExecutor(n) as threads:
        return [future.result(timeout=60) for future in [threads.submit(run, i) for i in range(n)]]


def slow_network():
    time.sleep(0.1)  # time for the other threads to come
    return Network()


@pytest.mark.parametrize("owner", [None, BaseEstimator()])
def test_threads_share_one_network(owner):
    networks = NetworkPool()
    got = in_threads(lambda _: networks.get("a", slow_network, owner=owner), 8)
    assert Network.n_opened == 1
    assert set(map(id, got)) == {id(got[0])}


def test_two_networks_are_opened_side_by_side():
    networks = NetworkPool()
    both = threading.Barrier(2)

    def build():
        both.wait(timeout=30)  # broken unless the other is being opened meanwhile
        return Network()

    first, second = in_threads(lambda number: networks.get(number, build), 2)
    assert first is not second


@pytest.mark.parametrize("key", ["open", "other"])
def test_nobody_waits_for_a_network_that_another_thread_opens(key):
    networks = NetworkPool()
    networks.get("open", Network)
    begun, may_end = threading.Event(), threading.Event()

    def build():
        begun.set()
        assert may_end.wait(timeout=30)
        return Network()

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(networks.get, "slow", build)
        assert begun.wait(timeout=30)
        networks.get(key, Network)
        assert not slow.done()
        may_end.set()
        slow.result(timeout=30)


def test_an_error_reaches_all_who_wait_and_the_next_try_succeeds():
    networks = NetworkPool()
    n_tries = []

    def fail():
        n_tries.append(1)
        time.sleep(0.05)
        raise OSError(f"try {len(n_tries)}: the file is damaged")

    def attempt(_):
        with pytest.raises(OSError, match="the file is damaged"):
            networks.get("a", fail)

    in_threads(attempt, 4)
    assert len(n_tries) == 4
    assert networks.get("a", Network) is networks.get("a", fail)
    assert len(n_tries) == 4


def test_waiting_for_a_network_leaves_nothing_behind():
    networks = NetworkPool()
    for number in range(3):
        networks.get(number, Network)
    gc.collect()
    assert len(networks._opening) == 0


# ---- owners


def test_a_network_is_dropped_with_its_owner():
    networks = NetworkPool()
    owner = BaseEstimator()
    network = weakref.ref(networks.get("a", Network, owner=owner))
    gc.collect()
    assert network() is not None
    del owner
    gc.collect()
    assert network() is None


def test_owners_have_networks_of_their_own_and_several_each():
    networks = NetworkPool()
    first, second = BaseEstimator(), BaseEstimator()
    got = [networks.get(key, Network, owner=one) for one in (first, second) for key in "ab"]
    got.append(networks.get("a", Network))
    assert Network.n_opened == len(set(map(id, got))) == 5
    assert networks.get("b", Network, owner=first) is got[1]


def test_a_network_that_is_not_current_is_replaced():
    networks = NetworkPool()
    owner = BaseEstimator()

    def network_of(weights):
        return networks.get(
            "a",
            lambda: Network(weights),
            owner=owner,
            is_current=lambda network: network.weights == weights,
        )

    old = weakref.ref(network_of(1))
    assert network_of(1) is old()
    assert network_of(2).weights == 2
    gc.collect()
    assert old() is None
    assert Network.n_opened == 2


class Estimator(BaseEstimator):
    """Has weights after a fit, and a network of them in the pool."""

    def __init__(self, *, value=0):
        self.value = value

    _parameter_constraints = {"value": "no_validation"}  # noqa: RUF012

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):  # noqa: ARG002
        self.weights_ = {"w": np.full(3, self.value)}
        self.seen_in_fit_ = self.predict().sum()
        return self

    def predict(self):
        return pool.get(
            "network",
            lambda: Network(self.weights_),
            owner=self,
            is_current=lambda network: network.weights is self.weights_,
        ).weights["w"]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, clone, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_copies_never_see_the_network_of_other_weights(copied):
    estimator = Estimator(value=1).fit(None)
    assert estimator.predict().tolist() == [1, 1, 1]
    other = copied(estimator).set_params(value=2).fit(None)
    assert other.seen_in_fit_ == 6
    estimator.predict()
    for value in (3, 4):
        estimator.set_params(value=value).fit(None)
        assert estimator.seen_in_fit_ == 3 * value
        assert estimator.predict().tolist() == [value] * 3
        assert other.predict().tolist() == [2, 2, 2]


def test_a_fit_that_fails_leaves_the_network_of_the_weights_before():
    class Failing(Estimator):
        @fit_context(prefer_skip_nested_validation=True)
        def fit(self, X, y=None):  # noqa: ARG002
            self.weights_ = {"w": np.zeros(3)}
            self.predict()
            raise ValueError("the fit failed")

    estimator = Estimator(value=1).fit(None)
    estimator.__class__ = Failing
    with pytest.raises(ValueError, match="the fit failed"):
        estimator.fit(None)
    assert estimator.predict().tolist() == [1, 1, 1]


# ---- memory


@pytest.mark.parametrize("n_bytes", [100 * MIB, lambda network: network.weights])
def test_of_too_many_networks_those_unused_longest_are_closed(n_bytes):
    networks = NetworkPool(max_bytes=400 * MIB)

    def open_again(key):
        before = Network.n_opened
        networks.get(key, lambda: Network(100 * MIB), n_bytes=n_bytes)
        return Network.n_opened > before

    assert [open_again(key) for key in "abc"] == [True, True, True]
    assert not open_again("a")
    assert open_again("d")  # "b" is closed for it
    assert [open_again(key) for key in "acd"] == [False, False, False]
    assert open_again("b")


def test_a_network_above_the_bound_is_kept_until_the_next_one():
    networks = NetworkPool(max_bytes=MIB)
    large = networks.get("a", Network, n_bytes=2**40)
    assert networks.get("a", Network, n_bytes=2**40) is large
    networks.get("b", Network)
    assert networks.get("a", Network) is not large


def test_small_networks_are_not_kept_without_end():
    networks = NetworkPool()
    opened = [weakref.ref(networks.get(number, Network)) for number in range(200)]
    gc.collect()
    assert sum(network() is not None for network in opened) == 64


# ---- one borrower


def test_a_network_is_lent_to_one_borrower_at_a_time_and_reused():
    networks = NetworkPool()
    with networks.lend("a", Network) as first, networks.lend("a", Network) as second:
        assert first is not second
    with networks.lend("b", Network) as other:
        assert other not in (first, second)
    with networks.lend("a", Network) as again, networks.lend("a", Network) as both:
        assert {id(again), id(both)} == {id(first), id(second)}
    assert Network.n_opened == 3


def test_a_network_whose_borrower_failed_is_not_lent_again():
    networks = NetworkPool()
    with pytest.raises(ValueError, match="diverged"), networks.lend("a", Network) as first:
        raise ValueError("diverged")
    with networks.lend("a", Network) as second:
        assert second is not first


def test_only_a_few_idle_networks_wait():
    networks = NetworkPool()
    lent = []
    for key in range(10):
        with networks.lend(key, Network) as network:
            lent.append(weakref.ref(network))
    del network
    gc.collect()
    assert [one() is not None for one in lent] == [False] * 6 + [True] * 4


# ---- forked processes


@pytest.fixture
def fork():
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    context = multiprocessing.get_context("fork")

    def run(function):
        """Return what a function gives in a forked process."""
        results = context.SimpleQueue()
        process = context.Process(target=lambda: results.put(function()), daemon=True)
        process.start()
        process.join(timeout=60)
        is_hanging = process.is_alive()
        if is_hanging:
            process.kill()
        assert not is_hanging
        assert process.exitcode == 0
        return results.get()

    return run


def test_a_forked_process_opens_networks_of_its_own(fork):
    networks = NetworkPool()
    owner = BaseEstimator()
    shared, owned = networks.get("a", Network), networks.get("a", Network, owner=owner)
    with networks.lend("a", Network) as lent:
        pass

    def in_child():
        with networks.lend("a", Network) as borrowed:
            pass
        pairs = [
            (networks.get("a", Network), shared),
            (networks.get("a", Network, owner=owner), owned),
            (borrowed, lent),
        ]
        kept = networks.get("a", Network) is pairs[0][0]
        return kept, [one is another for one, another in pairs]

    assert fork(in_child) == (True, [False] * 3)
    assert networks.get("a", Network) is shared


def test_a_forked_process_does_not_wait_for_threads_of_its_parent(fork):
    networks = NetworkPool()
    begun, may_end = threading.Event(), threading.Event()

    def build():
        begun.set()
        assert may_end.wait(timeout=60)
        return Network()

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(networks.get, "a", build)
        assert begun.wait(timeout=30)
        with networks._lock:  # as if a third thread were just looking
            assert fork(lambda: networks.get("a", Network).n_opened) == 1
        may_end.set()
        slow.result(timeout=30)


def test_a_fork_within_a_block_does_not_lend_the_network_of_the_parent(fork):
    networks = NetworkPool()

    def leave_block_and_borrow():
        block.__exit__(None, None, None)
        with networks.lend("a", Network) as network:
            return network is lent

    block = networks.lend("a", Network)
    lent = block.__enter__()
    assert fork(leave_block_and_borrow) is False
    block.__exit__(None, None, None)
    with networks.lend("a", Network) as again:
        assert again is lent


def test_a_forked_process_closes_no_network_of_its_parent(fork):
    """Closing a session of two threads waits for both, which a forked process does not have."""
    networks = NetworkPool()
    owners = [BaseEstimator()]
    for owner in (None, owners[0]):
        networks.get("network", lambda: _OnnxFaceNetwork(random_state(0), 2), owner=owner)
    del owner

    def in_child():
        owners.clear()
        gc.collect()
        networks.get("network", Network)
        return "nothing hangs"

    assert fork(in_child) == "nothing hangs"
