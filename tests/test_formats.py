"""What a photo came with is what its edited copy has: format, EXIF, profile, alpha, greys."""

import io
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from csvae_cli.app import main
from csvae_cli.data.framing import Framing
from csvae_cli.editing.pictures import open_photo

PORTRAIT = Path(__file__).parent.parent / "docs" / "portrait.jpg"
ORIENTATION, MODEL = 0x0112, 0x0110


pytestmark = pytest.mark.usefixtures("in_an_empty_directory")


@pytest.fixture
def portrait() -> Image.Image:
    with Image.open(PORTRAIT) as picture:
        return picture.convert("RGB").crop((96, 0, 352, 256))


def _edited(name: str, *options: str) -> Image.Image:
    assert main(["transfer", name, "--attr", "glasses", *options, "--force"]) == 0
    (path,) = Path(f"{Path(name).stem}-glasses").iterdir()
    assert path.suffix == Path(name).suffix
    image = Image.open(path)
    image.load()
    return image


def _apart(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(one.convert("RGB")).astype(int) - np.asarray(other.convert("RGB")))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_how_large_a_picture_is_printed_stays(portrait: Image.Image, suffix: str) -> None:
    portrait.save(f"p{suffix}", dpi=(300, 300))
    for options in ((), ("--strip",)):
        assert _edited(f"p{suffix}", *options).info["dpi"] == pytest.approx((300, 300), abs=0.01)
    portrait.save(f"p{suffix}")
    assert _edited(f"p{suffix}").info.get("dpi", (72, 72))[0] in (1, 72)


def test_a_sheet_has_the_colours_that_the_pictures_are_seen_in(portrait: Image.Image) -> None:
    """It has no profile: here one by which red numbers are blue to the eye."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    portrait.save("p.png", icc_profile=swapped)
    assert main(["transfer", "p.png", "--attr", "glasses", "--own", "--sheet"]) == 0
    with Image.open("p-glasses/sheet.png") as sheet:
        red, _, blue = np.asarray(sheet.convert("RGB")).astype(float).mean((0, 1))
    own_red, _, own_blue = np.asarray(portrait).astype(float).mean((0, 1))
    assert own_red > own_blue + 5
    assert blue > red + 5


def test_a_cameras_raw_file_is_not_taken_for_its_preview(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait.save("p.tif")
    Path("p.tif").rename("p.NEF")
    assert main(["transfer", "p.NEF", "--attr", "glasses"]) == 1
    assert "p.NEF is a camera's raw file; export a JPEG or TIFF" in capsys.readouterr().err
    assert not Path("p-glasses").exists()


def test_orientation_is_applied_and_exif_and_profile_stay_unless_stripped(portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MODEL] = 6, "A telephone"  # turned clockwise to be seen
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    portrait.transpose(Image.Transpose.ROTATE_90).save("p.jpg", quality=95, exif=exif, icc_profile=profile)
    seen = _edited("p.jpg")
    assert seen.size == portrait.size
    assert np.median(_apart(seen, portrait)) <= 3
    assert seen.getexif().get(MODEL) == "A telephone"
    assert seen.getexif().get(ORIENTATION, 1) == 1
    assert seen.info["icc_profile"] == profile
    bare = _edited("p.jpg", "--strip")
    assert not bare.getexif()
    assert "icc_profile" not in bare.info
    assert _apart(bare, seen).mean() < 2  # the profile was sRGB's: the colours stay


def test_exif_that_nobody_can_write_again_is_left_out(portrait: Image.Image) -> None:
    """A place 12 m below the sea, as a signed number where the standard has unsigned ones."""
    directories = struct.pack("<HHHIIIHHHIII", 1, 0x8825, 4, 1, 26, 0, 1, 6, 10, 1, 44, 0)
    portrait.save(
        "p.jpg", exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + directories + struct.pack("<ii", -12, 1)
    )
    with Image.open("p.jpg") as picture, pytest.raises((struct.error, TypeError)):
        picture.getexif().tobytes()
    assert _edited("p.jpg").size == portrait.size
    assert main(["encode", "p.jpg"]) == 0


def test_a_photo_is_turned_by_exif_that_nobody_can_write_again(portrait: Image.Image) -> None:
    lying = portrait.crop((0, 0, 256, 240)).transpose(Image.Transpose.ROTATE_90)
    tags = struct.pack("<HHHIIHHII", 2, ORIENTATION, 3, 1, 6, 0x8825, 4, 1, 38) + struct.pack("<I", 0)
    place = struct.pack("<HHHIII", 1, 6, 10, 1, 56, 0) + struct.pack("<ii", -12, 1)
    lying.save("p.jpg", quality=95, exif=b"Exif\0\0II*\0" + struct.pack("<I", 8) + tags + place)
    with Image.open("p.jpg") as picture:
        assert picture.getexif()[ORIENTATION] == 6
        with pytest.raises((struct.error, TypeError)):
            picture.getexif().tobytes()
    assert _edited("p.jpg").size == (256, 240)


def test_exif_that_has_no_room_in_a_jpeg_is_left_out(portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000
    portrait.save("p.webp", exif=exif, quality=95)
    Path("p.webp").rename("p.jpg")
    assert len(open_photo(Path("p.jpg"), Framing(searched=True)).kept.exif) > 65_533
    assert not _edited("p.jpg").getexif()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_grey_profile_stays(suffix: str, portrait: Image.Image) -> None:
    grey = portrait.convert("L")
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[16:20] = b"GRAY"
    grey.save(f"g{suffix}", icc_profile=bytes(profile))
    seen = _edited(f"g{suffix}")
    assert seen.mode == "L"
    assert seen.info["icc_profile"] == bytes(profile)


def test_a_tiff_keeps_what_it_says_of_its_picture(portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MODEL] = 6, "A telephone"
    exif[0x0132], exif[0x8769] = "2026:11:27 20:00:00", {0x829A: 0.01}
    portrait.transpose(Image.Transpose.ROTATE_90).save("p.tif", exif=exif.tobytes())
    seen = _edited("p.tif")
    assert seen.size == portrait.size
    assert seen.getexif()[MODEL] == "A telephone"
    assert seen.getexif().get(ORIENTATION, 1) == 1
    assert seen.getexif()[0x0132] == "2026:11:27 20:00:00"


def test_a_camera_s_jpeg_that_is_called_a_tiff(portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[MODEL], exif[0x8769] = "A camera", {0x829A: 0.01, 0x9003: "2026:11:27 20:00:00"}
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    portrait.save("p.jpg", quality=95, exif=exif)
    Path("p.jpg").rename("p.tif")
    assert _edited("p.tif").getexif()[MODEL] == "A camera"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_nothing_is_left_of_what_is_stripped(suffix: str, portrait: Image.Image) -> None:
    exif = Image.Exif()
    exif[MODEL] = "A telephone"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    comment = {"comment": "at home"} if suffix == ".jpg" else {}
    portrait.save(f"p{suffix}", exif=exif, icc_profile=profile, **comment)
    for options in (["--strip"], ["--strip", "--own"]):
        bare = _edited(f"p{suffix}", *options)
        assert MODEL not in bare.getexif()
        assert not {"icc_profile", "exif", "comment"} & set(bare.info)
        shutil.rmtree("p-glasses")


def test_one_name_that_is_too_long_stops_no_other(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait.save("a" * 250 + ".jpg")
    portrait.save("b.jpg")
    assert main(["transfer", "a" * 250 + ".jpg", "b.jpg", "--attr", "glasses"]) == 1
    said = capsys.readouterr()
    assert said.out.split() == ["b-glasses/on.jpg"]
    assert "Cannot write" in said.err


def test_names_of_any_bytes_and_hidden_files(portrait: Image.Image) -> None:
    Path("many").mkdir()
    portrait.save(Path("many") / os.fsdecode(b"caf\xe9.jpg"))
    (Path("many") / "._caf.jpg").write_bytes(b"what some systems put beside a picture")
    for name in ("codes.csv", "codes.npz", "codes.parquet"):
        assert main(["encode", "many", "--out", name]) == 0
    assert np.load("codes.npz")["files"].tolist() == ["many/caf\ufffd.jpg"]
    command = [sys.executable, "-m", "csvae_cli", "transfer", "many", "--attr", "glasses"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    assert subprocess.run(command, env=strict, capture_output=True, check=False).returncode == 0
    said = subprocess.run([*command, "--force", "--json"], capture_output=True, check=False).stdout
    assert os.fsencode(json.loads(said)["input"]) == b"many/caf\xe9.jpg"


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_alpha_stays(suffix: str, portrait: Image.Image) -> None:
    alpha = Image.linear_gradient("L").resize(portrait.size)
    portrait.putalpha(alpha)
    portrait.save(f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    seen = _edited(f"a{suffix}")
    assert np.array_equal(np.asarray(seen.getchannel("A")), np.asarray(alpha))


def test_a_grey_picture_of_16_bits_stays_grey(portrait: Image.Image) -> None:
    grey = np.asarray(portrait.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save("g.png")
    seen = _edited("g.png")
    assert seen.mode == "L"
    apart = np.abs(np.asarray(seen).astype(int) - grey // 257)
    assert np.median(apart) == 0
    assert apart.max() > 30  # and it has glasses


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I", "F", "CMYK", "YCbCr", "RGBA"])
def test_every_mode_is_read(mode: str, portrait: Image.Image) -> None:
    picture = portrait.convert(mode)
    path = Path("m.tif" if mode in ("F", "CMYK", "YCbCr", "I") else "m.png")
    picture.save(path)
    image = open_photo(path, Framing(searched=False)).image
    assert image.mode == "RGB"
    assert (
        _apart(image, picture.convert("RGB") if mode not in ("I", "F") else portrait.convert("L")).mean() < 2
    )


def test_the_first_frame_of_an_animation(portrait: Image.Image) -> None:
    frames = [portrait, Image.new("RGB", portrait.size)]
    frames[0].save("a.webp", save_all=True, append_images=frames[1:], duration=100, lossless=True)
    seen = _edited("a.webp")
    assert getattr(seen, "n_frames", 1) == 1
    assert np.median(_apart(seen, portrait)) <= 3


def test_heic_in_and_out(portrait: Image.Image) -> None:
    heif = pytest.importorskip("pillow_heif", reason="the extra heic is not installed")
    heif.register_heif_opener()
    portrait.save("h.heic", quality=95)
    assert np.median(_apart(_edited("h.heic"), portrait)) <= 4


def test_heic_by_another_name(portrait: Image.Image) -> None:
    pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()
    portrait.save("p.heic", quality=95)
    Path("p.heic").rename("p.jpg")
    command = [sys.executable, "-m", "csvae_cli", "transfer", "p.jpg", "--attr", "glasses"]
    subprocess.run(command, check=True)  # in a process of its own: here Pillow has learnt to read it
    with Image.open("p-glasses/on.jpg") as seen:
        assert (seen.format, seen.size) == ("JPEG", portrait.size)


def test_a_picture_is_never_written_over_itself(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("on-glasses").mkdir()
    portrait.save("on-glasses/on.png")
    before = Path("on-glasses/on.png").read_bytes()
    assert main(["transfer", "on-glasses/on.png", "--attr", "glasses", "--force"]) == 1
    assert "over an input" in capsys.readouterr().err
    assert Path("on-glasses/on.png").read_bytes() == before


def test_what_cannot_be_read_or_written(portrait: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    whole = io.BytesIO()
    portrait.save(whole, "PNG")
    Path("cut.png").write_bytes(whole.getvalue()[:2000])
    Path("empty.jpg").touch()
    Path("folder.png").mkdir()
    Image.new("RGB", (1, 1)).save("one.png")
    Image.new("1", (20_000, 20_000)).save("huge.png")
    Path("tiny.heic").write_bytes(b"no picture")
    portrait.save("good.png")
    Path("a file").touch()
    for command, code, words in (
        (["cut.png"], 1, "cut.png cannot be read"),
        (["empty.jpg"], 1, "empty.jpg is not a picture"),
        (["folder.png"], 2, "no pictures in folder.png"),
        (["one.png"], 1, "No face was found in one.png"),
        (["huge.png"], 1, "pixels"),
        (["tiny.heic"], 1, "tiny.heic"),
        (["good.png", "--out", "a file"], 1, "Cannot write"),
    ):
        before = sorted(Path().rglob("*"))
        assert main(["transfer", *command, "--attr", "glasses"]) == code, command
        assert words in capsys.readouterr().err
        assert sorted(Path().rglob("*")) == before


def test_an_output_folder_that_is_read_only(
    portrait: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    portrait.save("face.png")
    folder = Path("locked")
    folder.mkdir(mode=0o555)
    if os.access(folder, os.W_OK):  # root may write anywhere but among what the kernel shows
        folder = Path("/sys/kernel")
        if not folder.is_dir():
            pytest.skip("this user (root?) may write everywhere")
    assert main(["transfer", "face.png", "--attr", "glasses", "--out", str(folder)]) == 1
    assert f"csvae: Cannot write {folder}/face-glasses/on.png: " in capsys.readouterr().err
    assert not (folder / "face-glasses").exists()


def test_a_disk_that_is_full_leaves_nothing_half_written() -> None:
    # A limit of 16 KB a file stands for it: writing fails in the middle.
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384));"
        "from csvae_cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "transfer",
        str(PORTRAIT),
        "--attr",
        "glasses",
        "--own",
        "--off",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "csvae: Cannot write portrait-glasses/off.jpg: File too large." in done.stderr
    assert "1 of 1 inputs failed" in done.stderr
    assert not [path for path in Path().rglob("*") if path.is_file()]
