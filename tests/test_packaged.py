"""The model that comes with csvae works where nothing was ever trained."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import ended
from PIL import Image

from csvae_cli import runs
from csvae_cli.app import main
from csvae_cli.evaluation.evaluate import place_of_report

PORTRAIT = Path(__file__).parent.parent / "docs" / "astronaut.jpg"
PHOTO = PORTRAIT.with_name("portrait.jpg")


pytestmark = pytest.mark.usefixtures("in_an_empty_directory")


def _probability(picture: Path, attribute: str, align: str = "none") -> float:
    assert main(["encode", str(picture), "--align", align, "--out", "p.npz", "--force"]) == 0
    return float(np.load("p.npz")[f"p_{attribute}"][0])


@pytest.mark.parametrize("attribute", ["glasses", "facial-hair"])
def test_an_edit_is_seen_by_the_model_itself(attribute: str, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["transfer", str(PORTRAIT), "--align", "celeba", "--attr", attribute, "--decoded"]
    assert main([*common, "--pc", "2", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["output"]).name for line in lines] == [
        f"pc2{coefficient}.png" for coefficient in ("-2.00", "-1.00", "+0.00", "+1.00", "+2.00")
    ]
    assert {len(line["p"]) for line in lines} == {10}
    assert _probability(PORTRAIT, attribute, "celeba") < 0.5
    edited = [_probability(Path(line["output"]), attribute) for line in lines]
    assert min(edited) > 0.9
    assert main([*common, "--own"]) == 0
    own = _probability(Path(f"astronaut-{attribute}") / "own.png", attribute)
    assert own < min(edited) - 0.2
    # The same photo whole, its face found, as people have it: plainly without.
    assert main(["transfer", str(PHOTO), "--attr", attribute, "--decoded", "--own"]) == 0
    assert _probability(Path(f"portrait-{attribute}") / "own.png", attribute) < 0.5


@pytest.mark.parametrize("style", ["--off", "--pc=1"])
def test_the_p_of_an_edit_makes_it_again(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["transfer", str(PORTRAIT), "--align", "celeba", "--attr", "facial-hair", "--decoded", "--json"]
    assert main([*common, style, "--steps", "1"]) == 0
    asked = json.loads(capsys.readouterr().out)
    assert main([*common, "--at=" + ",".join(str(value) for value in asked["p"])]) == 0
    again = json.loads(capsys.readouterr().out)
    one, other = (np.asarray(Image.open(line["output"])).astype(int) for line in (asked, again))
    assert np.abs(one - other).max() <= 1


def test_what_is_not_there_cannot_be_taken_off_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["transfer", str(PHOTO), "--attr", "glasses"]
    assert main([*common, "--off"]) == 0
    assert f"the model sees no glasses in {PHOTO};" in capsys.readouterr().err
    assert main([*common, "--pc", "1", "--steps", "1"]) == 0
    assert "sees no" not in capsys.readouterr().err
    worn = next(Path("portrait-glasses").glob("pc1*"))
    assert main(["transfer", str(worn), "--attr", "glasses", "--off", "--out", "again"]) == 0
    assert "sees no" not in capsys.readouterr().err


def test_a_style_of_another_in_whom_there_is_none_is_said_to_be_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["transfer", str(PORTRAIT), "--attr", "glasses", "--style-from", str(PHOTO)]) == 0
    error = capsys.readouterr().err
    assert f"the model sees no glasses in {PHOTO}, whose style was to be taken" in error
    assert "--off" not in error
    assert main(["transfer", str(PHOTO), "--attr", "glasses", "--off", "--strength", "-1"]) == 0
    assert "sees no" not in capsys.readouterr().err  # the other way puts them on
    Image.new("RGB", (300, 200), "gray").save("nobody.png")
    assert main(["transfer", str(PHOTO), "--attr", "glasses", "--style-from", "nobody.png"]) == 1
    error = capsys.readouterr().err
    assert "No face was found in nobody.png, whose style is asked for; name another picture." in error
    assert main(["transfer", str(PHOTO), "--attr", "glasses", "--style-from", "."]) == 2
    assert "is a folder; name one picture" in capsys.readouterr().err


def test_a_cell_of_a_sheet_is_asked_for_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    common = ["transfer", str(PORTRAIT), "--attr", "glasses", "--align", "celeba", "--decoded", "--json"]
    assert main([*common, "--grid", "3x3"]) == 0
    cells = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (cell,) = [line for line in cells if line["style"] == "pc1+2.00pc2-2.00"]
    assert main([*common, "--at", "pc1+2.0pc2-2.0"]) == 0
    named = json.loads(capsys.readouterr().out)
    assert named["p"] == pytest.approx(cell["p"], abs=1e-5)
    assert Path(named["output"]).name == "pc1+2.0pc2-2.0.png"


def test_stopped_it_ends_with_the_picture_in_hand_and_has_told_all_that_it_wrote() -> None:
    Path("photos").mkdir()
    for number in range(24):
        shutil.copy(PORTRAIT, f"photos/{number}.jpg")
    options = ["--attr", "glasses", "--align", "celeba", "--pc", "1", "--steps", "9"]
    command = [sys.executable, "-m", "csvae_cli", "transfer", "photos", *options]
    with Path("said").open("w+") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        with ended(process):
            assert process.stdout is not None
            told = [process.stdout.readline().strip()]
            process.send_signal(signal.SIGINT)
            told += process.stdout.read().split()
            process.wait(timeout=60)
        error = Path("said").read_text()
    assert process.returncode == 130, error
    assert "Stopped; all that was written is told above." in error
    written = sorted(str(path) for path in Path().glob("*-glasses/*"))
    assert sorted(told) == written
    assert 0 < len(written) < 24 * 9


def test_a_sheet_and_a_walk_of_all_styles(capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "transfer",
        str(PORTRAIT),
        "--attr",
        "glasses",
        "--pc",
        "1",
        "--steps",
        "9",
        "--sheet",
        "--walk",
    ]
    assert main(command) == 0
    written = capsys.readouterr().out.split()
    assert written[-2:] == ["astronaut-glasses/sheet.png", "astronaut-glasses/walk.webp"]
    assert len(written) == 11
    with Image.open("astronaut-glasses/sheet.png") as sheet:
        assert 7 * 178 < sheet.width < 7 * 185  # seven across, two down
        assert 2 * 218 < sheet.height < 2 * 250
    with Image.open("astronaut-glasses/walk.webp") as animation:
        assert (getattr(animation, "n_frames", 1), animation.size) == (
            16,
            (178, 218),
        )  # nine there, seven back
        animation.seek(8)
        last = np.asarray(animation.convert("RGB")).astype(int)
    with Image.open("astronaut-glasses/pc1+2.00.jpg") as picture:
        assert np.abs(np.asarray(picture).astype(int) - last).mean() < 5
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err


def test_a_sheet_without_any_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grid"]) == 0
    sheet = Path(capsys.readouterr().out.strip())
    with Image.open(sheet) as picture:
        assert picture.width > 10 * 64


def test_a_plane_of_one_row_shows_own_and_off_all_the_same() -> None:
    plane = ["grid", str(PORTRAIT), "--attr", "glasses", "--align", "celeba"]
    assert main([*plane, "--grid", "1x7", "--out", "row.png"]) == 0
    assert main([*plane, "--grid", "3x7", "--out", "plane.png"]) == 0
    with Image.open("row.png") as row, Image.open("plane.png") as whole:
        assert row.size == whole.size
        edge = row.width - 8 * (64 + 3)  # eight columns, each with its gap
        first = (edge, 0, edge + 64, row.height)  # the picture, own, off
        assert np.array_equal(np.asarray(row.crop(first)), np.asarray(whole.crop(first)))


def test_it_has_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--dataset", "swiss-roll", "--epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["info", "csvae", "--json"]) == 0  # and not the run, which is newer
    assert json.loads(capsys.readouterr().out)["run"] == str(runs.PACKAGED)


def test_two_attributes_make_a_grid_of_grids(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["grid", str(PORTRAIT), "--attr", "glasses", "--attr", "facial-hair"]
    assert main([*command, "--align", "celeba", "--out", "both.png"]) == 0
    assert "as CelebA's pictures are" in capsys.readouterr().err
    style = ["--at=" + _point("glasses"), "--also", "facial-hair=" + _point("facial-hair")]
    edit = ["transfer", str(PORTRAIT), "--align", "celeba", "--decoded", "--attr", "glasses", *style]
    assert main([*edit, "--out", "."]) == 0
    with Image.open(next(Path("astronaut-glasses").iterdir())) as one, Image.open("both.png") as sheet:
        face, page = (np.asarray(picture.convert("RGB")).astype(int) for picture in (one, sheet))
    middle = page[page.shape[0] // 3 : -page.shape[0] // 3, page.shape[1] // 3 : -page.shape[1] // 3]
    windows = np.lib.stride_tricks.sliding_window_view(middle, (64, 64), axis=(0, 1))[..., ::8, ::8]
    small = face[::8, ::8].transpose(2, 0, 1)
    assert np.abs(windows - small).mean((2, 3, 4)).min() < 1  # the means of both in the middle of the middle
    assert main([*command, "--attr", "glasses", "--out", "three.png"]) == 2


def _point(attribute: str) -> str:
    """The mean of those who have it."""
    config = runs.read_config(runs.PACKAGED / "config.json")
    found = runs.read_statistics(runs.PACKAGED / "statistics.safetensors", config)
    mean = found.subspaces[config.model.index(attribute)].present_mean
    return ",".join(f"{value:.5f}" for value in mean.tolist())


def test_it_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "flow-csvae"
    assert found["attributes"] == ["glasses", "facial-hair"]
    assert found["keep"] == ["male", "young", "smiling"]
    assert "go together" in found["keep_why"]


def test_a_report_on_it_does_not_lie_beside_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs.PACKAGED.parent)
    for named in (runs.PACKAGED, Path(runs.PACKAGED.name), Path("..") / "pretrained" / runs.PACKAGED.name):
        assert place_of_report(runs.Run(named), Path("runs")).path == Path("runs") / runs.PACKAGED.name
    assert place_of_report(runs.Run(Path("mine")), Path("runs")).path == Path("mine")


def test_it_is_small_and_carries_its_card_and_no_person_of_the_data() -> None:
    files = {path.name: path.stat().st_size for path in runs.PACKAGED.iterdir()}
    assert set(files) == {"README.md", "config.json", "model.safetensors", "statistics.safetensors"}
    assert sum(files.values()) <= 16_000_000
    statistics = runs.read_statistics(
        runs.PACKAGED / "statistics.safetensors", runs.read_config(runs.PACKAGED / "config.json")
    )
    assert len(statistics.faces) == 1  # the portrait in docs/
    assert "research only" in (runs.PACKAGED / "README.md").read_text()


def test_what_one_file_of_many_inputs_answers_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.png").write_bytes(b"no picture")
    assert main(["encode", str(PHOTO), "broken.png", str(PORTRAIT), "--json"]) == 1
    failed, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert failed["input"] == "broken.png"
    assert done == {"output": "codes.npz", "rows": 2}
    assert main(["grid", str(PHOTO), "--attr", "glasses", "--out", "sheet.png", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "sheet.png"
    assert Path("sheet.png").exists()


def test_precisions_draw_the_same_to_the_eye_and_are_taken_as_asked() -> None:
    found = []
    for precision in ("fp32", "fp32", "bf16"):
        command = ["transfer", str(PORTRAIT), "--attr", "glasses", "--align", "celeba", "--decoded"]
        assert main([*command, "--precision", precision, "--device", "cpu", "--force"]) == 0
        with Image.open("astronaut-glasses/on.png") as picture:
            found.append(np.asarray(picture).astype(int))
    assert np.array_equal(found[0], found[1])
    apart = np.abs(found[2] - found[0])
    assert 0 < apart.max() < 30
    assert apart.mean() < 2


def test_a_command_may_be_called_from_another_thread() -> None:
    """Where no signal ever comes, and Python lets nobody ask for one."""
    done: list[int] = []
    command = ["transfer", str(PORTRAIT), "--attr", "glasses", "--align", "celeba"]
    thread = threading.Thread(target=lambda: done.append(main(command)))
    thread.start()
    thread.join()
    assert done == [0]
