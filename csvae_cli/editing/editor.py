"""A loaded model at work: a photo, the codes of its faces, and pictures of them in other styles.

From Python: `Editor.of(runs.load(None, Path("runs"))).edit(image, "glasses")`, PIL in and PIL out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from csvae_cli.data.encoding import join, take
from csvae_cli.data.framing import Framed, Framing, NoFaceError, frame
from csvae_cli.data.sources import SOURCES
from csvae_cli.device import Compute, resolve
from csvae_cli.editing import amounts, areas, blending
from csvae_cli.editing.groups import of_size
from csvae_cli.editing.pictures import (
    HELD_PIXELS,
    Photo,
    crops,
    open_photo,
    open_photos,
    open_shrunk,
    pixels_of,
    upright,
)
from csvae_cli.editing.styles import Style, parse_style
from csvae_cli.errors import RequestError, WorkError
from csvae_cli.runs import Model
from models.kind import Codes, Others

Points = Mapping[int, Tensor]
"""For each attribute that is edited a point of its W_i, d_i for all faces or N×d_i, one for each."""


BATCH = 8
"""Faces that are encoded or decoded at a time."""


@dataclass(frozen=True, eq=False)
class Looked:
    """A photo as the model sees it: its N faces (N×C×H×W), their codes, and these decoded as they are."""

    photo: Photo
    faces: Tensor
    codes: Codes
    own: Tensor


@dataclass(frozen=True, eq=False)
class Editor:
    """A model on a device, and what is said of where the faces are."""

    model: Model
    compute: Compute
    framing: Framing
    _areas: dict[int, dict[bool, areas.Area]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        if len(self.model.config.model.shape) == 1:
            raise RequestError(f"{self.model.name} is a model of points; pictures need a model of pictures.")
        self.model.kind.to(self.compute.device)

    @classmethod
    def of(cls, model: Model, device: str = "auto") -> "Editor":
        """With faces searched for where the model knows CelebA's frame. Raises RequestError."""
        return cls(model, resolve(device, "auto"), Framing(searched(model)))

    def edit(
        self, image: Image.Image, attribute: str, style: str = "on", strength: float = 1.0
    ) -> Image.Image:
        """The picture, upright and RGB, with a style of the attribute; its profile, if any, says its colours.

        style: "on", "off", "pc1+2.00", "1.5,-2" … (`parse_style`). Raises RequestError where there is no such
        attribute or style, WorkError where no face is found.
        """
        rgb, _ = upright(image)
        photo = Photo(rgb, frame(rgb, "the picture", self.framing))
        faces = self.faces([photo])
        codes = self.encode(faces)
        index = self.model.config.model.index(attribute)
        point = parse_style(self.model, index, style).point
        points: Points = {} if point is None else {index: point}
        drawn = self.decode(codes, self.in_photo(codes, points, strength), strength, points)
        return self.blend(Looked(photo, faces, codes, self.decode(codes, {})), points, drawn, strength)

    def open_all(self, paths: Sequence[Path]) -> list[Photo | WorkError]:
        """Photos, or what is wrong with each: it is no picture, or shows no face."""
        return open_photos(paths, self.framing)

    def faces_of(self, paths: Sequence[Path]) -> list[tuple[Tensor, Framed] | WorkError]:
        """Of many, the `faces` alone, and where they were found: quicker than photos (`open_shrunk`)."""
        shape = self.model.config.model.shape
        found: list[tuple[Tensor, Framed] | WorkError] = []
        for part in of_size(paths, pixels_of, HELD_PIXELS):
            for photo in open_shrunk(part, self.framing, max(shape[1:])):
                cut = photo if isinstance(photo, WorkError) else (crops(photo, shape), photo.framed)
                found.append(cut)
        return found

    def faces(self, photos: Sequence[Photo]) -> Tensor:
        """Their faces as the model takes them, photo after photo: N×C×H×W in [0, 1], on the CPU."""
        return torch.cat([crops(photo, self.model.config.model.shape) for photo in photos])

    @torch.no_grad()
    def encode(self, faces: Tensor, batch: int = BATCH) -> Codes:
        """The codes of `faces`, a row each; batch: how many at a time."""
        x = faces.to(self.compute.device)
        with self.compute.autocast():
            parts = [self.model.kind.encode(x[rows]) for rows in _batches(len(x), batch)]
        return take(join(parts), torch.arange(len(x), device=x.device))

    def style_of(self, path: Path, attribute: int) -> Style:
        """The style of the (largest) face of another picture. Raises WorkError."""
        try:
            other = open_photo(path, replace(self.framing, face="largest", eyes=None))
        except NoFaceError as error:
            message = f"No face was found in {path}, whose style is asked for; name another picture."
            raise WorkError(message) from error
        return Style(style_name(path), self.encode(self.faces([other])).w_mu[attribute][0].cpu())

    @torch.no_grad()
    def decode(
        self, codes: Codes, points: Points, strength: float = 1.0, styles: Points | None = None
    ) -> Tensor:
        """G_ij(x, p), float N×C×H×W on the CPU, not clamped; what other W hold: `_others`.

        strength: see `Kind.switch`; styles: what the points were made of, if they are not it (`in_photo`).
        """
        count = len(codes.z_mu)
        given = {i: p.to(self.compute.device).expand(count, -1) for i, p in points.items()}
        alike = list(self._others(given if styles is None else styles, strength, count))
        drawn = torch.cat([self._switched(codes, rows, given, others, strength) for others, rows in alike])
        return drawn[torch.cat([rows for _, rows in alike]).argsort()]

    def _switched(
        self, codes: Codes, chosen: Tensor, points: Points, others: Others, strength: float
    ) -> Tensor:
        """`decode` of the chosen rows, all with the same of what other W hold."""
        parts = []
        with self.compute.autocast():
            for batch in _batches(len(chosen), BATCH):
                rows = chosen[batch]
                moved = {i: p[rows] for i, p in points.items()}
                parts.append(self.model.kind.switch(take(codes, rows), moved, others, strength).float().cpu())
        return torch.cat(parts)[: len(chosen)]

    def _others(self, styles: Points, strength: float, count: int) -> Iterator[tuple[Others, Tensor]]:
        """What goes into the other W, and in which rows.

        Where labels exclude each other, what is put there takes the others away; what only goes does not.
        """
        rows = torch.arange(count)
        puts = torch.zeros(count, dtype=torch.bool)
        for attribute, style in styles.items() if self.model.config.model.exclusive else ():
            puts |= ~amounts.takes(self.model, attribute, style, strength)
        if puts.any():
            yield "absent", rows[puts]
        if not puts.all():
            yield "own", rows[~puts]

    def reached(self, codes: Codes, points: Points, strength: float) -> Points:
        """On the way from each face's own w to the points: 0 its own, 1 there, 2 as far again."""
        if strength == 1:
            return points
        found = {}
        for attribute, point in points.items():
            own = codes.w_mu[attribute].float().cpu()
            found[attribute] = own + strength * (point - own)
        return found

    def in_photo(self, codes: Codes, points: Points, strength: float = 1.0) -> Points:
        """What is to be decoded, with that strength, so that photos come to show it: `amounts.further`."""
        if strength == 0:
            return points
        found = {}
        for i, reached in self.reached(codes, points, strength).items():
            asked = reached.cpu().expand(len(codes.z_mu), -1)
            taken = amounts.takes(self.model, i, points[i], strength)
            more = amounts.further(self.model, i, codes.w_mu[i], asked, taken) - asked
            found[i] = points[i].cpu() + more / strength
        return found

    def blend(self, looked: Looked, styles: Points, drawn: Tensor, strength: float = 1.0) -> Image.Image:
        """The photo with all of its faces changed; drawn: them decoded so far on the way there, `in_photo`.

        styles: a d_i each, or the same in each row.
        """
        image = looked.photo.image
        if not styles:
            return image
        parts = []
        for attribute, style in styles.items():
            shows = amounts.shown(self.model, attribute, looked.codes.w_mu[attribute])
            taken = bool(amounts.takes(self.model, attribute, style, strength).all())
            parts.append(areas.Part(self.area(attribute, taken=taken), shows, taken))
        changes = blending.changes(parts, looked.faces, looked.own, drawn)
        for place, change in zip(looked.photo.framed.places, changes, strict=True):
            image = blending.apply(image, place, change)
        return image

    def area(self, attribute: int, *, taken: bool) -> areas.Area:
        """Where the attribute is put or taken away (`areas.area`), found out once."""
        if attribute not in self._areas:
            with self.compute.autocast():
                where = areas.region(self.model, attribute)
            self._areas[attribute] = {going: areas.area(where, taken=going) for going in (False, True)}
        return self._areas[attribute][taken]


def _batches(count: int, batch: int) -> Iterator[Tensor]:
    """Row numbers, always as many at a time: a picture alone comes out as among thousands, bit for bit.

    The last ones are repeated to fill a batch.
    """
    for start in range(0, count, batch):
        yield torch.arange(start, start + batch).clamp(max=count - 1)


def style_name(path: Path) -> str:
    """What the style of another picture is called."""
    return f"from-{path.stem}"


def searched(model: Model) -> bool:
    """Whether faces are brought to the model's frame: where it was trained on CelebA's."""
    dataset = model.config.data.dataset
    return dataset in SOURCES and SOURCES[dataset].aligned
