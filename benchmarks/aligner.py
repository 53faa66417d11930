"""Train the aligner that comes with csvae, from aligned pictures alone.

    python benchmarks/aligner.py CELEBA_DIR [--minutes 20] [--out FILE]

CELEBA_DIR holds img_align_celeba.zip (half size, 89×109, is enough) and list_eval_partition.txt. An aligned
training picture is disturbed by a random similarity, and the network says the way back. It sees a circle that
stays within the picture, so it cannot learn from where that ends. The loss is what counts, the mean distance
in pixels of 178×218 between the points of the crop and of the one predicted. Validation people are held out;
`benchmarks/faces.py` measures the whole of finding and aligning.
"""

import argparse
import io
import math
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from csvae_cli import runs
from csvae_cli.data import faces
from models.faces import WINDOW, Aligner, window_grid

SIZE = (89, 109)
HALF = 74
"""Half the crop's side in pixels of 178×218."""

BATCH, RATE = 128, 2e-3


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("celeba", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=faces.WEIGHTS / "aligner.safetensors")
    parser.add_argument("--start", type=Path, help="weights to go on from, with a smaller step")
    options = parser.parse_args()
    torch.manual_seed(0)
    train, held = pictures(options.celeba, "0"), pictures(options.celeba, "1")
    network = Aligner()
    if options.start is not None:
        network.load_state_dict(runs.read_tensors(options.start))
    rate = RATE if options.start is None else RATE / 2
    fit(network, train, held, options.minutes, rate)
    runs.write_tensors(options.out, {name: t.half() for name, t in network.state_dict().items()})


def pictures(root: Path, part: str) -> Tensor:
    """Of a part of CelebA: uint8 N×109×89×3."""
    rows = (line.split() for line in (root / "list_eval_partition.txt").read_text().splitlines())
    parts = dict(rows)
    with zipfile.ZipFile(root / "img_align_celeba.zip") as archive:
        names = [name for name in archive.namelist() if parts.get(Path(name).name) == part]
        found = np.empty((len(names), SIZE[1], SIZE[0], 3), np.uint8)
        for number, name in enumerate(names):
            picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
            found[number] = np.asarray(picture.resize(SIZE, Image.Resampling.BOX))
    return torch.from_numpy(found)


def fit(network: Aligner, train: Tensor, held: Tensor, minutes: float, rate: float) -> None:
    """For so many minutes, with a cosine of steps; says how it goes every 500."""
    network.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    start, step, recent = time.monotonic(), 0, []
    while (share := (time.monotonic() - start) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / 300) * (0.5 + 0.5 * math.cos(math.pi * share))
        x = train[torch.randint(0, len(train), (BATCH,))]
        x = x.flip(2) if step % 2 else x
        turn, shift = disturbances(BATCH)
        seen = degraded(windows(x, turn, shift)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            answer = network(seen)
        loss = errors(answer, turn, shift).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 50)
        optimiser.step()
        recent.append(loss.item())
        step += 1
        if step % 500 == 0:
            print(f"step {step}: {np.mean(recent[-500:]):.2f} px; {held_out(network, held)}", flush=True)
    network.eval()
    print(f"step {step}: {held_out(network, held)}")


@torch.no_grad()
def held_out(network: Aligner, held: Tensor) -> str:
    """Medians after each of three passes, on 1,024 held-out pictures, always disturbed alike."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        turn, shift = disturbances(1024)
    said = []
    for _ in range(3):
        answer = network(windows(held[:1024], turn, shift))
        said.append(f"{errors(answer, turn, shift).median():.2f}")
        by, move = torch.complex(*answer.T[:2]), torch.complex(*answer.T[2:])
        turn, shift = turn * by, turn * move + shift
    return f"held out, after each pass: {', '.join(said)} px"


def disturbances(count: int) -> tuple[Tensor, Tensor]:
    """Similarities v -> turn · v + shift from a supposed crop to the true one, complex, in half sides.

    Two in five are wide (±50°, 0.75 to 1.3 times, up to 0.3), the others what is left after a pass (±12°,
    0.9 to 1.12 times, up to 0.1).
    """
    wide = torch.rand(count) < 0.4
    angle = torch.where(wide, spread(count, 50), spread(count, 12)) * math.pi / 180
    scale = torch.where(wide, between(count, 0.75, 1.3), between(count, 0.9, 1.12))
    room = ((89 - 62 * scale) / HALF).clamp(min=0)
    far = torch.minimum(torch.rand(count).sqrt() * torch.where(wide, 0.3, 0.1), room)
    return torch.polar(scale, angle), torch.polar(far, spread(count, math.pi))


def spread(count: int, reach: float) -> Tensor:
    return (2 * torch.rand(count) - 1) * reach


def between(count: int, low: float, high: float) -> Tensor:
    return low * (high / low) ** torch.rand(count)


def windows(x: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """What the aligner sees of uint8 pictures N×109×89×3: N×3×64×64."""
    grid = turn[:, None, None] * torch.view_as_complex(window_grid()) + shift[:, None, None]
    across = (89 + HALF * grid.real) / 89 - 1
    down = (114 + HALF * grid.imag) / 109 - 1
    return torch.nn.functional.grid_sample(
        x.permute(0, 3, 1, 2).float(),
        torch.stack([across, down], -1),
        padding_mode="border",
        align_corners=False,
    )


def degraded(x: Tensor) -> Tensor:
    """Colours tinted, an eighth grey, a third blurred in two batches of three, all with some noise."""
    x = x * (0.75 + 0.5 * torch.rand(len(x), 3, 1, 1))
    third, eighth = len(x) // 3, len(x) // 8
    if torch.rand(()) < 2 / 3:
        offsets = torch.arange(-3, 4) / (0.4 + 1.2 * torch.rand(()))
        kernel = torch.softmax(-offsets.square() / 2, 0)
        part = torch.nn.functional.pad(x[:third], (3, 3, 3, 3), mode="replicate").flatten(0, 1)[:, None]
        part = torch.nn.functional.conv2d(part, kernel[None, None, :, None])
        part = torch.nn.functional.conv2d(part, kernel[None, None, None])
        x = torch.cat([part.view(third, 3, WINDOW, WINDOW), x[third:]])
    x[len(x) - eighth :] = x[len(x) - eighth :].mean(1, keepdim=True)
    return x + 6 * torch.rand(len(x), 1, 1, 1) * torch.randn(x.shape)


def errors(answer: Tensor, turn: Tensor, shift: Tensor) -> Tensor:
    """The root mean square distance between the points of the crops, N, in pixels of 178×218."""
    by = (torch.complex(answer[:, 0], answer[:, 1]) - 1 / turn) * turn.abs()
    move = (torch.complex(answer[:, 2], answer[:, 3]) + shift / turn) * turn.abs()
    return HALF * (by.abs().square() * 2 / 3 + move.abs().square() + 1e-8).sqrt()


if __name__ == "__main__":
    main()
