"""Whole commands, as a user types them, in a temporary directory."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from csvae_cli import runs
from csvae_cli.app import main
from csvae_cli.data.toy_faces import portrait
from csvae_cli.editing.editor import Editor

pytestmark = pytest.mark.usefixtures("in_an_empty_directory")


def _files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_a_run_directory_holds_what_the_contract_says(trained: Path) -> None:
    found = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    parts = ("weights", "moments", "random", "memory")
    checkpoints = [f"checkpoint/epoch-{epoch:04d}" for epoch in (0, 2)]
    assert found == {
        "config.json",
        "model.safetensors",
        "best.safetensors",
        "best-statistics.safetensors",
        "statistics.safetensors",
        "log.jsonl",
        "samples/epoch-0002.png",
        "samples/sheet.png",
        *(f"{folder}/{part}.safetensors" for folder in checkpoints for part in parts),
        *(f"{folder}/state.json" for folder in checkpoints),
    }
    lines = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert set(lines[-1]["leak"]) == {"glasses", "facial-hair"}
    assert set(lines[0]["terms"]) == {"recon", "kl_z", "kl_w", "neg_entropy", "adversary"}
    mode = (trained / "model.safetensors").stat().st_mode & 0o777
    assert mode == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_transfer_along_a_component_names_files_by_style(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["transfer", str(face), "--attr", "glasses", "--pc", "2", "--model", str(trained)])
    assert code == 0
    expected = [f"face-glasses/pc2{c:+.2f}.jpg" for c in (-2, -1, 0, 1, 2)]
    assert capsys.readouterr().out.split() == expected
    assert sorted(_files()) == sorted(expected)
    for path in expected:
        with Image.open(path) as picture:
            assert picture.size == (200, 200)


def test_an_existing_file_is_kept_unless_forced(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transfer", str(face), "--attr", "glasses", "--model", str(trained)]
    assert main(command) == 0
    edited = Path("face-glasses/on.jpg")
    edited.write_bytes(b"mine")
    assert main(command) == 1
    assert edited.read_bytes() == b"mine"
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert edited.read_bytes() != b"mine"


def test_json_has_a_line_for_every_picture_and_every_failure(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = face.with_name("broken.jpg")
    broken.write_text("not a picture")
    code = main(
        [
            *("transfer", str(broken), str(face), "--attr", "facial-hair", "--off", "--own"),
            *("--decoded", "--json", "--model", str(trained)),
        ]
    )
    output = capsys.readouterr()
    lines = [json.loads(line) for line in output.out.splitlines()]
    assert code == 1
    assert "1 of 2 inputs failed" in output.err
    assert set(lines[0]) == {"input", "error"}
    assert str(broken) in lines[0]["error"]
    assert [line["style"] for line in lines[1:]] == ["off", "own"]
    for line in lines[1:]:
        assert set(line) == {"input", "output", "attr", "p", "style"}
        assert line["attr"] == "facial-hair"
        assert line["p"] == [0, 0] or line["style"] == "own"
        with Image.open(line["output"]) as picture:
            assert (picture.format, picture.size) == ("PNG", (64, 64))


def test_a_picture_is_edited_identically_alone_and_among_others(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(portrait(number, glasses=False, facial_hair=False, size=90)).save(
            folder / f"{number}.png"
        )
    common = ["--attr", "glasses", "--pc", "1", "--model", str(trained)]
    assert main(["transfer", str(folder), *common, "--out", "all"]) == 0
    assert main(["transfer", str(folder / "2.png"), *common, "--out", "alone"]) == 0
    for alone in Path("alone").rglob("*.png"):
        assert alone.read_bytes() == (Path("all") / alone.relative_to("alone")).read_bytes()


def test_the_photo_outside_the_face_is_untouched(trained: Path, tmp_path: Path) -> None:
    wide = Image.new("RGB", (300, 100), (200, 10, 10))
    wide.paste(Image.fromarray(portrait(2, glasses=False, facial_hair=False, size=100)), (100, 0))
    wide.save(tmp_path / "wide.png")
    command = ["transfer", str(tmp_path / "wide.png"), "--attr", "glasses", "--at", "80,80"]
    assert main([*command, "--model", str(trained)]) == 0
    edited = _pixels("wide-glasses/at+80.00,+80.00.png")
    original = np.asarray(wide).astype(int)
    assert np.array_equal(edited[:, :100], original[:, :100])
    assert np.array_equal(edited[:, 200:], original[:, 200:])
    assert np.abs(edited - original).max() > 2


def _pixels(path: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    with Image.open(path) as picture:
        return np.asarray(picture).astype(np.int64)


def test_own_style_on_a_photo_changes_nothing(trained: Path, tmp_path: Path) -> None:
    picture = Image.fromarray(portrait(2, glasses=True, facial_hair=False, size=120))
    picture.save(tmp_path / "p.png")
    assert (
        main(["transfer", str(tmp_path / "p.png"), "--attr", "glasses", "--own", "--model", str(trained)])
        == 0
    )
    assert np.array_equal(_pixels("p-glasses/own.png"), np.asarray(picture))


def test_pairs_put_the_style_of_one_picture_on_another(
    trained: Path, face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wearers = []
    for number in (5, 6):
        path = tmp_path / f"wearer{number}.png"
        Image.fromarray(portrait(number, glasses=True, facial_hair=False, size=64)).save(path)
        wearers.append(path)
    pairs = tmp_path / "pairs.csv"
    with pairs.open("w", newline="", encoding="utf-8-sig") as file:  # as spreadsheets write it
        csv.writer(file).writerows([("input", "style_from"), *((face, wearer) for wearer in wearers)])
    code = main(["transfer", "--pairs", str(pairs), "--attr", "glasses", "--json", "--model", str(trained)])
    assert code == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["style_from"] for line in lines] == [str(wearer) for wearer in wearers]
    assert [line["output"] for line in lines] == [f"face-glasses/from-wearer{n}.jpg" for n in (5, 6)]
    codes = tmp_path / "w.npz"
    assert main(["encode", *map(str, wearers), "--out", str(codes), "--model", str(trained)]) == 0
    taken = np.load(codes)["w_glasses_mu"]
    assert np.allclose([line["p"] for line in lines], taken, atol=1e-4)


def test_two_edits_of_the_same_name_do_not_overwrite_each_other(
    trained: Path, face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["input,style_from"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(portrait(5 + len(rows), glasses=True, facial_hair=False, size=64)).save(
            tmp_path / folder / "wearer.png"
        )
        rows.append(f"{face},{tmp_path / folder / 'wearer.png'}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    command = [
        "transfer",
        "--pairs",
        str(tmp_path / "pairs.csv"),
        "--attr",
        "glasses",
        "--model",
        str(trained),
    ]
    assert main(command) == 1
    output = capsys.readouterr()
    assert output.out.split() == ["face-glasses/from-wearer.jpg"]
    assert "from-wearer.jpg is another edit's already" in output.err
    assert "1 of 2 edits failed" in output.err


def test_a_pair_with_a_picture_that_is_not_there(
    trained: Path, face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.png"
    (tmp_path / "pairs.csv").write_text(f"input,style_from\n{missing},{face}\n{face},{missing}\n")
    command = ["transfer", "--pairs", str(tmp_path / "pairs.csv"), "--attr", "glasses"]
    assert main([*command, "--model", str(trained)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [f"csvae: {missing} is not there."] * 2 + ["csvae: 2 of 2 edits failed."]


def test_one_photo_that_takes_too_much_memory_does_not_stop_the_rest(
    trained: Path,
    face: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (300, 300), "gray").save(large)
    whole = Image.fromarray

    def with_less(array: np.ndarray, *arguments: object) -> Image.Image:
        if array.shape[:2] == (300, 300):
            raise MemoryError
        return whole(array, *arguments)

    monkeypatch.setattr(Image, "fromarray", with_less)
    command = ["transfer", str(large), str(face), "--align", "none"]
    assert main([*command, "--attr", "glasses", "--model", str(trained)]) == 1
    output = capsys.readouterr()
    assert output.out.split() == ["face-glasses/on.jpg"]
    assert f"{large} needs more memory than there is; shrink it first." in output.err


def test_a_twin_far_down_the_list_is_refused_too(
    trained: Path, face: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"a/{number}" for number in range(12)] + ["b/0"]
    rows = ["input,style_from"]
    for name in names:
        wearer = tmp_path / f"{name}.png"
        wearer.parent.mkdir(exist_ok=True)
        Image.fromarray(portrait(5, glasses=True, facial_hair=False, size=64)).save(wearer)
        rows.append(f"{face},{wearer}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    command = ["transfer", "--pairs", str(tmp_path / "pairs.csv"), "--attr", "glasses", "--force"]
    assert main([*command, "--model", str(trained)]) == 1
    output = capsys.readouterr()
    assert output.out.split() == [f"face-glasses/from-{number}.jpg" for number in range(12)]
    assert "from-0.jpg is another edit's already" in output.err


def _line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


def test_strength_goes_part_of_the_way(trained: Path, face: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["transfer", str(face), "--attr", "glasses", "--at=3,-5", "--json", "--model", str(trained)]
    assert main(["transfer", str(face), "--attr", "glasses", "--own", "--json", "--model", str(trained)]) == 0
    own = np.array(_line(capsys)["p"])
    assert main([*command, "--strength", "0.25"]) == 0
    line = _line(capsys)
    assert line["output"] == "face-glasses/at+3.00,-5.00-x0.25.jpg"
    assert np.allclose(line["p"], own + 0.25 * (np.array([3, -5]) - own), atol=1e-4)
    assert main([*command, "--strength", "0", "--decoded"]) == 0
    nothing = _pixels(str(_line(capsys)["output"]))
    assert (
        main(["transfer", str(face), "--attr", "glasses", "--own", "--decoded", "--model", str(trained)]) == 0
    )
    assert np.array_equal(nothing, _pixels("face-glasses/own.png"))


def test_also_edits_another_attribute_in_the_same_picture(trained: Path, face: Path) -> None:
    common = ["transfer", str(face), "--decoded", "--model", str(trained)]
    assert main([*common, "--attr", "glasses", "--at=4,4", "--also", "facial-hair=2,-3", "--out", "one"]) == 0
    assert main([*common, "--attr", "facial-hair", "--at=2,-3", "--also", "glasses=4,4", "--out", "two"]) == 0
    assert main([*common, "--attr", "glasses", "--at=4,4", "--out", "three"]) == 0
    one = _pixels("one/face-glasses/at+4.00,+4.00.png")
    assert np.array_equal(one, _pixels("two/face-facial-hair/at+2.00,-3.00.png"))
    assert not np.array_equal(one, _pixels("three/face-glasses/at+4.00,+4.00.png"))


def test_the_editor_takes_and_gives_pil(trained: Path, face: Path) -> None:
    editor = Editor.of(runs.load(str(trained), Path()), "cpu")
    with Image.open(face) as picture:
        edited = editor.edit(picture, "glasses", "pc1+2.00")
        assert edited.size == picture.size
        assert not np.array_equal(np.asarray(edited), np.asarray(picture.convert("RGB")))
        assert np.array_equal(np.asarray(editor.edit(picture, "glasses", "own")), np.asarray(picture))
        # As telephones keep it: lying on its side, and said to be.
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.transpose(Image.Transpose.ROTATE_90).save("lying.png", exif=exif)
        with Image.open("lying.png") as lying:
            assert np.array_equal(np.asarray(editor.edit(lying, "glasses", "own")), np.asarray(picture))


def test_a_style_that_is_asked_for_twice_is_drawn_once(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transfer", str(face), "--attr", "glasses", "--model", str(trained)]
    assert main([*command, "--pc", "1", "--pc", "1", "--off", "--steps", "3"]) == 0
    assert len(capsys.readouterr().out.split()) == 4


def test_names_that_differ_in_capitals_alone_do_not_meet(trained: Path, face: Path) -> None:
    for name in ("a/IMG.jpg", "b/img.jpg", "c/Img.jpg"):
        Path(name).parent.mkdir()
        shutil.copy(face, name)
    inputs = ["a/IMG.jpg", "b/img.jpg", "c/Img.jpg"]
    assert main(["transfer", *inputs, "--attr", "glasses", "--model", str(trained)]) == 0
    written = sorted(str(path) for path in Path().glob("*-glasses/*"))
    assert written == ["IMG-glasses/on.jpg", "Img-3-glasses/on.jpg", "img-2-glasses/on.jpg"]


def test_encode_writes_rows_in_the_order_of_the_inputs(trained: Path, face: Path, tmp_path: Path) -> None:
    other = tmp_path / "another.png"
    Image.fromarray(portrait(8, glasses=True, facial_hair=True, size=64)).save(other)
    assert main(["encode", str(face), str(other), "--out", "a.npz", "--model", str(trained)]) == 0
    assert main(["encode", str(other), str(face), "--out", "b.npz", "--model", str(trained)]) == 0
    a, b = np.load("a.npz"), np.load("b.npz")
    assert a["files"].tolist() == [str(face), str(other)]
    names = {"files", "labels", "attributes", "z_mu", "z_log_var"}
    names |= {f"w_{name}_{part}" for name in ("glasses", "facial-hair") for part in ("mu", "log_var")}
    assert set(a.files) == names
    assert a["w_glasses_mu"].shape == (2, 2)
    assert b["files"].tolist() == [str(other), str(face)]
    for name in names - {"attributes", "labels", "files"}:
        # The place in a batch may decide about the last digit.
        assert np.allclose(a[name], b[name][::-1], rtol=1e-4, atol=1e-5), name


def test_encode_of_a_folder_is_that_of_each_alone_and_one_that_fails_stops_none(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(70):  # more than two groups, the last one incomplete
        Image.fromarray(portrait(number, glasses=False, facial_hair=True, size=64)).save(
            folder / f"{number:02}.png"
        )
    (folder / "07.png").write_bytes(b"no picture")
    assert main(["encode", str(folder), "--out", "all.npz", "--model", str(trained)]) == 1
    assert "1 of 70 inputs failed" in capsys.readouterr().err
    found = np.load("all.npz")
    assert [Path(name).stem for name in found["files"]] == [f"{n:02}" for n in range(70) if n != 7]
    for row in (0, 7, 68):
        alone = ["encode", str(found["files"][row]), "--out", "one.npz", "--force", "--model", str(trained)]
        assert main(alone) == 0
        assert np.array_equal(np.load("one.npz")["z_mu"][0], found["z_mu"][row])


def test_inputs_that_fail_are_counted_by_inputs_not_by_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait_of = Image.open(Path(__file__).parents[1] / "docs" / "portrait.jpg")
    group = Image.new("RGB", (2 * portrait_of.width, portrait_of.height))
    for place in (0, portrait_of.width):
        group.paste(portrait_of, (place, 0))
    group.save(tmp_path / "group.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    command = ["encode", str(tmp_path / "group.jpg"), str(tmp_path / "broken.jpg"), "--face", "all"]
    assert main([*command, "--model", "csvae"]) == 1
    assert "1 of 2 inputs failed" in capsys.readouterr().err
    assert len(np.load("codes.npz")["files"]) == 2


def test_folders_of_inputs_have_names_of_their_own(trained: Path, tmp_path: Path) -> None:
    inputs = []
    for name in ("a/x.png", "b/x.png", "c/x-2.png"):
        path = tmp_path / name
        path.parent.mkdir()
        Image.fromarray(portrait(5, glasses=False, facial_hair=False, size=64)).save(path)
        inputs.append(str(path))
    assert main(["transfer", *inputs, "--attr", "glasses", "--model", str(trained)]) == 0
    assert [Path(name).parent.name for name in _files()] == ["x-2-2-glasses", "x-2-glasses", "x-glasses"]


def test_a_picture_that_is_named_twice_is_edited_once(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transfer", str(face), str(face), "--attr", "glasses", "--model", str(trained)]
    assert main(command) == 0
    assert capsys.readouterr().out.split() == ["face-glasses/on.jpg"]


def test_an_edit_is_not_written_over_another_input(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["transfer", str(face), "--attr", "glasses", "--model", str(trained)]
    assert main(command) == 0
    before = Path("face-glasses/on.jpg").read_bytes()
    capsys.readouterr()
    assert main([*command[:2], "face-glasses/on.jpg", *command[2:], "--force"]) == 1
    assert "over an input" in capsys.readouterr().err
    assert Path("face-glasses/on.jpg").read_bytes() == before


def test_weights_are_found_under_the_runs(trained: Path, face: Path) -> None:
    ref = f"{trained.name}/best.safetensors"
    command = ["transfer", str(face), "--attr", "glasses", "--model", ref, "--runs", str(trained.parent)]
    assert main(command) == 0


def test_weights_that_a_run_has_not_yet(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = str(trained / "bets.safetensors")
    assert main(["transfer", str(face), "--attr", "glasses", "--model", ref]) == 2
    assert f"{trained} has no bets.safetensors" in capsys.readouterr().err
    short = f"{trained.name}/bets.safetensors"
    assert main(["info", short, "--runs", str(trained.parent)]) == 2
    assert "has no bets.safetensors" in capsys.readouterr().err


def test_the_best_weights_have_statistics_of_their_own(trained: Path, tmp_path: Path) -> None:
    run = runs.Run(tmp_path / "run")
    shutil.copytree(trained, run.path)
    config = runs.read_config(run.config)
    own = runs.read_statistics(run.best_statistics, config)
    changed = replace(own, faces=own.faces.flip(0))
    runs.write_statistics(run.best_statistics, changed, config.model.attributes)
    best = runs.load(str(run.best), tmp_path)
    assert best.name == "run-best"
    assert torch.equal(best.statistics.faces, changed.faces)
    assert torch.equal(runs.load(str(run.path), tmp_path).statistics.faces, own.faces)


def test_a_log_that_ends_in_the_middle_of_a_line(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "torn"
    shutil.copytree(trained, run)
    with (run / "log.jsonl").open("a") as log:
        log.write('{"epoch": 3, "ter')
    assert main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["epochs"] == 2


def test_encode_of_a_data_set_has_its_labels_and_csv_and_parquet_agree(trained: Path, celeba: Path) -> None:
    common = ["encode", "--dataset", "celeba-glasses-facial-hair", "--data-dir", str(celeba)]
    for name in ("c.npz", "c.csv", "c.parquet"):
        assert main([*common, "--split", "test", "--out", name, "--model", str(trained)]) == 0
    arrays = np.load("c.npz")
    numbers = [int(name[:6]) for name in arrays["files"]]
    assert arrays["labels"].tolist() == [[int(n % 3 == 0), int(n % 3 == 1)] for n in numbers]
    with Path("c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["z_mu_3"]) for row in rows] == pytest.approx(arrays["z_mu"][:, 3].tolist(), rel=1e-5)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table("c.parquet")
    assert table["w_facial-hair_mu_1"].to_pylist() == pytest.approx(arrays["w_facial-hair_mu"][:, 1].tolist())


def test_validation_has_one_name_for_all_commands_and_a_longer_one(trained: Path, celeba: Path) -> None:
    common = ["encode", "--dataset", "celeba-glasses-facial-hair", "--data-dir", str(celeba)]
    for split in ("val", "valid"):
        assert main([*common, "--split", split, "--out", f"{split}.npz", "--model", str(trained)]) == 0
    one, other = np.load("val.npz"), np.load("valid.npz")
    assert len(one["files"]) > 0
    assert one["files"].tolist() == other["files"].tolist()


def test_grid_draws_one_sheet_and_never_overwrites(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grid", "--model", str(trained)]) == 0
    assert main(["grid", "--model", str(trained)]) == 0
    assert capsys.readouterr().out.split() == ["grid-run.png", "grid-run-2.png"]
    with Image.open("grid-run.png") as sheet:
        assert sheet.width > 12 * 64
        assert sheet.height > 2 * 8 * 64


def test_a_sheet_is_drawn_without_what_is_no_picture(
    trained: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("odd.jpg").write_text("not a picture")
    assert main(["grid", str(face), "odd.jpg", str(face), "--model", str(trained), "--out", "some.png"]) == 1
    said = capsys.readouterr()
    assert said.out.split() == ["some.png"]
    assert "odd.jpg is not a picture" in said.err
    assert "1 of 3 inputs failed" in said.err
    for json_line in (False, True):
        command = ["grid", "odd.jpg", "even.jpg", "--model", str(trained), "--out", "none.png"]
        Path("even.jpg").write_text("nor is this")
        assert main([*command, "--json"] if json_line else command) == 1
        said = capsys.readouterr()
        assert "odd.jpg is not a picture" in said.err
        assert "even.jpg is not a picture" in said.err
        found = [json.loads(line) for line in said.out.splitlines()]
        assert [line.get("input", line.get("output")) for line in found] == (
            ["odd.jpg", "even.jpg", None] if json_line else []
        )
    assert not Path("none.png").exists()


def test_grid_of_one_picture_is_a_plane(trained: Path, face: Path) -> None:
    command = ["grid", str(face), "--attr", "glasses", "--grid", "3x4", "--out", "plane.png"]
    assert main([*command, "--model", str(trained)]) == 0
    with Image.open("plane.png") as sheet:
        assert 5 * 64 < sheet.width < 6 * 64 + 40
        assert 3 * 64 < sheet.height < 4 * 64 + 40


@pytest.mark.parametrize("kind", ["vae", "condvae", "condvae-info", "flow-csvae"])
def test_every_kind_goes_through_every_command(kind: str, celeba: Path, face: Path) -> None:
    command = ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--kind", kind]
    assert main([*command, "--keep", "none", "--epochs", "4", "--batch-size", "8"]) == 0
    assert main(["transfer", str(face), "--pc", "1", "--grid", "1x3"]) == 0
    assert main(["grid", "--out", "sheet.png"]) == 0
    assert main(["encode", str(face)]) == 0
    assert np.isneginf(np.load("codes.npz")["w_glasses_log_var"]).all()
    assert main(["info"]) == 0


def test_a_kept_attribute_has_a_w_but_is_not_edited(
    celeba: Path, face: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--keep", "male"]
    assert main([*command, "--kind", "csvae", "--epochs", "1", "--batch-size", "8", "--w-dim", "3"]) == 0
    assert main(["transfer", str(face)]) == 0
    capsys.readouterr()
    assert main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["attributes"], found["keep"]) == (["glasses"], ["male"])
    assert [len(found["subspaces"][name]["stds"]) for name in ("glasses", "male")] == [3, 3]


def test_from_starts_at_another_models_weights(
    celeba: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [
        "train",
        "--data-dir",
        str(celeba),
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--from",
        str(trained),
    ]
    assert main([*common, "--dataset", "celeba-glasses-facial-hair", "--out", "again"]) == 0
    config = json.loads(Path("again/config.json").read_text())
    assert config["init_from"] == str(trained)
    capsys.readouterr()
    for misfit in (["--out", "other"], ["--dry-run"]):
        assert main([*common, "--dataset", "celeba-glasses", *misfit]) == 2
        assert "its weights do not fit this csvae" in capsys.readouterr().err.replace("\n", " ")
    assert not Path("other").exists()


def test_a_new_attribute_is_learnt_on_a_finished_autoencoder(celeba: Path, face: Path) -> None:
    common = ["train", "--data-dir", str(celeba), "--kind", "flow-csvae", "--batch-size", "8"]
    first = [*common, "--dataset", "celeba-glasses", "--keep", "male", "--epochs", "4", "--out", "first"]
    assert main(first) == 0
    second = [
        *common,
        "--dataset",
        "celeba-facial-hair",
        "--keep",
        "male",
        "--epochs",
        "2",
        "--out",
        "second",
    ]
    assert main([*second, "--from", "first", "--labels", "10"]) == 0
    assert json.loads(Path("second/config.json").read_text())["data"]["labels"] == 10
    weights = [runs.read_tensors(Path(run) / "model.safetensors") for run in ("first", "second")]
    for name in weights[0]:
        if name.startswith(("trunk.", "mu_head.", "decoder.")):
            assert torch.equal(weights[0][name], weights[1][name]), name
    for name in ("flow.linear", "reader.head.weight"):  # the map, and the reader of the new label
        assert not torch.equal(weights[0][name], weights[1][name]), name
    # As if it had been begun before csvae had these terms.
    config = json.loads(Path("second/config.json").read_text())
    del config["training"]["weights"]["natural"], config["training"]["weights"]["critic"]
    Path("second/config.json").write_text(json.dumps(config))
    assert main(["train", "--resume", "second", "--epochs", "3"]) == 0
    log = [json.loads(line) for line in Path("second/log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in log] == ["reader", "map", "map"]
    assert main(["transfer", str(face), "--attr", "facial-hair", "--model", "second"]) == 0
    assert main(["encode", str(face), "--model", "second"]) == 0
    assert 0 < np.load("codes.npz")["p_facial-hair"][0] < 1


def test_from_refuses_what_is_no_flow(
    celeba: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--data-dir", str(celeba), "--kind", "flow-csvae", "--dataset", "celeba-glasses"]
    assert main([*command, "--from", str(trained), "--out", "other"]) == 2
    assert "--from takes a flow-csvae" in capsys.readouterr().err
    assert not Path("other").exists()


def test_dry_run_prints_the_settings_and_makes_nothing(
    celeba: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "--dataset", "celeba-glasses", "--data-dir", str(celeba), "--seed", "7", "--dry-run"]
    assert main(command) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["training"]["seed"] == 7
    assert planned["model"]["kind"] == "flow-csvae"
    assert main([*command, "--preset", "paper"]) == 0
    assert json.loads(capsys.readouterr().out)["model"]["kind"] == "csvae"
    assert main(["train", "--dataset", "toy-faces", "--dry-run", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["model"]["kind"] == "csvae"
    assert _files() == []


def test_datasets_counts_what_is_there(celeba: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", str(celeba), "--json"]) == 0
    lines = {line["dataset"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines["celeba-glasses"]["splits"]["train"]["glasses"] == 12
    assert lines["toy-faces"]["ready"]


def test_names_that_are_to_be_typed_are_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["datasets"]) == 0
    answer = capsys.readouterr().out
    assert "\nceleba-glasses-facial-hair " in answer
    assert "facial-hair " in answer.replace("celeba-glasses-facial-hair", "").replace(
        "celeba-facial-hair", ""
    )
    assert "…" not in answer
    assert max(map(len, answer.splitlines())) <= 80
