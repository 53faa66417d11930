"""Wrong requests: a sentence, exit code 2 or 1, and nothing half-written."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from csvae_cli import runs
from csvae_cli.app import main
from csvae_cli.editing.requests import unique_stems

pytestmark = pytest.mark.usefixtures("in_an_empty_directory")


def _refused(capsys: pytest.CaptureFixture[str], code: int, arguments: list[str], *words: str) -> None:
    before = sorted(Path().rglob("*"))
    assert main(arguments) == code
    output = capsys.readouterr()
    assert output.out == ""
    for word in words:
        assert word in output.err
    assert "Traceback" not in output.err
    assert sorted(Path().rglob("*")) == before


def _csvae(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[Any]":
    command = [sys.executable, "-m", "csvae_cli", *arguments]
    return subprocess.run(command, check=False, **{"capture_output": True, **options})


def test_an_unknown_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "celeba-glases"], "celeba-glasses")


def test_a_split_that_nobody_is_judged_by(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["evaluate"], ["reproduce", "swiss-roll"]):
        _refused(capsys, 2, [*command, "--split", "train"], "val, test")
    _refused(capsys, 2, ["encode", "--dataset", "celeba-glasses", "--split", "vall"], "did you mean val?")


def test_no_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train"], "--dataset")


def test_the_papers_preset_of_what_is_not_the_papers(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--dataset", "swiss-roll", "--kind", "flow-csvae"]
    _refused(capsys, 2, [*command, "--preset", "paper"], "--kind csvae")
    _refused(capsys, 2, [*command, "--epochs", "1"], "at least")
    _refused(capsys, 2, [*command, "--preset", "thorough"], "of pictures")


def test_no_data_directory(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "celeba-glasses"], "--data-dir")


def test_a_missing_data_directory(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "celeba-glasses", "--data-dir", "nowhere"], "nowhere")


def test_a_broken_picture_in_the_data(
    celeba: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "celeba"
    shutil.copytree(celeba, copy)
    (copy / "img_align_celeba" / "000003.jpg").write_text("this is text")
    _refused(capsys, 1, ["train", "--dataset", "celeba-glasses", "--data-dir", str(copy)], "000003.jpg")


def test_an_unknown_attribute_suggests_near_ones(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(
        capsys,
        2,
        ["transfer", str(face), "--attr", "glases", "--model", str(trained)],
        "did you mean glasses?",
    )
    _refused(capsys, 2, ["transfer", str(face), "--model", str(trained)], "--attr")


def test_an_unknown_attribute_to_keep(celeba: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(
        capsys,
        2,
        ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--keep", "mal"],
        "male",
    )


def test_no_model_at_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PACKAGED", Path("not-there"))
    for command in (["transfer", "face.jpg"], ["grid"], ["info"]):
        _refused(capsys, 2, command, "csvae train")


def test_an_empty_folder_and_a_missing_file(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    common = ["--attr", "glasses", "--model", str(trained)]
    _refused(capsys, 2, ["transfer", "empty", *common], "empty")
    _refused(capsys, 2, ["transfer", "nothing.jpg", *common], "nothing.jpg")


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xd8\xff\xe0 cut off"])
def test_a_file_that_is_no_picture(content: bytes, trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jpg").write_bytes(content)
    _refused(capsys, 1, ["transfer", "bad.jpg", "--attr", "glasses", "--model", str(trained)], "bad.jpg")
    _refused(capsys, 1, ["encode", "bad.jpg", "--model", str(trained)], "bad.jpg")


def test_a_truncated_picture(trained: Path, face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("cut.jpg").write_bytes(face.read_bytes()[:3000])
    _refused(capsys, 1, ["transfer", "cut.jpg", "--attr", "glasses", "--model", str(trained)], "cut.jpg")


def test_styles_that_the_subspace_does_not_have(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["transfer", str(face), "--attr", "glasses", "--model", str(trained)]
    _refused(capsys, 2, [*common, "--pc", "3"], "2 dimensions")
    _refused(capsys, 2, [*common, "--at", "1"], "2 numbers")
    _refused(capsys, 2, [*common, "--at", "1,x"], "1,x")
    _refused(capsys, 2, [*common, "--grid", "3"], "ROWSxCOLUMNS")
    _refused(capsys, 2, [*common, "--style-from", str(face), "--off"], "not both")
    _refused(capsys, 2, [*common, "--also", "glasses=off"], "gets a style already")
    _refused(capsys, 2, [*common, "--also", "facial-hair=thick"], "thick")
    _refused(capsys, 2, [*common, "--also", "facial-hair=pc3+1"], "2 components")
    _refused(capsys, 2, [*common, "--also", "hat"], "hat")


def test_what_does_nothing_is_said(
    trained: Path, face: Path, celeba: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = ["--model", str(trained)]
    edit = ["transfer", str(face), "--attr", "glasses", "--force", *of]
    people = ["grid", str(face), str(face), "--out", "s.png", "--force", *of]
    both = ["grid", str(face), "--attr", "glasses", "--attr", "facial-hair", "--out", "b.png", *of]
    train = ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--dry-run", "--kind"]
    for command, word in (
        ([*edit, "--steps", "5"], "--steps"),
        ([*edit, "--grid", "1x2", "--steps", "3"], "--steps"),
        ([*edit, "--off", "--span", "2"], "--span"),
        ([*edit, "--style-from", str(face), "--span", "2"], "--span"),
        ([*people, "--grid", "2x2"], "--grid"),
        ([*people, "--span", "2"], "--span"),
        ([*both, "--grid", "5x7"], "3x3"),
        (["encode", str(face), "--split", "test", *of], "--split"),
        *(([*train, kind, "--w-dim", "3"], "--w-dim") for kind in ("vae", "condvae", "condvae-info")),
        ([*train, "flow-csvae", "--prior", "printed"], "--prior"),
    ):
        assert main(command) == 0, command
        assert word in capsys.readouterr().err
    for command in (
        [*edit, "--pc", "1", "--steps", "2", "--span", "1"],
        people,
        [*train, "csvae", "--w-dim", "3"],
        [*train, "csvae", "--prior", "printed"],
    ):
        assert main(command) == 0
        assert "--" not in capsys.readouterr().err


def test_pairs_that_cannot_be_read(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairs.csv").write_text("input,other\na.jpg,b.jpg\n")
    common = ["--attr", "glasses", "--model", str(trained)]
    _refused(capsys, 2, ["transfer", "--pairs", "pairs.csv", *common], "line 2")
    _refused(capsys, 2, ["transfer", "--pairs", "missing.csv", *common], "missing.csv")


def test_a_run_with_the_weights_of_another(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, "mixed")
    config = json.loads(Path("mixed/config.json").read_text())
    config["model"]["latent_dim"] = 7
    Path("mixed/config.json").write_text(json.dumps(config))
    _refused(capsys, 2, ["transfer", str(face), "--attr", "glasses", "--model", "mixed"], "another model")


def test_damaged_and_missing_weights(trained: Path, face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(trained, "damaged")
    weights = Path("damaged/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:5000])
    command = ["transfer", str(face), "--attr", "glasses", "--model", "damaged"]
    _refused(capsys, 1, command, "damaged")
    weights.unlink()
    _refused(capsys, 2, command, "--resume")


def test_a_config_with_unknown_keys_or_from_the_future(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, "odd")
    path = Path("odd/config.json")
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "surprise": 1}))
    command = ["transfer", str(face), "--attr", "glasses", "--model", "odd"]
    _refused(capsys, 2, command, "surprise")
    path.write_text(json.dumps({**config, "format": 99}))
    _refused(capsys, 2, command, "99")
    path.write_text("{")
    _refused(capsys, 2, command, "config.json")


def test_a_run_that_is_there_is_not_overwritten(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "model.safetensors").read_bytes()
    _refused(capsys, 2, ["train", "--dataset", "swiss-roll", "--out", str(trained)], "--out")
    assert (trained / "model.safetensors").read_bytes() == before


def test_a_dry_run_finds_what_a_training_would(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--dataset", "swiss-roll", "--dry-run"]
    _refused(capsys, 2, [*command, "--out", str(trained)], "not empty")
    _refused(capsys, 2, ["train", "--resume", str(trained), "--dry-run"], "--dry-run")


def test_styles_that_would_be_called_the_same(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transfer", str(face), "--attr", "glasses", "--model", str(trained)]
    _refused(capsys, 2, [*command, "--pc", "1", "--steps", "99", "--span", "0.4"], "--span")


def test_pairs_have_no_sheet(trained: Path, face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pairs.csv").write_text(f"input,style_from\n{face},{face}\n")
    command = ["transfer", "--pairs", "pairs.csv", "--attr", "glasses", "--model", str(trained)]
    _refused(capsys, 2, [*command, "--sheet"], "--pairs")


def test_a_sheet_is_no_folder_and_never_over_an_input(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path("own.png")
    with Image.open(face) as picture:
        picture.save(own)
    command = ["grid", str(own), "--model", str(trained), "--force", "--out"]
    before = own.read_bytes()
    _refused(capsys, 2, [*command, str(own)], "is an input")
    _refused(capsys, 2, [*command, str(trained)], "is a folder")
    _refused(capsys, 2, [*command, "sheet.jpg"], "a PNG file")
    assert own.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
def test_a_place_that_may_not_be_written_is_known_before_the_work(
    face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("closed").mkdir(mode=0o500)
    for command in (["encode", str(face), "--out", "closed/c.npz"], ["grid", "--out", "closed/g.png"]):
        _refused(capsys, 2, command, "may not be written into")


def test_a_table_is_no_folder(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("codes.npz").mkdir()
    _refused(capsys, 2, ["encode", str(face), "--out", "codes.npz", "--force"], "is a folder")


def test_a_place_with_brackets_in_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x[/y]").mkdir(parents=True)
    assert main(["datasets", "x[/y]"]) == 0
    assert "x[/y]" in capsys.readouterr().out.replace("\n", "")


def test_options_that_resume_cannot_change(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", str(trained), "--resume", "--seed", "3"], "--seed")
    _refused(capsys, 2, ["train", str(trained), "--dataset", "swiss-roll"], "--resume")
    _refused(capsys, 2, ["train", "toy-faces"], "--dataset NAME")


def test_a_seed_that_generators_have_no_room_for(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "swiss-roll", "--seed", "20261129093000"], "--seed")
    _refused(capsys, 2, ["reproduce", "swiss-roll", "--seed", "20261129093000"], "--seed")


def test_networks_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "swiss-roll", "--network", "paper"], "points")


def test_a_device_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    _refused(capsys, 2, ["train", "--dataset", "swiss-roll", "--device", "cuda:99"], "cuda:99")
    for device in ("tpu", "cpu:", "cpu:3", "cuda:x"):
        _refused(capsys, 2, ["train", "--dataset", "swiss-roll", "--device", device], f"“{device}”")


def test_a_model_of_points_takes_no_pictures(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "1", "--out", "roll"]) == 0
    capsys.readouterr()
    _refused(capsys, 2, ["transfer", str(face), "--model", "roll"], "points")
    _refused(capsys, 2, ["grid", "--model", "roll"], "points")


def test_a_term_that_is_not_finite_stops_training_and_keeps_the_last_good_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "1", "--out", "roll"]) == 0
    run = runs.Run(Path("roll"))
    good = run.model.read_bytes()
    weights = run.checkpoints / "epoch-0001" / "weights.safetensors"
    tensors = runs.read_tensors(weights)
    tensors["decoder.1.bias"] = torch.full_like(tensors["decoder.1.bias"], torch.nan)
    runs.write_tensors(weights, tensors)
    capsys.readouterr()
    assert main(["train", "roll", "--resume", "--epochs", "3"]) == 1
    error = capsys.readouterr().err
    assert "epoch 2" in error
    assert "recon" in error
    assert run.model.read_bytes() == good
    assert not (run.checkpoints / "epoch-0002").exists()


def test_a_training_that_has_nothing_yet_is_not_the_newest_model(
    trained: Path, face: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path / "runs" / "done")
    (tmp_path / "runs" / "begun").mkdir()
    shutil.copy(trained / "config.json", tmp_path / "runs" / "begun")
    monkeypatch.setenv("CSVAE_RUNS", str(tmp_path / "runs"))
    assert main(["transfer", str(face), "--attr", "facial-hair"]) == 0
    assert main(["info"]) == 0
    shutil.rmtree(tmp_path / "runs" / "done")
    assert main(["transfer", str(face), "--attr", "glasses"]) == 0  # the model that comes with csvae


def test_what_no_picture_says_cannot_be_kept(
    celeba: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "celeba"
    shutil.copytree(celeba, data)
    lists = data / "list_attr_celeba.txt"
    count, header, *rows = lists.read_text().splitlines()
    column = header.split().index("Male") + 1
    rows = [" ".join([*(words := row.split())[:column], "1", *words[column + 1 :]]) for row in rows]
    lists.write_text("\ufeff" + "\n".join([count, header, *rows]) + "\n", "utf-8")  # as Windows' editor does
    command = ["train", "--dataset", "celeba-glasses", "--data-dir", str(data), "--dry-run"]
    assert main(command) == 2
    assert "No training picture is without male" in capsys.readouterr().err
    assert main([*command, "--keep", "none"]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_an_answer_that_has_no_room() -> None:
    for command in (["datasets"], ["datasets", "--json"], ["--version"], ["--help"]):
        with Path("/dev/full").open("w") as full:
            piped = {"capture_output": False, "stdout": full, "stderr": subprocess.PIPE}
            done = _csvae(*command, **piped, text=True)
        assert done.returncode == 1
        assert done.stderr.count("stdout: No space left on device") == 1
        assert "bug" not in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception" not in done.stderr


def test_nobody_listens(face: Path) -> None:
    """stdout, stderr, or both are closed: the work is done all the same."""
    command = f"{sys.executable} -m csvae_cli transfer {face} --attr glasses --out"
    for number, closed in enumerate((">&-", "2>&-", ">&- 2>&-")):
        done = subprocess.run(["sh", "-c", f"{command} {number} {closed}"], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert b"bug" not in done.stderr
        assert Path(str(number), "face-glasses", "on.jpg").exists()


def test_a_reader_that_has_enough(face: Path) -> None:
    """`csvae … | head -1`: no complaint, and an exit code that says it."""
    reading, writing = os.pipe()
    os.close(reading)
    done = _csvae(
        "transfer",
        str(face),
        "--attr",
        "glasses",
        "--json",
        capture_output=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert done.returncode == 1
    assert b"csvae: " not in done.stderr.replace(b"csvae: 1 face", b"")


def test_a_stdout_of_few_letters(face: Path) -> None:
    """What its encoding has not is escaped, and no bug; JSON is JSON."""
    named = Path("Jürgen – Łuk.jpg")
    shutil.copy(face, named)
    for encoding in ("ascii", "latin-1", "cp1252"):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        assert _csvae("transfer", "--help", env=environment).returncode == 0
        edit = ("transfer", str(named), "--attr", "glasses", "--force")
        assert _csvae(*edit, env=environment).returncode == 0
        said = _csvae(*edit, "--json", env=environment)
        assert json.loads(said.stdout.decode("utf-8"))["input"] == str(named)


def test_a_terminal_that_cannot_draw_anew_is_told_line_by_line() -> None:
    import pty

    above, below = pty.openpty()
    train = ("train", "--dataset", "swiss-roll", "--epochs", "2", "--out", "run")
    plain = {**os.environ, "TERM": "dumb"}
    assert (
        _csvae(*train, env=plain, capture_output=False, stdout=subprocess.PIPE, stderr=below).returncode == 0
    )
    os.close(below)
    said = os.read(above, 100_000).decode()
    os.close(above)
    assert "epoch 1/2" in said
    assert "epoch 2/2" in said
    assert "\x1b" not in said


def test_eyes_are_those_of_one_picture(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    eyes = ["--eyes", "70,90,130,90"]
    for command in (["transfer", "--attr", "glasses"], ["grid", "--out", "s.png"], ["encode"]):
        for inputs in ([str(face), str(face)], [str(face.parent)]):
            _refused(capsys, 2, [*command, *inputs, *eyes], "one picture")


def test_names_that_are_one_on_some_disks(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An edit would take another's place there, unasked."""
    rows = []
    for folder, name in (("a", "Jürgen"), ("b", "JÜRGEN"), ("c", unicodedata.normalize("NFD", "Jürgen"))):
        Path(folder).mkdir()
        rows.append(f"{face},{folder}/{name}.jpg")
        shutil.copy(face, Path(folder, f"{name}.jpg"))
    Path("pairs.csv").write_text("\n".join(["input,style_from", *rows]), encoding="utf-8")
    assert main(["transfer", "--pairs", "pairs.csv", "--attr", "glasses"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert said.err.count("is another edit's already") == 2
    assert unique_stems([Path(row.partition(",")[2]) for row in rows]) == [
        "Jürgen",
        "JÜRGEN-2",
        unicodedata.normalize("NFD", "Jürgen") + "-3",
    ]


def test_a_link_to_itself_stops_no_other(face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("loop.jpg").symlink_to("loop.jpg")
    Path("pairs.csv").write_text(f"input,style_from\nloop.jpg,{face}\n{face},{face}\n")
    assert main(["transfer", "--pairs", "pairs.csv", "--attr", "glasses"]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert "loop.jpg" in said.err


def test_a_picture_with_too_many_pixels(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("1", (20_000, 20_000)).save("huge.png")
    _refused(capsys, 1, ["transfer", "huge.png", "--attr", "glasses", "--model", str(trained)], "huge.png")
