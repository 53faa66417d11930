"""A training is never lost: stopped, killed or resumed, it ends where it would have ended."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import ended

from csvae_cli import runs
from csvae_cli.app import main

_EPOCHS = 6


def _train(out: Path) -> list[str]:
    data = ["--dataset", "swiss-roll", "--batch-size", "400"]
    return [sys.executable, "-m", "csvae_cli", "train", *data, "--out", str(out)]


def _wait_for(path: Path, process: "subprocess.Popen[str]", lines: int = 1) -> None:
    for _ in range(4000):
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, "the training ended before it was to be stopped"
        time.sleep(0.05)
    raise AssertionError(f"{path} never came")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    assert main([*_train(out)[3:], "--epochs", str(_EPOCHS)]) == 0
    return out


_STAGED = ["--kind", "flow-csvae", "--epochs", "11"]


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("staged") / "run"
    assert main([*_train(out)[3:], *_STAGED]) == 0
    return out


def _same(run: Path, whole: Path) -> None:
    for name in ("model.safetensors", "best.safetensors", "statistics.safetensors"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    logs = []
    for folder in (run, whole):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        logs.append([{**line, "images_per_second": 0} for line in lines])
    assert logs[0] == logs[1]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_and_resumed_equals_uninterrupted(
    sent: signal.Signals, code: int, tmp_path: Path, whole: Path
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*_train(out), "--epochs", str(_EPOCHS)], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    )
    with ended(process):
        _wait_for(out / "log.jsonl", process)
        process.send_signal(sent)
        _, error = process.communicate(timeout=120)
    assert process.returncode == code, error
    assert f"csvae train --resume {out}" in error
    assert main(["train", "--resume", str(out)]) == 0
    _same(out, whole)


def test_killed_before_it_kept_anything_and_resumed_equals_uninterrupted(tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*_train(out), "--epochs", str(_EPOCHS)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with ended(process):
        _wait_for(out / "log.jsonl", process)
    assert main(["train", str(out), "--resume"]) == 0
    _same(out, whole)


@pytest.mark.parametrize("lines", [1, 8], ids=["in the autoencoder's stage", "in the map's stage"])
def test_a_training_in_stages_is_stopped_killed_and_resumed(lines: int, tmp_path: Path, staged: Path) -> None:
    log = (staged / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["stage"] for line in log] == ["autoencoder"] * 7 + ["map"] * 4
    out = tmp_path / "run"
    nowhere = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    process = subprocess.Popen([*_train(out), *_STAGED], text=True, **nowhere)
    with ended(process):
        _wait_for(out / "log.jsonl", process, lines)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 143
    positions = [json.loads(path.read_text()) for path in (out / "checkpoint").glob("*/state.json")]
    assert lines <= max(position["epoch"] for position in positions) < 11
    going_on = subprocess.Popen([*_train(out)[:4], "--resume", str(out)], text=True, **nowhere)
    with ended(going_on):
        _wait_for(out / "log.jsonl", going_on, lines + 1)  # killed in what comes after it
    assert main(["train", "--resume", str(out)]) == 0
    _same(out, staged)


def test_the_best_of_a_map_is_one_that_was_ended(tmp_path: Path, staged: Path) -> None:
    """What the end of a map does (`Kind.end_map`) costs likelihood, and is what makes z clean."""
    out = tmp_path / "run"
    shutil.copytree(staged, out)
    config = json.loads((out / "config.json").read_text())
    config["training"]["report_every"] = 10
    (out / "config.json").write_text(json.dumps(config))
    checkpoints = out / "checkpoint"
    shutil.rmtree(checkpoints / "epoch-0011")
    assert main(["train", "--resume", str(out)]) == 0
    shutil.rmtree(checkpoints / "epoch-0011")
    before = checkpoints / "epoch-0010" / "state.json"
    before.write_text(json.dumps({**json.loads(before.read_text()), "best": -1e30}))
    (out / "best.safetensors").unlink()
    assert main(["train", "--resume", str(out)]) == 0
    assert (out / "best.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()


def test_a_finished_training_in_stages_goes_on_in_its_last_one(tmp_path: Path, staged: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(staged, out)
    assert main(["train", "--resume", str(out), "--epochs", "13"]) == 0
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in log] == ["autoencoder"] * 7 + ["map"] * 6
    config = json.loads((out / "config.json").read_text())["training"]
    assert (config["epochs"], config["stages"]) == (13, {"autoencoder": 7, "map": 6})


def test_edits_go_on_with_the_readers_that_held_them(tmp_path: Path, celeba: Path) -> None:
    out, whole = tmp_path / "run", tmp_path / "whole"
    data = ["--dataset", "celeba-glasses", "--data-dir", str(celeba), "--batch-size", "12"]
    assert main(["train", *data, "--preset", "thorough", "--epochs", "5", "--out", str(out)]) == 0
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in log] == ["reader", "autoencoder", "map", "plain-reader", "edits"]
    assert {"seen", "hold", "shown"} <= set(log[-1]["terms"])
    shutil.copytree(out, whole)
    shutil.rmtree(out / "checkpoint" / "epoch-0005")
    assert main(["train", "--resume", str(out)]) == 0
    _same(out, whole)


def test_a_training_in_stages_is_watched_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # stderr counts as a terminal
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--kind", "flow-csvae", "--epochs", "4"]) == 0
    shown = capsys.readouterr().err
    assert "kl_s" in shown  # the autoencoder's terms
    assert "nll" in shown  # and the map's
    assert "epoch 4/4" in shown


def test_without_a_run_there_is_nothing_to_go_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--resume", "--runs", str(tmp_path / "none")]) == 2
    assert "no training under" in capsys.readouterr().err


def test_a_checkpoint_of_another_kind_of_device_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--epochs", "1"]) == 0
    random = out / "checkpoint" / "epoch-0001" / "random.safetensors"
    runs.write_tensors(random, {"noise": torch.zeros(16, dtype=torch.uint8)})  # as a GPU's generator has it
    assert main(["train", "--resume", str(out), "--epochs", "2"]) == 0


def test_stopped_before_the_first_checkpoint_it_begins_where_it_began(tmp_path: Path, whole: Path) -> None:
    first, out = tmp_path / "first", tmp_path / "run"
    options = ["--epochs", "1", "--from", str(whole), "--seed", "3"]
    assert main([*_train(first)[3:], *options]) == 0
    out.mkdir()
    shutil.copy(first / "config.json", out)
    assert main(["train", "--resume", str(out)]) == 0
    _same(out, first)


def test_a_run_in_training_is_not_resumed_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*_train(out), "--epochs", "500"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, text=True
    )
    with ended(process):
        _wait_for(out / "log.jsonl", process)
        assert main(["train", "--resume", str(out)]) == 2
        assert "Another csvae is training" in capsys.readouterr().err
        assert process.poll() is None
    assert main(["train", "--resume", str(out), "--epochs", "1"]) == 0  # the lock went with the process


@pytest.mark.parametrize(
    "option",
    [("--seed", "0"), ("--batch-size", "100"), ("--w-dim", "3"), ("--kind", "csvae"), ("--keep", "none")],
)
def test_what_a_run_began_with_does_not_change_as_it_goes_on(
    option: tuple[str, str], whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (whole / "config.json").read_bytes()
    assert main(["train", "--resume", str(whole), "--epochs", "9", *option]) == 2
    assert f"{option[0]} cannot change" in capsys.readouterr().err
    assert (whole / "config.json").read_bytes() == before


def test_a_checkpoint_without_its_state_does_not_count(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "2", "--out", str(out)]) == 0
    broken = out / "checkpoint" / "epoch-0004"
    broken.mkdir()
    (broken / "weights.safetensors").write_bytes(b"half a file")
    assert main(["train", str(out), "--resume", "--epochs", "3"]) == 0
    assert (out / "checkpoint" / "epoch-0003" / "state.json").exists()
    assert not broken.exists()


def test_what_is_no_checkpoint_stays_beside_them(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--epochs", "1"]) == 0
    (out / "checkpoint" / ".DS_Store").write_bytes(b"as some systems leave it")
    assert main(["train", "--resume", str(out), "--epochs", "3"]) == 0
    assert (out / "checkpoint" / ".DS_Store").exists()


def test_weights_without_a_checkpoint_are_not_trained_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--epochs", "1"]) == 0
    shutil.rmtree(out / "checkpoint")
    before = {name: (out / name).read_bytes() for name in ("model.safetensors", "log.jsonl", "config.json")}
    capsys.readouterr()
    assert main(["train", "--resume", str(out), "--epochs", "2"]) == 2
    assert "no checkpoint to go on from" in capsys.readouterr().err.replace("\n", " ")
    assert {name: (out / name).read_bytes() for name in before} == before


def test_a_training_goes_on_in_the_precision_and_with_the_data_that_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--epochs", "1", "--precision", "fp32"]) == 0
    capsys.readouterr()
    assert main(["train", "--resume", str(out), "--epochs", "2", "--data-dir", str(tmp_path)]) == 0
    assert "fp32 as asked" in capsys.readouterr().err
    config = runs.read_config(runs.Run(out).config)
    assert (config.precision, config.data.data_dir) == ("fp32", str(tmp_path))
    assert main(["train", "--resume", str(out), "--epochs", "3", "--precision", "auto"]) == 0
    assert "as asked" not in capsys.readouterr().err
    assert runs.read_config(runs.Run(out).config).precision == "auto"


def test_a_training_that_is_made_longer_has_no_end_until_it_comes(tmp_path: Path) -> None:
    """`csvae reproduce` takes the sheet of the last epoch for the end of a training."""
    out = tmp_path / "my run"
    assert main([*_train(out)[3:], "--epochs", "1"]) == 0
    assert (out / "samples" / "sheet.png").exists()
    command = [sys.executable, "-m", "csvae_cli", "train", "--resume", str(out), "--epochs", "900"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
    with ended(process):
        _wait_for(out / "log.jsonl", process, lines=2)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=120)
    assert f"csvae train --resume '{out}'" in error
    assert not (out / "samples" / "sheet.png").exists()


def test_a_training_does_not_go_on_with_other_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main([*_train(out)[3:], "--epochs", "1"]) == 0
    text = (out / "config.json").read_text()
    fingerprint = json.loads(text)["data"]["fingerprint"]
    (out / "config.json").write_text(text.replace(fingerprint, "0" * len(fingerprint)))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(["train", "--resume", str(out), "--epochs", "2"]) == 2
    assert "is not what" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "1", "--out", str(out)]) == 0
    for epochs in ("2", "3"):
        assert main(["train", str(out), "--resume", "--epochs", epochs]) == 0
    assert sorted(path.name for path in (out / "checkpoint").iterdir()) == ["epoch-0002", "epoch-0003"]


def test_a_finished_training_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "1", "--out", str(out)]) == 0
    assert main(["train", str(out), "--resume"]) == 0
    assert "finished" in capsys.readouterr().err
