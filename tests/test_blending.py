"""Changes put into photos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from csvae_cli import device, runs
from csvae_cli.data.batches import from_pictures
from csvae_cli.data.framing import Framing
from csvae_cli.data.places import Place, upright
from csvae_cli.editing import amounts, areas, blending
from csvae_cli.editing.areas import Part, area
from csvae_cli.editing.blending import Change
from csvae_cli.editing.colours import held, light, toned
from csvae_cli.editing.crispness import crisp
from csvae_cli.editing.editor import Editor, Looked
from csvae_cli.editing.grain import grain
from csvae_cli.editing.lighting import in_light, no_paler
from csvae_cli.editing.pictures import Photo
from csvae_cli.editing.rests import undrawn, without_thin

PORTRAIT = Path(__file__).parent.parent / "docs" / "portrait.jpg"
PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 240, 3), dtype=np.uint8))
NONE = torch.zeros(1, 64, 64)
TURNED = Place(complex(120, 100), complex(50, 30), 1j * complex(50, 30))


@pytest.fixture(scope="module")
def editor() -> Editor:
    model = runs.load(str(runs.PACKAGED), Path())
    return Editor(model, device.resolve("cpu", "fp32"), Framing(searched=True))


def test_no_change_changes_nothing_and_a_change_only_its_square() -> None:
    nothing = Change(torch.ones(1, 64, 64), NONE, torch.zeros(3, 64, 64))
    assert np.array_equal(np.asarray(blending.apply(PHOTO, TURNED, nothing)), np.asarray(PHOTO))
    smooth = Image.linear_gradient("L").resize(PHOTO.size).convert("RGB")  # it has no grain
    grey = Change(NONE, NONE, torch.full((3, 64, 64), 0.4))
    got = np.asarray(blending.apply(smooth, TURNED, grey)).astype(int)
    y, x = np.mgrid[0.5:200, 0.5:240]
    inside = (x + 1j * y - TURNED.middle) / TURNED.right
    reach = np.maximum(np.abs(inside.real), np.abs(inside.imag))
    assert (np.abs(got[reach < 0.95] - 102) <= 1).all()  # 0.4 of 255
    assert np.array_equal(got[reach > 1.05], np.asarray(smooth).astype(int)[reach > 1.05])


def test_a_square_that_reaches_beyond_the_photo() -> None:
    whole = Change(NONE, NONE, torch.full((3, 64, 64), 1.0))
    got = np.asarray(blending.apply(PHOTO, upright((-40, -40, 60, 60)), whole))
    assert (got[:55, :55] == 255).all()
    assert np.array_equal(got[65:], np.asarray(PHOTO)[65:])


def test_a_change_that_lies_beyond_the_photo_changes_nothing() -> None:
    whole = Change(NONE, NONE, torch.full((3, 64, 64), 1.0))
    got = blending.apply(PHOTO, upright((0, -150, 90, -60)), whole)
    assert np.array_equal(np.asarray(got), np.asarray(PHOTO))


def test_glasses_are_at_the_eyes_and_a_beard_is_around_the_mouth(editor: Editor) -> None:
    for name, (top, bottom) in {"glasses": (25, 37), "facial-hair": (42, 58)}.items():
        where = areas.region(editor.model, editor.model.config.model.index(name))[0, 0]
        assert float(where.max()) == pytest.approx(1)
        down, across = (where > 0.3).nonzero().float().mean(0).tolist()
        assert top < down < bottom
        assert abs(across - 31.5) < 5  # faces are symmetric


def test_glasses_leave_the_rest_of_the_portrait_untouched(editor: Editor) -> None:
    (photo,) = editor.open_all([PORTRAIT])
    assert isinstance(photo, Photo)
    glasses = editor.model.config.model.index("glasses")
    point = editor.model.statistics.subspaces[glasses].present_mean
    faces = editor.faces([photo])
    codes = editor.encode(faces)
    looked = Looked(photo, faces, codes, editor.decode(codes, {}))
    image = editor.blend(looked, {glasses: point}, editor.decode(codes, {glasses: point}))
    original = np.asarray(photo.image).astype(int)
    moved = np.abs(np.asarray(image).astype(int) - original).max(-1) > 0
    place = photo.framed.places[0]
    y, x = np.mgrid[0.5:512, 0.5:512]
    inside = (x + 1j * y - place.middle) / place.right
    eyes = (np.abs(inside.real) < 0.85) & (inside.imag > -0.5) & (inside.imag < 0.5)
    assert moved.mean() > 0.01
    assert not moved[~eyes].any()


def test_a_little_of_a_style_is_put_where_all_of_it_is(editor: Editor) -> None:
    """The style says whether something is put on or taken off, not how far the way there is gone."""
    with Image.open(PORTRAIT) as image:
        portrait = image.convert("RGB")
    whole, little = (
        np.abs(np.asarray(editor.edit(portrait, "glasses", "on", strength)).astype(int) - portrait).max(-1)
        for strength in (1.0, 0.15)
    )
    assert little.any()
    assert little[whole == 0].max() <= 2  # what rounds to nothing in the one may not in the other


def test_a_photo_is_asked_for_a_little_more_than_it_shall_show(editor: Editor) -> None:
    model = editor.model
    glasses = model.config.model.index("glasses")
    subspace = model.statistics.subspaces[glasses]
    absent, present = subspace.absent_mean, subspace.present_mean

    def reached(own: Tensor, point: Tensor) -> float:
        taken = amounts.takes(model, glasses, point)
        further = amounts.further(model, glasses, own[None], point[None], taken)
        return float(amounts.shown(model, glasses, further))

    assert reached(absent, present) == pytest.approx(1.25, abs=1e-4)
    assert reached(present, absent) == pytest.approx(-0.25, abs=1e-4)
    for own in (absent, present, (absent + present) / 2):  # nothing is asked for
        for taken in (True, False):
            same = amounts.further(model, glasses, own[None], own[None], torch.tensor(taken))
            assert torch.equal(same[0], own)
    assert 0.25 < reached(present, (absent + present) / 2) <= 0.5 < reached(absent, (absent + present) / 2)


def test_a_little_less_is_less(editor: Editor) -> None:
    """A tenth of the way to "off", or the other way of "on", is no putting on, though much is shown there."""
    glasses = editor.model.config.model.index("glasses")
    subspace = editor.model.statistics.subspaces[glasses]
    codes = editor.encode(from_pictures(editor.model.statistics.faces[:1]))
    wearing = replace(codes, w_mu=tuple(subspace.present_mean[None] for _ in codes.w_mu[:1]) + codes.w_mu[1:])
    own = wearing.w_mu[glasses]
    off, on = subspace.absent_mean[None], 2 * subspace.present_mean[None] - subspace.absent_mean
    for style, strength in ((off, 0.1), (on, -0.1)):
        point = editor.in_photo(wearing, {glasses: style}, strength)[glasses]
        assert float(amounts.shown(editor.model, glasses, own + strength * (point - own))) < 0.9


def test_what_is_taken_away_goes_where_it_is_shown_and_only_there() -> None:
    own, drawn = (plain_face([grey] * 3).repeat(2, 1, 1, 1) for grey in (0.6, 0.62))
    where = torch.zeros(1, 1, 64, 64)
    where[..., 20:40, 20:44] = 1
    shows = torch.tensor([0.0, 1.0])
    own[:, :, 24:36, 24:40] = 0.5  # a frame
    part = Part(area(where, taken=True), shows, taken=True)
    without, wearer = blending.changes([part], own, own, drawn)
    # Twice as many pixels as the model has. Nothing of the photo goes but of the wearer's.
    assert float((without.kept + without.greyed).min()) > 0.97
    assert 0.05 < float(without.added.max()) < 0.13  # a part of it might be light
    assert float(wearer.kept[0, 60, 60]) < 0.1
    assert float(wearer.kept[0, 76, 60]) > 0.9  # within the region, but the same without it
    assert 0.5 < float(wearer.added[0, 60, 60]) < 0.61
    assert (wearer.kept[0, :16] == 1).all()
    assert (wearer.kept[0, 112:] == 1).all()


SKIN = torch.tensor([0.75, 0.55, 0.45])


def plain_face(face: Sequence[float]) -> Tensor:
    """A plain face before a wall of four colours, 3×64×64."""
    picture = torch.tensor(face)[:, None, None].repeat(1, 64, 64)
    wall = torch.tensor([[0.1, 0.2, 0.7], [0.1, 0.6, 0.2], [0.9, 0.8, 0.1], [0.5, 0.5, 0.6]])
    picture[:, :8] = wall.T.repeat_interleave(2, dim=1)[:, :, None].expand(3, 8, 64)
    return picture


def put_on(colour: tuple[float, float, float], photo: Tensor) -> np.ndarray:
    """What 24×24 pixels become on which the decoder draws this colour instead of skin, 24×24×3 in [0, 1].

    photo: what it shows of them, 3×24×24; around them it shows skin before a coloured wall, or is grey.
    """
    own = plain_face(SKIN.tolist())
    whole = own.mean(0, keepdim=True).repeat(3, 1, 1) if torch.equal(photo[0], photo[2]) else own.clone()
    drawn, where = own.clone(), torch.zeros(1, 1, 64, 64)
    drawn[:, 20:44, 20:44] = torch.tensor(colour)[:, None, None]
    whole[:, 20:44, 20:44] = photo
    where[..., 20:44, 20:44] = 1
    part = Part(area(where, taken=False), torch.zeros(1), taken=False)
    (change,) = blending.changes([part], whole[None], own[None], drawn[None])
    image = Image.fromarray((255 * whole).round().byte().permute(1, 2, 0).numpy())
    return np.asarray(blending.apply(image, upright((0, 0, 64, 64)), change))[20:44, 20:44] / 255


def test_what_is_darker_than_the_skin_keeps_its_colour_behind_a_lens() -> None:
    """A grey lens before a brown iris that the decoder drew as skin: as dark and as grey, and not blue."""
    photo = SKIN[:, None, None].repeat(1, 24, 24)
    photo[:, 8:16, 8:16] = torch.tensor([0.25, 0.2, 0.18])[:, None, None]
    seen = put_on((0.5, 0.5, 0.5), photo)
    red, green, blue = seen[12, 12]
    assert 0.1 < green < 0.2
    assert abs(red - blue) < 0.05
    assert seen[4, 4] == pytest.approx(0.5, abs=0.03)


def test_a_frame_on_skin_is_dark_and_not_red() -> None:
    red, green, blue = put_on((0.35, 0.06, 0.05), SKIN[:, None, None].repeat(1, 24, 24))[12, 12]
    assert 0.1 < red < 0.25
    assert 1 - min(green, blue) / red < 0.45


def test_skin_between_dark_lenses_is_a_shade_of_skin_and_not_pink() -> None:
    own = plain_face(SKIN.tolist())[None]
    pink, nose = torch.tensor([0.7, 0.46, 0.45]), (slice(None), slice(None), slice(28, 36), slice(30, 34))
    drawn = own.clone()
    drawn[nose] = pink[:, None, None]
    assert torch.equal(held(own, drawn, own)[1][nose], drawn[nose])  # as lips are
    drawn[..., 28:36, 22:30] = drawn[..., 28:36, 34:42] = 0.1
    seen = held(own, drawn, own)[1]
    red, green, blue = seen[0, :, 32, 32].tolist()
    assert (red - green) / (red - blue) == pytest.approx(2 / 3, abs=0.05)  # SKIN's
    assert light_of(red, green, blue) == pytest.approx(light_of(*pink.tolist()), abs=0.01)
    assert torch.allclose(seen[..., 32, 24], torch.tensor(0.1), atol=0.01)
    assert torch.equal(seen[..., 50, 32], own[..., 50, 32])


def light_of(red: float, green: float, blue: float) -> float:
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_a_photo_in_one_tone_stays_in_it() -> None:
    light = torch.linspace(0.1, 0.9, 24).expand(24, 24)
    seen = put_on((0.4, 0.15, 0.1), light.repeat(3, 1, 1))
    assert np.ptp(seen, axis=2).max() == 0
    assert seen[12, 12, 0] < 0.35


def test_a_tone_is_a_function_of_light() -> None:
    light_of = torch.linspace(0, 1, 64).expand(64, 64)
    sepia = torch.stack([0.3 + 0.7 * light_of, 0.2 + 0.75 * light_of, 0.1 + 0.8 * light_of])
    face = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
    got = toned(face[None], sepia[None])[0]
    y = light(face[None])[0, 0]
    red, blue = got[0], got[2]
    assert torch.allclose(light(got[None])[0, 0], y, atol=1e-3)
    assert torch.allclose((red - 0.3) / 0.7, (blue - 0.1) / 0.8, atol=1e-3)
    assert torch.equal(toned(face[None], face[None])[0], face)  # a photo in colours


def test_what_is_drawn_has_the_grain_of_the_photo_and_nothing_of_what_had_to_go() -> None:
    noise = np.random.default_rng(0).normal(128, 6, (200, 200, 3))
    noise[100] -= 80  # a rim, in the middle of what is drawn
    photo = noise.round().clip(0, 255).astype(np.uint8)
    drawn = np.zeros((200, 200, 1), np.float32)
    drawn[50:150, 50:150] = 1
    added = grain(photo, drawn, 200)
    assert not added[drawn[..., 0] == 0].any()
    inside = added[50:150, 50:150]
    assert 3 < inside.std() < 6.5
    assert abs(inside[50].mean()) < 2  # where the rim was
    assert abs(inside.mean()) < 0.5
    assert not grain(np.full_like(photo, 90), drawn, 200).any()  # a smooth photo
    assert not grain(photo, 0 * drawn, 200).any()
    assert not grain(photo, np.ones_like(drawn), 200).any()  # nothing to learn from


def test_edges_grow_steep_and_have_no_seam() -> None:
    edge = torch.linspace(-24, 24, 64).tanh().expand(1, 1, 64, 64)
    larger = crisp(edge)
    assert larger.shape == (1, 1, 128, 128)
    row, plain = larger[0, 0, 64], torch.nn.functional.interpolate(edge, scale_factor=2, mode="bicubic")
    assert float(row.diff().max()) > 1.3 * float(plain[0, 0, 64].diff().max())
    assert float(larger.abs().max()) <= float(plain.abs().max()) + 1e-5
    assert (row.diff() > -1e-5).all()
    flat = torch.full((1, 3, 8, 8), 0.3)
    assert torch.allclose(crisp(flat), torch.full((1, 3, 16, 16), 0.3), atol=1e-6)


def test_an_edit_leaves_its_light_out_of_the_photo() -> None:
    """Skin, a mouth and a background, the skin and the mouth decoded half as bright again: they come back."""
    photo = torch.full((1, 3, 64, 64), 0.1)
    photo[:, :, 8:56, 12:52] = torch.tensor([0.6, 0.4, 0.3])[:, None, None]
    drawn = photo.clone()
    drawn[:, :, 8:56, 12:52] *= 1.5
    known = torch.ones(1, 1, 64, 64)
    known[..., 40:60, :] = 0
    lit = in_light(drawn, photo, known)
    assert float((drawn - photo).abs().max()) == pytest.approx(0.3)
    inside = (lit - photo)[..., 12:52, 16:48]
    assert float(inside.abs().max()) < 0.02
    assert torch.allclose(in_light(drawn, photo, 0 * known), drawn, atol=1e-6)  # nothing is known
    assert torch.allclose(in_light(photo, photo, known), photo, atol=1e-6)  # it is there already


def test_skin_is_no_paler_than_the_photo_shows_it_behind_a_frame() -> None:
    photo = plain_face(SKIN.tolist())[None].clone()
    photo[..., 20:44:4, 20:44] = 0.1  # a frame, all bars
    photo[..., 24:40, 48:60] = 0.1  # a lens
    pale = plain_face((1.3 * SKIN).tolist())[None]
    everywhere = torch.ones(1, 1, 64, 64)
    skin = no_paler(pale, photo, everywhere)[0]
    for x in (32, 54):
        assert skin[:, 32, x].tolist() == pytest.approx(SKIN.tolist(), abs=0.02)
    assert torch.allclose(no_paler(pale, photo, 0 * everywhere), pale, atol=1e-6)
    darker_than_black = torch.full_like(pale, -0.2)
    assert torch.equal(no_paler(darker_than_black, photo, everywhere), darker_than_black)
    assert torch.allclose(no_paler(0.8 * pale, pale, everywhere), 0.8 * pale, atol=1e-6)  # darker it may be


def test_a_thin_rest_that_was_not_drawn_goes_and_what_was_drawn_stays() -> None:
    photo = 0.6 + 0.02 * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    photo[:, :, 25] = 0.2  # a temple
    photo[:, :, 45] = 0.2  # a brow
    own = torch.full_like(photo, 0.6)
    own[:, :, 45] = 0.2
    cleared = without_thin(photo)
    assert float((cleared - 0.6).abs().max()) < 0.05
    where = undrawn(photo, cleared, own)[0, 0]
    assert (where[25] > 0.9).all()
    assert float(where[45].max()) < 0.1
    assert float(where[:20].max()) < 0.1
    everywhere = area(torch.ones(1, 1, 64, 64), taken=True)
    (change,) = blending.changes([Part(everywhere, torch.ones(1), taken=True)], photo, own, own)
    image = Image.fromarray((255 * photo[0]).round().clamp(0, 255).byte().permute(1, 2, 0).numpy())
    got = np.asarray(blending.apply(image, upright((0, 0, 64, 64)), change)) / 255
    assert got[25, 16:48].mean() == pytest.approx(0.6, abs=0.05)
    assert got[45, 16:48].mean() == pytest.approx(0.2, abs=0.05)


def test_a_grey_model_keeps_the_photos_colours() -> None:
    own, drawn = torch.full((1, 1, 48, 48), 0.2), torch.full((1, 1, 48, 48), 0.2)
    drawn[..., 12:36, 12:36] = 0.6
    photo = own.clone()
    photo[..., 24, :] = 0.5  # a line that is not drawn
    everywhere = area(torch.ones(1, 1, 48, 48), taken=True)
    (change,) = blending.changes([Part(everywhere, torch.ones(1), taken=True)], photo, own, drawn)
    assert (change.kept[0, 32:64, 32:64] == 1).all()
    colours = Image.new("RGB", (96, 96), (90, 40, 10))
    red, green, blue = np.asarray(blending.apply(colours, upright((0, 0, 96, 96)), change))[48, 48].astype(
        int
    )
    assert (red - green, green - blue) == (pytest.approx(50, abs=1), pytest.approx(30, abs=1))
    assert red > 90
