"""Several processes at one training, and at one folder."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import ended

from csvae_cli.app import main
from csvae_cli.errors import RequestError
from csvae_cli.processes import ALONE, Processes, of_environment

CSVAE = str(Path(sys.executable).with_name("csvae"))
TORCHRUN = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--nproc-per-node", "2"]
ROLL = ["train", "--dataset", "swiss-roll", "--kind", "csvae", "--batch-size", "400", "--out", "roll"]

_AVERAGE = """
import torch
from csvae_cli.processes import joined
with joined(torch.device("cpu")) as processes:
    torch.manual_seed(0)
    model = torch.nn.Conv2d(3, 2, 2).to(memory_format=torch.channels_last)
    rows = torch.randn(8, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    unused = torch.nn.Parameter(torch.zeros(4))
    model(processes.part(rows)).square().mean().backward()
    processes.average([*model.parameters(), unused])
    shared = model.weight.grad.clone()
    model.zero_grad()
    model(rows).square().mean().backward()
    assert torch.allclose(shared, model.weight.grad, atol=1e-6), (shared, model.weight.grad)
    assert unused.grad is None
    assert processes.any(processes.rank == 1, torch.device("cpu"))
    assert not processes.any(False, torch.device("cpu"))
    assert processes.mean({"a": processes.rank, "b": 3.0}, torch.device("cpu")) == {"a": 0.5, "b": 3.0}
"""


_ENDED = """
import os, torch
from csvae_cli.errors import WorkError
from csvae_cli.processes import joined
with joined(torch.device("cpu")) as processes:
    processes.any(False, torch.device("cpu"))
    if processes.first:
        try:
            processes.any(False, torch.device("cpu"))
        except WorkError as error:
            print(error, flush=True)
    os._exit(0)
"""

_PREPARED = """
import time, torch
from pathlib import Path
from csvae_cli.processes import joined
with joined(torch.device("cpu")) as processes, processes.one_before_others():
    if processes.first:
        time.sleep(0.5)
        Path("prepared").touch()
    else:
        assert Path("prepared").exists()
"""


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def _side_by_side(*command: str) -> list[subprocess.CompletedProcess[str]]:
    """The command in two processes, as torchrun would start them, without torchrun's own start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            command,
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    done = []
    with ended(started[0]), ended(started[1]):
        for process in started:
            out, err = process.communicate(timeout=200)
            done.append(subprocess.CompletedProcess(command, process.returncode, out, err))
    return done


def _log(run: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (Path(run) / "log.jsonl").read_text().splitlines()]


def test_gradients_of_parts_are_averaged_to_those_of_the_whole() -> None:
    for done in _side_by_side(sys.executable, "-c", _AVERAGE):
        assert done.returncode == 0, done.stderr


def test_one_that_ends_is_named_as_the_reason() -> None:
    first, _ = _side_by_side(sys.executable, "-c", _ENDED)
    assert first.stdout.startswith("Another of the processes has ended"), first.stderr


def test_what_is_prepared_is_prepared_once_on_a_machine() -> None:
    for done in _side_by_side(sys.executable, "-c", _PREPARED):
        assert done.returncode == 0, done.stderr


def test_two_processes_train_stop_together_and_one_goes_on() -> None:
    process = subprocess.Popen(
        [*TORCHRUN, "--no-python", CSVAE, *ROLL, "--epochs", "40"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        said = ""
        while "epoch 2/40" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "2 processes with 400 in a batch of all" in said
        assert len(re.findall("epoch 1/40", said)) == 1
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=100)
    finally:
        with suppress(ProcessLookupError):  # torchrun's own children, too, whatever went wrong
            os.killpg(process.pid, signal.SIGKILL)
    assert "go on with: csvae train --resume roll" in rest
    assert process.returncode != 0
    done = len(_log("roll"))
    assert 2 <= done < 40
    assert main(["train", "--resume", "roll", "--epochs", str(done + 1)]) == 0
    assert [line["epoch"] for line in _log("roll")] == list(range(1, done + 2))


def test_two_processes_go_through_all_stages_together(celeba: Path) -> None:
    command = ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--batch-size", "12"]
    command += ["--preset", "thorough", "--epochs", "5", "--out", "run"]
    for process in _side_by_side(CSVAE, *command):
        assert process.returncode == 0, process.stderr
    assert [line["stage"] for line in _log("run")] == [
        "reader",
        "autoencoder",
        "map",
        "plain-reader",
        "edits",
    ]
    assert (
        main(["transfer", str(next(celeba.glob("*/000003.jpg"))), "--model", "run", "--align", "celeba"]) == 0
    )


def test_a_folder_is_shared_and_its_tables_follow_one_another(celeba: Path) -> None:
    pictures = sorted((celeba / "img_align_celeba").iterdir())[:5]
    command = ["encode", *map(str, pictures), "--align", "celeba", "--out", "codes.npz"]
    for done in _side_by_side(CSVAE, *command):
        assert done.returncode == 0, done.stderr
    assert main(command) == 0
    parts = [np.load(f"codes-0000{rank}-of-00002.npz") for rank in range(2)]
    whole = np.load("codes.npz")
    assert [len(part["files"]) for part in parts] == [2, 3]
    for name in set(whole.files) - {"attributes"}:
        together = np.concatenate([part[name] for part in parts])
        if name == "files":
            assert np.array_equal(together, whole[name])
        else:  # batches of other sizes may be summed in another order
            assert np.allclose(together, whole[name], rtol=1e-4, atol=1e-5), name


def test_a_batch_that_cannot_be_shared_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*ROLL[:-4], "--batch-size", "63", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "63" in said
    assert "--batch-size 64" in said


def test_examples_that_cannot_be_shared_are_refused_before_the_training(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "100000")
    assert main([*ROLL[:-4], "--batch-size", "400000", "--dry-run"]) == 2
    assert "examples are too few for 100000 processes" in capsys.readouterr().err


def test_a_rank_that_an_environment_names_for_other_reasons_is_nobody_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Job scripts leave such names behind: without WORLD_SIZE there is one process, which does everything."""
    for rank in ("3", "first"):
        monkeypatch.setenv("RANK", rank)
        assert of_environment() == ALONE
    monkeypatch.setenv("WORLD_SIZE", "")
    assert of_environment() == ALONE
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(RequestError, match="unset it"):
        of_environment()


@pytest.mark.parametrize("command", [["evaluate"], ["reproduce", "swiss-roll"]])
def test_what_one_process_does_is_refused_to_several(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(command) == 2
    assert "without torchrun" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_item_has_one_process(count: int) -> None:
    items = list(range(5))
    parts = [items[Processes(rank, count).share(5)] for rank in range(count)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
