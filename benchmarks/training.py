"""How fast training is, beside what a user could have chosen instead: same network, same work, run in turns.

    python benchmarks/training.py [--network light|paper] [--batch 64] [--rounds 3] [--without-pythae]

A VAE of 64×64 pictures, Adam, on the GPU where there is one. Contenders, each a process of its own:
- csvae: our training loop;
- conventional: torchvision's ImageFolder and DataLoader (two workers) on CelebA-sized JPEGs, decoded every
  epoch, fp32, eager;
- pythae: pythae 0.1.2's trainer, in an environment that this command makes;
- limit: not a training: the counted operations of the step's convolutions and matrix products at the rate of
  the fastest large matrix product that this device does in the precision that csvae chooses.
"""

import argparse
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import nn

WARM, STEPS, STEPS_OF_A_GPU = 10, 30, 1000
PICTURES = 2560
PAPERS = 31_600  # pictures that the paper trains on: an epoch of ours has as many
HERE = Path(__file__).parent


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", choices=["light", "paper"], default="light")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-pythae", action="store_true")
    parser.add_argument("--only", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, default=Path("runs") / "benchmarks")
    options = parser.parse_args()
    if options.only:
        print(CONTENDERS[options.only](options.network, options.work, options.batch))
        return
    if options.batch > PAPERS // 10:
        parser.error(f"--batch is at most {PAPERS // 10}: a tick is ten steps of an epoch.")
    prepare(options.work)
    shared = ["--network", options.network, "--work", str(options.work), "--batch", str(options.batch)]
    commands = {name: [sys.executable, __file__, "--only", name, *shared] for name in CONTENDERS}
    if not options.without_pythae:
        script, pictures = HERE / "pythae_trainer.py", options.work / "pictures.pt"
        python = pythae_python(options.work)
        commands["pythae"] = [str(python), str(script), options.network, str(pictures), str(options.batch)]
    rates: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            rates[name].append(float(done.stdout.split()[-1]))
    how = f"batches of {options.batch}, {options.rounds} rounds, medians, {place()}"
    print(f"{options.network} network, {how}")
    for name, found in rates.items():
        ratios = [ours / other for ours, other in zip(rates["csvae"], found, strict=True)]
        rate, ratio = statistics.median(found), statistics.median(ratios)
        print(f"{name:>13}: {rate:7.1f} images/s; csvae is {ratio:.2f} × that")


def prepare(work: Path) -> None:
    """The same drawn faces as one tensor (uint8 N×64×64×3) and as JPEGs of CelebA's size in folders."""
    from csvae_cli.data.toy_faces import portrait

    folder = work / "jpegs" / "faces"
    if (work / "pictures.pt").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for number in range(PICTURES):
        face = Image.fromarray(portrait(number, glasses=number % 2 == 0, facial_hair=False, size=148))
        page = Image.new("RGB", (178, 218), (90, 110, 130))
        page.paste(face, (15, 35))
        page.save(folder / f"{number:06d}.jpg", quality=90)
        small = face.resize((64, 64), Image.Resampling.BILINEAR)
        pictures.append(torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(64, 64, 3))
    torch.save(torch.stack(pictures), work / "pictures.pt")


def pythae_python(work: Path) -> Path:
    """The Python of an environment with pythae and this torch, made where it is not there."""
    home = work / "pythae"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        venv.create(home, with_pip=True)
        wanted = [f"torch=={torch.__version__.partition('+')[0]}", "pythae==0.1.2"]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *wanted], check=True)
        (home / "ready").touch()
    return python


def csvae(network: str, work: Path, batch: int) -> float:
    """Our loop, as `csvae train --kind vae` runs it."""
    from csvae_cli.config import TrainingConfig
    from csvae_cli.data.batches import Batches
    from csvae_cli.data.dataset import Split
    from csvae_cli.device import resolve
    from csvae_cli.training.loop import Tick, train
    from csvae_cli.training.state import start

    compute = resolve()
    pictures = torch.load(work / "pictures.pt")[torch.arange(PAPERS) % PICTURES].numpy()
    labels = torch.zeros(len(pictures), 1, dtype=torch.int8).numpy()
    split = Split(pictures, labels, tuple(map(str, range(len(pictures)))))
    # As long as the paper's schedule: what is done for long trainings alone is done here, before the clock.
    config = TrainingConfig(epochs=30_000, weights={"recon": 1.0, "kl_z": 1.0}, batch_size=batch)
    state = start(fresh(network), config, compute)
    ticks = train(state, Batches(split, compute), config, compute, lambda: False)  # one every ten steps
    done, times = [], []
    for tick in islice(ticks, (steps() - WARM) // 10 + 1):
        if isinstance(tick, Tick):
            done.append(tick.epoch - 1 + tick.share)
            times.append(now())
    each = PAPERS // batch * batch
    return (done[-1] - done[0]) * each / (times[-1] - times[0])


def conventional(network: str, work: Path, batch: int) -> float:
    """The loop of a tutorial."""
    from torch.utils.data import DataLoader, RandomSampler
    from torchvision import datasets, transforms

    crop = transforms.Compose([transforms.CenterCrop(148), transforms.Resize(64), transforms.ToTensor()])
    data = datasets.ImageFolder(str(work / "jpegs"), crop)
    # One long epoch: its workers are started once, as they would be for many more pictures than these.
    order = RandomSampler(data, replacement=True, num_samples=STEPS * batch)
    loader = DataLoader(data, batch_size=batch, sampler=order, num_workers=2)
    on = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # not `device`: csvae's settles more
    model = fresh(network).to(on)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    noise = torch.Generator(on).manual_seed(0)
    began = 0.0
    for step, (x, y) in enumerate(loader):
        if step == WARM:
            began = now()
        terms = model.terms(x.to(on), y[:, None].to(on), noise)
        optimiser.zero_grad()
        (terms["recon"] + terms["kl_z"]).backward()
        optimiser.step()
    return (STEPS - WARM) * batch / (now() - began)


def limit(network: str, work: Path, batch: int) -> float:  # noqa: ARG001
    """Images a second if the step were its convolutions and products alone, at the measured peak."""
    from torch.utils.flop_counter import FlopCounterMode

    model, x = fresh(network), torch.rand(8, 3, 64, 64)  # the same for every row
    with FlopCounterMode(display=False) as counter:
        terms = model.terms(x, torch.zeros(8, 1, dtype=torch.int8), None)
        (terms["recon"] + terms["kl_z"]).backward()
    return peak() * 8 / counter.get_total_flops()


def peak() -> float:
    """Operations a second of the fastest of some large matrix products, in csvae's precision."""
    from csvae_cli.device import resolve

    precision = torch.bfloat16 if resolve().precision == "bf16" else torch.float32
    best = 0.0
    for size in (1024, 1536, 2048) if device().type == "cpu" else (4096, 8192):
        a, b = (torch.rand(size, size, device=device()).to(precision) for _ in range(2))
        a @ b
        for _ in range(5):
            began = now()
            a @ b
            best = max(best, 2 * size**3 / (now() - began))
    return best


def device() -> torch.device:
    """What csvae chooses."""
    from csvae_cli.device import resolve

    return resolve().device


def place() -> str:
    """The same for people."""
    from csvae_cli.device import resolve

    return resolve().reason


def steps() -> int:
    """Steps of ours, the first ones included: on a GPU they are short."""
    return STEPS if device().type == "cpu" else STEPS_OF_A_GPU


def now() -> float:
    """Seconds, when all that was asked of the device is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def fresh(network: str) -> nn.Module:
    """The VAE that all of them train."""
    from models.kind import build

    torch.manual_seed(0)
    return build("vae", shape=(3, 64, 64), labels=1, network=network)


CONTENDERS: dict[str, Callable[[str, Path, int], float]] = {
    "csvae": csvae,
    "conventional": conventional,
    "limit": limit,
}

if __name__ == "__main__":
    main()
