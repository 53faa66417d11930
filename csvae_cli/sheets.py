"""Contact sheets: pictures in rows and columns, with labels; and scatter plots of points."""

import io
from collections.abc import Callable, Mapping, Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn.functional import pad

from csvae_cli.data.batches import to_pictures
from models.kind import Codes
from models.subspace import SubspaceStatistics, along_axes

_INK, _PAPER, _GAP = (40, 40, 40), (255, 255, 255), 3
_COLOURS = ((31, 119, 180), (214, 89, 33), (150, 150, 150))
_TEXT = 13


def png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def picture(pixels: Tensor) -> Image.Image:
    """An image of uint8 H×W×C; grey where C is 1."""
    array = pixels.numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def contact_sheet(cells: Tensor, rows: Sequence[str], columns: Sequence[str], title: str = "") -> Image.Image:
    """Pictures uint8 R×C×H×W×channels with a label for every row and column ("" for none)."""
    count, across, height, width, _ = cells.shape
    font = ImageFont.load_default(_TEXT)
    left = _GAP + max([round(font.getlength(label)) + 6 for label in rows if label], default=0)
    above = _GAP + (_TEXT + 5) * (bool(title) + any(columns))
    size = (left + across * (width + _GAP), above + count * (height + _GAP))
    sheet = Image.new("RGB", (max(size[0], round(font.getlength(title)) + 2 * _GAP), size[1]), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, _GAP), title, _INK, font)
    for column, label in enumerate(columns):
        centre = left + column * (width + _GAP) + width // 2
        pen.text((centre, above - 4), label, _INK, font, anchor="ms")
    for row, label in enumerate(rows):
        top = above + row * (height + _GAP)
        pen.text((_GAP, top + height // 2), label, _INK, font, anchor="lm")
        for column in range(across):
            sheet.paste(picture(cells[row, column]), (left + column * (width + _GAP), top))
    return sheet


def stack(sheets: Sequence[Image.Image]) -> Image.Image:
    """One sheet below the other."""
    size = (max(s.width for s in sheets), sum(s.height for s in sheets) + 8 * (len(sheets) - 1))
    page = Image.new("RGB", size, _PAPER)
    top = 0
    for sheet in sheets:
        page.paste(sheet, (0, top))
        top += sheet.height + 8
    return page


def beside(sheets: Sequence[Image.Image]) -> Image.Image:
    """One sheet to the right of the other."""
    size = (sum(s.width for s in sheets) + 8 * (len(sheets) - 1), max(s.height for s in sheets))
    page = Image.new("RGB", size, _PAPER)
    left = 0
    for sheet in sheets:
        page.paste(sheet, (left, 0))
        left += sheet.width + 8
    return page


def style_points(
    subspace: SubspaceStatistics, absent: Tensor, axes: int = 3
) -> tuple[list[str], list[Tensor]]:
    """The styles that a sheet shows of W_i, with their names: off, on, and along the first principal axes."""
    names, points = ["off", "on"], [absent, subspace.present_mean]
    for axis in range(min(len(subspace.stds), axes)):
        for coefficient in (-2.0, -1.0, 1.0, 2.0):
            names.append(f"pc{axis + 1} {coefficient:+g}")
            points.append(along_axes(subspace, [0.0] * axis + [coefficient]))
    return names, points


def people_by_styles(
    x: Tensor,
    decode: Callable[[Mapping[int, Tensor]], Tensor],
    attribute: int,
    names: Sequence[str],
    points: Sequence[Tensor],
    title: str = "",
    rows: Sequence[str] = (),
) -> Image.Image:
    """People down, styles across (the paper's Figure 6): the picture, its reconstruction, each style.

    x: float N×C×H×W in [0, 1]; decode: what becomes of them at points of W; points: of the attribute's, d_i.
    """
    columns = [x.cpu(), *(decode(at).cpu() for at in ({}, *({attribute: point} for point in points)))]
    cells = torch.stack([to_pictures(column) for column in columns], dim=1)
    return contact_sheet(cells, rows or [""] * len(x), ["picture", "own", *names], title)


def scatter(panels: Sequence[tuple[str, str, Tensor]], labels: Tensor) -> Image.Image:
    """Side by side, points N×2 coloured by label (1, 0): (name of x, name of y, points) for each panel."""
    font = ImageFont.load_default(_TEXT)
    size, margin = 320, 34
    page = Image.new("RGB", (len(panels) * (size + margin) + 10, size + margin + 10), _PAPER)
    pen = ImageDraw.Draw(page)
    for number, (across, up, points) in enumerate(panels):
        left = number * (size + margin) + margin
        pen.rectangle((left, 8, left + size, 8 + size), outline=_INK)
        low, high = points.min(0).values, points.max(0).values
        position = (points - low) / (high - low).clamp(min=1e-6) * (size - 16) + 8
        for (x, y), label in zip(position.tolist(), labels.tolist(), strict=True):
            centre = (left + x, 8 + size - y)
            pen.circle(centre, 1.6, fill=_COLOURS[label])
        pen.text((left + size / 2, size + 24), f"{across}  ({low[0]:.1f} … {high[0]:.1f})", _INK, font, "mm")
        text = Image.new("RGB", (size, _TEXT + 6), _PAPER)
        ImageDraw.Draw(text).text(
            (size / 2, _TEXT / 2 + 2), f"{up}  ({low[1]:.1f} … {high[1]:.1f})", _INK, font, "mm"
        )
        page.paste(text.rotate(90, expand=True), (left - 24, 8))
    return page


def point_panels(codes: Codes, y: Tensor) -> Image.Image:
    """The paper's Figure 2: (z₂, w₁), Z and W, coloured by label."""
    z, w = codes.z_mu.cpu(), codes.w_mu[0].cpu()
    z, w = (pad(code, (0, max(0, 2 - code.shape[1]))) for code in (z, w))  # as a plane, if it is a line
    panels = [
        ("z2", "w1", torch.stack([z[:, 1], w[:, 0]], dim=1)),
        ("z1", "z2", z[:, :2]),
        ("w1", "w2", w[:, :2]),
    ]
    return scatter(panels, y[:, 0].cpu())
