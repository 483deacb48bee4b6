"""The cache of rows: keys, bounds, several threads and processes, kills and damage."""

import multiprocessing
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emotion_estimators.features import _cache, _cache_folder
from emotion_estimators.features._cache import (
    MemoryCache,
    compute_rows,
    image_keys,
    open_cache,
)
from emotion_estimators.features._cache_folder import FolderCache

MEGABYTE = 2**20


def rows_of(numbers, n_features=512):
    return {
        b"key%09d" % i: np.random.default_rng(i).standard_normal(n_features).astype(np.float32)
        for i in numbers
    }


def assert_holds(cache, rows):
    known = cache.lookup(list(rows))
    assert known.keys() == rows.keys()
    for key, row in rows.items():
        assert known[key].dtype == row.dtype
        assert_array_equal(known[key], row)


@pytest.fixture
def open_folder(tmp_path):
    opened = []

    def open_folder(max_bytes=100 * MEGABYTE):
        opened.append(FolderCache(tmp_path / "cache", max_bytes=max_bytes, owner="Tested"))
        return opened[-1]

    yield open_folder
    for cache in opened:
        cache.close()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "cache" / "embeddings-v2.sqlite3"


# ---- keys


def test_everything_that_matters_changes_the_key():
    images = np.random.default_rng(0).integers(0, 255, (3, 6, 8), dtype=np.uint8)
    settings = {"weights": "a", "size": (6, 8)}
    keys = image_keys(images, settings)
    assert len(set(keys)) == 3
    brighter = images.copy()
    brighter[0, 5, 7] += 1
    variants = {
        "a pixel": image_keys(brighter, settings)[0],
        "the shape": image_keys(images.reshape(3, 8, 6), settings)[0],
        "a channel": image_keys(images[..., np.newaxis], settings)[0],
        "the type": image_keys(images.view(np.int8), settings)[0],
        "the weights": image_keys(images, settings | {"weights": "b"})[0],
        "another setting": image_keys(images, settings | {"more": None})[0],
    }
    assert len({keys[0], *variants.values()}) == 1 + len(variants)


def test_what_does_not_matter_leaves_the_key():
    images = np.random.default_rng(0).integers(0, 255, (5, 6, 8), dtype=np.uint8)
    keys = image_keys(images, {"a": 1, "b": 2})
    assert image_keys(images, {"b": 2, "a": 1}) == keys
    assert image_keys(np.asfortranarray(images), {"a": 1, "b": 2}) == keys
    assert image_keys(images[::-2], {"a": 1, "b": 2}) == keys[::-2]


# ---- what is computed


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_each_distinct_image_is_computed_once(kind, open_folder):
    cache = MemoryCache(MEGABYTE) if kind == "memory" else open_folder()
    distinct = np.random.default_rng(0).integers(0, 255, (30, 4, 4), dtype=np.uint8)
    images = distinct[np.random.default_rng(1).integers(0, 30, 100)]
    seen = []

    def compute(batch, out):
        seen.extend(image.tobytes() for image in batch)
        out[:] = batch.reshape(len(batch), -1) / np.float32(3)

    def rows_by(cache, settings):
        batches = ((slice(i, i + 7), images[i : i + 7]) for i in range(0, 100, 7))
        return compute_rows(
            batches,
            (100, 16),
            compute,
            cache=cache,
            settings=settings,
        )

    expected = images.reshape(100, -1) / np.float32(3)
    for _ in range(2):
        rows = rows_by(cache, {})
        assert_array_equal(rows, expected)
        rows[:] = 0  # what is returned is the caller's own
    assert len(seen) == len(set(seen)) == len({image.tobytes() for image in images})
    rows_by(cache, {"other": 1})
    assert len(seen) == 2 * len(set(seen))
    assert_array_equal(rows_by(None, {}), expected)
    assert len(seen) == 2 * len(set(seen)) + 100


def test_nothing_is_kept_of_a_computation_that_fails(open_folder):
    cache = open_folder()
    images = np.zeros((2, 4, 4), np.uint8)

    def fail(_images, _out):
        raise RuntimeError("no memory left")

    with pytest.raises(RuntimeError, match="no memory left"):
        compute_rows(
            [(slice(0, 2), images)],
            (2, 16),
            fail,
            cache=cache,
            settings={},
        )
    assert cache.lookup(image_keys(images, {})) == {}


def test_open_cache(tmp_path):
    with open_cache(None, owner="Tested") as none:
        assert none is None
    with open_cache("memory", owner="Tested") as one, open_cache("memory", owner="T") as other:
        assert one is other
    with open_cache(tmp_path / "new" / "folder", owner="Tested") as cache:
        cache.store(rows_of(range(3)))
    with open_cache(str(tmp_path / "new" / "folder"), owner="Tested") as cache:
        assert_holds(cache, rows_of(range(3)))
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=r"Tested cannot keep its cache in .*file.*Set cache to"),
        open_cache(tmp_path / "file", owner="Tested"),
    ):
        pass


# ---- bounds


def test_memory_forgets_what_was_used_longest_ago():
    row = 512 * 4 + _cache._ENTRY
    cache = MemoryCache(10 * row)
    rows = rows_of(range(12))
    keys = list(rows)
    cache.store({key: rows[key] for key in keys[:10]})
    cache.lookup([keys[0]])
    cache.store({key: rows[key] for key in keys[10:]})
    assert set(cache.lookup(keys)) == {keys[0], *keys[3:]}
    cache.store({keys[3]: rows[keys[3]]})  # again: takes no more room
    assert len(cache) == 10
    cache.store(rows_of([99], n_features=10_000))  # too large by itself
    assert len(cache) == 0


def test_a_folder_forgets_what_was_used_longest_ago(open_folder, database, monkeypatch):
    clock = [1e9]
    monkeypatch.setattr(_cache_folder.time, "time", lambda: clock[0])
    cache = open_folder(2 * MEGABYTE)
    for i in range(40):  # 4 MB in all
        clock[0] += 1
        cache.store(rows_of(range(50 * i, 50 * i + 50)))
        clock[0] += 601  # after which a use is noted again
        cache.lookup(list(rows_of(range(50))))
    rows = rows_of(range(2000))
    known = set(cache.lookup(list(rows)))
    cache.close()  # writes the log into the database
    assert database.stat().st_size <= 2 * MEGABYTE
    numbers = [i for i, key in enumerate(rows) if key in known]
    newest = len(numbers) - 50
    assert numbers == [*range(50), *range(2000 - newest, 2000)]
    # of 2 MB at least 90 % are left after each clearance; an entry takes about 2.4 kB on disk
    assert len(numbers) > 700


def test_a_folder_shrinks_with_its_bound(open_folder, database):
    large = open_folder()
    large.store(rows_of(range(1000)))
    large.close()
    assert database.stat().st_size > 2 * MEGABYTE
    small = open_folder(MEGABYTE)
    small.store(rows_of([1000]))
    assert_holds(small, rows_of([1000]))
    small.close()
    assert database.stat().st_size <= MEGABYTE


# ---- threads and processes


def test_threads_share_the_memory():
    cache = MemoryCache(200 * (512 * 4 + _cache._ENTRY))

    def use(seed):
        rows = rows_of(np.random.default_rng(seed).integers(0, 400, 50))
        for _ in range(20):
            cache.store(rows)
            for key, row in cache.lookup(list(rows)).items():
                assert_array_equal(row, rows[key])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(16)))
    assert len(cache) == 200


def _write_some(folder, start):
    cache = FolderCache(folder, max_bytes=100 * MEGABYTE, owner="Tested")
    for i in range(start, start + 200, 10):
        cache.store(rows_of(range(i, i + 10)))
        assert_holds(cache, rows_of(range(start, i + 10)))
    cache.close()


def test_processes_write_at_the_same_time(tmp_path, open_folder):
    # all of them make the folder and the database, too; half of the rows come twice
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_write_some, args=(tmp_path / "cache", start))
        for start in (0, 100, 200)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert_holds(open_folder(), rows_of(range(400)))


WRITER = textwrap.dedent("""
    import sys
    import numpy as np
    from emotion_estimators.features._cache_folder import FolderCache
    cache = FolderCache(sys.argv[1], max_bytes=2**22, owner="Tested")
    i = int(sys.argv[2])
    print("ready", flush=True)
    while True:
        rows = {
            b"key%09d" % k: np.random.default_rng(k).standard_normal(512).astype(np.float32)
            for k in range(i, i + 50)
        }
        cache.store(rows)
        i += 50
""")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_killed_while_it_writes(tmp_path, open_folder):
    rng = np.random.default_rng(0)
    for attempt in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "cache"), str(10_000 * attempt)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.05, 0.4))
            os.kill(process.pid, signal.SIGKILL)
        cache = open_folder()
        rows = rows_of(range(10_000 * attempt, 10_000 * attempt + 50))
        cache.store(rows)
        assert_holds(cache, rows)
        integrity = cache._connection.execute("PRAGMA integrity_check").fetchall()
        assert integrity == [("ok",)]
        known = [key for (key,) in cache._connection.execute("SELECT key FROM entries")]
        assert len(known) > 50  # the killed process had written
        assert_holds(cache, rows_of(int(key[3:]) for key in known))


# ---- damage


@pytest.mark.parametrize("time_of_use", [None, "now", b"now", float("inf"), -1.0])
def test_a_damaged_time_of_use_is_set_again(open_folder, database, time_of_use):
    rows = rows_of(range(3))
    open_folder().store(rows)
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("UPDATE entries SET last_used=?", [time_of_use])
    assert_holds(open_folder(), rows)
    with closing(sqlite3.connect(database)) as connection:
        times = [when for (when,) in connection.execute("SELECT last_used FROM entries")]
    assert all(time.time() - 60 < when <= time.time() for when in times)


def test_a_damaged_entry_counts_as_missing(open_folder, database):
    cache = open_folder()
    rows = rows_of(range(4))
    keys = list(rows)
    cache.store(rows)
    cache.close()
    with sqlite3.connect(database) as connection:
        (value,) = connection.execute(
            "SELECT value FROM entries WHERE key=?", (keys[0],)
        ).fetchone()
        changed = value[:100] + bytes([value[100] ^ 1]) + value[101:]  # one bit
        change = "UPDATE entries SET value=? WHERE key=?"
        connection.executemany(
            change, [(changed, keys[0]), (value[:-4], keys[1]), (value, keys[2]), (None, keys[3])]
        )
    connection.close()
    cache = open_folder()
    assert cache.lookup(keys) == {}
    cache.store(rows)
    assert_holds(cache, rows)


def test_bits_that_flip_on_the_disk_never_change_a_row(open_folder, database):
    rows = rows_of(range(300))
    cache = open_folder()
    cache.store(rows)
    cache.close()
    whole = database.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(10):
        damaged = bytearray(whole)
        for place in rng.integers(100, len(whole), 50):
            damaged[place] ^= 1 << int(rng.integers(8))
        database.write_bytes(damaged)
        with warnings.catch_warnings():
            # where the structure is hit, the database starts from scratch and says so
            warnings.filterwarnings("ignore", "Tested: its cache", UserWarning)
            cache = open_folder()
            for key, row in cache.lookup(list(rows)).items():
                assert_array_equal(row, rows[key])
            cache.close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_damaged_database_starts_from_scratch(open_folder, database, content):
    cache = open_folder()
    cache.store(rows_of(range(300)))
    cache.close()
    whole = database.read_bytes()
    # a page in the middle and all that follow it, or everything
    database.write_bytes(content or whole[:16384] + bytes(len(whole) - 16384))

    def use():
        cache = open_folder()
        cache.lookup(list(rows_of(range(300))))
        return cache

    with pytest.warns(UserWarning, match=r"Tested: its cache .* is damaged; starts from scratch"):
        cache = use()
    cache.store(rows_of(range(5)))
    assert_holds(cache, rows_of(range(5)))


@pytest.mark.parametrize(
    "name", [b"entries", b"by_use", b"last_used", b"CREATE TABLE", b"checksum"]
)
def test_a_schema_that_is_not_utf_8_is_damage(open_folder, database, name):
    cache = open_folder()
    cache.store(rows_of(range(3)))
    cache.close()
    whole = database.read_bytes()
    places = [match.start() for match in re.finditer(name, whole)]
    assert places
    for at in places:
        database.write_bytes(whole[:at] + b"\xe3" + whole[at + 1 :])
        with warnings.catch_warnings():
            # sqlite3 raises UnicodeDecodeError, which is none of its own errors
            warnings.filterwarnings(
                "ignore", "Tested: its cache .* (damaged|unusable)", UserWarning
            )
            cache = open_folder()
            for key, row in cache.lookup(list(rows_of(range(3)))).items():
                assert_array_equal(row, rows_of(range(3))[key])
            cache.close()


def test_a_cache_that_cannot_be_written_is_done_without(open_folder):
    cache = open_folder()
    cache.store(rows_of(range(3)))
    cache._connection.execute("PRAGMA max_page_count=8")  # as on a full disk
    with pytest.warns(UserWarning, match=r"unusable \(.*full\); computes without it"):
        cache.store(rows_of(range(100)))
    cache.store(rows_of(range(3, 6)))
    assert cache.lookup(list(rows_of(range(3)))) == {}
    assert_holds(open_folder(), rows_of(range(3)))
