"""csvae train --profile."""

import json
import signal
from pathlib import Path

import pytest
import torch

from csvae_cli.app import main
from csvae_cli.errors import StoppedError
from csvae_cli.training.profile import Profile


def test_a_profile_leaves_a_trace_and_says_where_the_time_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = ["train", "--dataset", "swiss-roll", "--epochs", "1", "--profile"]
    assert main([*command, "--out", str(out)]) == 0
    assert "Where the time goes" in capsys.readouterr().err
    events = json.loads((out / "trace.json").read_text())["traceEvents"]
    names = [event.get("name", "") for event in events]
    assert (
        names.count("Optimizer.step#Adam.step") == 40
    )  # ten steps: two optimisers, two more of the adversary
    assert any("addmm" in name for name in names)


def test_a_profile_is_of_steps_of_one_epoch(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["train", "--dataset", "swiss-roll", "--epochs", "2", "--batch-size", "320", "--profile"]
    assert (
        main([*command, "--out", str(out)]) == 0
    )  # 25 steps an epoch: the second and third tick are not one's
    events = json.loads((out / "trace.json").read_text())["traceEvents"]
    assert [event.get("name", "") for event in events].count("Optimizer.step#Adam.step") == 40


def test_a_profile_is_shown_of_a_training_that_is_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = Profile(tmp_path / "trace.json")

    def stopped() -> None:
        with profile.shown():
            for left in (100, 90, 80):
                torch.ones(2).sum()
                profile.tick(left)
            raise StoppedError("Stopped.", signal.SIGINT)

    with pytest.raises(StoppedError):
        stopped()
    assert "Where the time goes" in capsys.readouterr().err
    assert (tmp_path / "trace.json").exists()


def test_a_training_that_is_too_short_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    command = ["train", "--dataset", "swiss-roll", "--epochs", "1", "--batch-size", "4000", "--profile"]
    assert main([*command, "--out", str(out)]) == 0
    assert "too short for a profile" in capsys.readouterr().err
    assert not (out / "trace.json").exists()
