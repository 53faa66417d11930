"""The cache of prepared pictures: right, reused, whole or not at all."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from csvae_cli.data.prepared import cache_root, prepared
from csvae_cli.errors import WorkError

SHAPE = (4, 5, 3)
KEY = "0123456789abcdef0123"
FILE = "things-0123456789abcdef.npy"


def numbered(start, stop):
    """Row i is filled with i, modulo 256."""
    rows = np.arange(start, stop).astype(np.uint8)
    return np.broadcast_to(rows[:, None, None, None], (stop - start, *SHAPE))


def failing(at, error, start, stop):
    if start <= at < stop:
        raise error
    return numbered(start, stop)


def dying(*_):
    os._exit(9)


def silent(*_):
    pass


def build(count, work=numbered, progress=silent, chunk=256, key=KEY):
    return prepared("things", key, count, SHAPE, work, progress, chunk)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    root = tmp_path / "cache"
    monkeypatch.setenv("CSVAE_CACHE", str(root))
    return root


def names(root):
    return sorted(path.name for path in root.iterdir())


def test_the_environment_names_the_cache(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/big")
    monkeypatch.setenv("CSVAE_CACHE", "/bigger/one")
    assert cache_root() == Path("/bigger/one")
    monkeypatch.setenv("CSVAE_CACHE", "~/one")
    assert cache_root() == Path("/home/someone/one")
    monkeypatch.setenv("CSVAE_CACHE", "")
    assert cache_root() == Path("/big/csvae")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path("/home/someone/.cache/csvae")


@pytest.mark.parametrize(("count", "chunk"), [(1, 256), (30, 30), (31, 4)], ids=["one", "here", "workers"])
def test_every_row_is_in_its_place(cache, count, chunk):
    calls = []
    x = build(count, progress=lambda *call: calls.append(call), chunk=chunk)

    np.testing.assert_array_equal(x, numbered(0, count))
    assert x.dtype == np.uint8
    assert not x.flags.writeable
    assert names(cache) == [FILE]
    np.testing.assert_array_equal(np.load(cache / FILE), x)  # an ordinary .npy
    done = [call[1] for call in calls]
    assert done[0] == 0
    assert done[-1] == count
    assert done == sorted(done)
    assert {(call[0], call[2]) for call in calls} == {("Preparing things", count)}


def test_what_is_there_is_not_made_again(cache):
    build(10)
    before = (cache / FILE).stat()
    again = build(10, work=partial(failing, 0, AssertionError("made again")))
    after = (cache / FILE).stat()

    np.testing.assert_array_equal(again, numbered(0, 10))
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_key_is_another_file(cache):
    build(10)
    build(10, key="f" * 64)
    assert names(cache) == [FILE, f"things-{'f' * 16}.npy"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda whole: whole[:50],
        lambda whole: whole[:-1],
        lambda whole: whole + b"\0",
        lambda whole: b"PK\3\4" + whole[4:],
        lambda whole: whole.replace(b"'|u1'", b"'|i1'"),
        lambda whole: whole.replace(b"(10, 4, 5, 3)", b"(10, 5, 4, 3)"),
    ],
    ids=["empty", "header cut", "cut", "longer", "another magic", "another type", "another shape"],
)
def test_a_damaged_file_is_made_again(cache, damage):
    build(10)
    whole = (cache / FILE).read_bytes()
    (cache / FILE).write_bytes(damage(whole))

    np.testing.assert_array_equal(build(10), numbered(0, 10))
    assert (cache / FILE).read_bytes() == whole


def test_a_file_in_use_survives_its_replacement(cache):
    x = build(10)
    (cache / FILE).unlink()
    (cache / FILE).write_bytes(b"damaged")
    build(10)
    np.testing.assert_array_equal(x, numbered(0, 10))


@pytest.mark.parametrize("chunk", [256, 4], ids=["here", "workers"])
@pytest.mark.parametrize("error", [WorkError("picture 17 is damaged"), KeyError("bug")])
def test_the_errors_of_the_work_arrive_as_they_are(cache, chunk, error):
    with pytest.raises(type(error)) as caught:
        build(30, work=partial(failing, 17, error), chunk=chunk)
    assert type(caught.value) is type(error)
    assert caught.value.args == error.args
    assert names(cache) == []
    assert active_children() == []


def test_rows_of_the_wrong_kind_are_refused(cache):
    with pytest.raises(ValueError, match="float64"):
        build(2, work=lambda start, stop: np.zeros((stop - start, *SHAPE)))
    with pytest.raises(ValueError, match=r"\(1, 4, 5, 3\)"):
        build(2, work=lambda *_: np.zeros((1, *SHAPE), np.uint8))
    assert names(cache) == []


@pytest.mark.parametrize("chunk", [256, 4], ids=["here", "workers"])
def test_an_interruption_leaves_nothing(cache, chunk):
    def interrupt(_description, done, _total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(30, progress=interrupt, chunk=chunk)
    assert names(cache) == []
    assert active_children() == []


def test_a_worker_that_is_killed_is_said_to_be(cache):
    with pytest.raises(WorkError, match="things was ended from outside"):
        build(30, work=dying, chunk=4)
    assert names(cache) == []


def test_a_full_disk_is_known_before_the_work(cache):
    with pytest.raises(WorkError, match=r"no room for 60,000,000,000 MB") as caught:
        build(10**15, work=partial(failing, 0, AssertionError("began")))
    assert str(cache) in str(caught.value)
    assert "CSVAE_CACHE" in str(caught.value)
    assert names(cache) == []


def test_a_cache_that_cannot_be_there(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CSVAE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WorkError, match=r"cannot be written to .*file/cache .*CSVAE_CACHE"):
        build(10)


def test_a_cache_that_may_not_be_written(cache):
    cache.mkdir(mode=0o500)
    if os.access(cache, os.W_OK):
        pytest.skip("this user (root?) may write everywhere")
    with pytest.raises(WorkError, match=r"cannot be written to .*Permission denied.*CSVAE_CACHE"):
        build(10)


def test_a_directory_in_the_place_of_the_file(cache):
    (cache / FILE).mkdir(parents=True)
    with pytest.raises(WorkError, match="cannot be written"):
        build(10)
    assert names(cache) == [FILE]


def test_only_what_the_dead_left_is_cleared_away(cache):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    here = os.uname().nodename
    cache.mkdir()
    dead = cache / f"other-0.npy.{here}.{ended.pid}.part"
    own = cache / f"other-0.npy.{here}.{os.getpid()}.part"  # of an earlier process with this number
    old = cache / "other-0.npy.elsewhere.org.7.part"
    alive = cache / f"other-1.npy.{here}.{os.getppid()}.part"
    away = cache / "other-1.npy.elsewhere.org.8.part"
    foreign = cache / "notes.part"
    for path in (dead, own, old, alive, away, foreign):
        path.write_text("half")
    for path in (old, foreign):
        os.utime(path, (0, 0))

    build(10)
    assert set(cache.iterdir()) == {alive, away, foreign, cache / FILE}


SCRIPT = """
import os, sys, time
from pathlib import Path
import numpy as np
from csvae_cli.data.prepared import prepared

pids = Path(sys.argv[1])

def work(start, stop):
    (pids / str(os.getpid())).touch()
    time.sleep(float(sys.argv[2]))
    return np.full((stop - start, 4, 5, 3), 7, np.uint8)

if __name__ == "__main__":
    x = prepared("things", "0123456789abcdef", 60, (4, 5, 3), work, lambda *call: None, 5)
    assert (x == 7).all()
"""


@pytest.fixture
def start(tmp_path):
    """Starts another program that prepares, and whose workers leave their numbers in the folder given."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(pids, pause):
        pids.mkdir()
        root = Path(__file__).parents[1]
        command = [sys.executable, "-W", "error", str(script), str(pids), str(pause)]
        environment = {**os.environ, "PYTHONPATH": str(root)}
        process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment,
            # Where the tests run in the background Ctrl-C is ignored, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()  # where a test failed: else it has ended
        process.wait()
        process.stderr.close()


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def runs(pid):
    """Whether the process is there and not merely unburied."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_two_at_once_both_end_well(cache, tmp_path, start):
    both = [start(tmp_path / name, 0.02) for name in ("a", "b")]
    for process in both:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, "")
    assert names(cache) == [FILE]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
@pytest.mark.parametrize("begun", ["cache", "pids"], ids=["workers start", "workers work"])
def test_ctrl_c_ends_all_quietly_and_leaves_nothing(cache, tmp_path, start, begun):
    cache.mkdir()
    process = start(tmp_path / "pids", 0.3)
    until(lambda: names(tmp_path / begun))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, errors = process.communicate()

    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1  # the script's own
    assert names(cache) == []
    assert not any(runs(pid) for pid in names(tmp_path / "pids"))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes as Linux shows them")
def test_workers_do_not_outlive_a_killed_parent(cache, tmp_path, start):
    process = start(tmp_path / "pids", 0.3)
    until(lambda: names(tmp_path / "pids"))
    process.kill()
    process.communicate()

    until(lambda: not any(runs(pid) for pid in names(tmp_path / "pids")))
    assert len(names(cache)) == 1  # what nobody could remove
    build(10, key="f" * 64)
    assert names(cache) == [f"things-{'f' * 16}.npy"]
