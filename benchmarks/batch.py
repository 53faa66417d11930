"""A folder of aligned pictures through `csvae transfer`, against what it cannot do without.

    python benchmarks/batch.py DIR/full_size_valid.zip [--count 2000] [--search]

The time of the whole command less that of a single picture (start and loading), against Pillow's for reading
and writing the same files and the model's own for encoding each once and decoding it twice (measured before
and after); and the peak memory for a quarter of the files and for all of them. --search looks for the faces
instead of being told that the pictures are aligned; looking for them then counts as a model's own time, too.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import torch
from PIL import Image

from csvae_cli import device, runs
from csvae_cli.data.framing import Align, Framing, frame_all
from csvae_cli.editing.editor import BATCH, Editor
from csvae_cli.editing.pictures import Photo

PROGRAM = (
    "import resource, sys; from csvae_cli.app import main; code = main(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr); sys.exit(code)"
)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("zip", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--search", action="store_true")
    options = parser.parse_args()
    align = "auto" if options.search else "celeba"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with zipfile.ZipFile(options.zip) as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")]
            files = [archive.read(name) for name in names]
        for part, count in (("one", 1), ("quarter", options.count // 4), ("all", options.count)):
            (root / part).mkdir()
            for number in range(count):
                (root / part / f"{number:05d}.jpg").write_bytes(files[number % len(files)])
        seconds, memory = {}, {}
        before = model_time(root / "all", align)
        for part in ("one", "quarter", "all"):
            seconds[part], memory[part] = transfer(root / part, align)
        needed = pillow(root / "all") + (before + model_time(root / "all", align)) / 2
        taken = seconds["all"] - seconds["one"]
        print(
            f"{options.count} pictures: {taken:.1f} s; Pillow and the model alone {needed:.1f} s; "
            f"{taken / needed:.2f} times; peak memory {memory['quarter']} MB for a quarter of them, "
            f"{memory['all']} MB for all"
        )


def transfer(folder: Path, align: Align) -> tuple[float, int]:
    """Seconds, and the peak of memory in MB."""
    command = [sys.executable, "-c", PROGRAM, "transfer", folder, "--attr", "glasses", "--align", align]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--out", folder.with_name(f"{folder.name}-out")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CSVAE_RUNS": str(folder / "none")},
    )
    return time.perf_counter() - start, int(done.stderr.split()[-1])


def pillow(folder: Path) -> float:
    """Seconds to read every picture and to write it again."""
    out = folder.with_name("pillow")
    out.mkdir()
    start = time.perf_counter()
    for path in sorted(folder.iterdir()):
        buffer = io.BytesIO()
        Image.open(path).convert("RGB").save(buffer, "JPEG", quality=95, subsampling=0)
        (out / path.name).write_bytes(buffer.getvalue())
    return time.perf_counter() - start


@torch.no_grad()
def model_time(folder: Path, align: Align) -> float:
    """Seconds to look for the face in all, to encode them, and to decode each twice; of 50 batches."""
    model = runs.load(str(runs.PACKAGED), Path())
    editor = Editor(model, device.resolve("auto", "auto"), Framing(True, align))
    (photo,) = editor.open_all([next(folder.iterdir())])
    assert isinstance(photo, Photo)
    codes = editor.encode(editor.faces([photo] * BATCH))
    point = model.statistics.subspaces[0].present_mean
    start = time.perf_counter()
    for _ in range(50):
        frame_all([photo.image] * BATCH, ["it"] * BATCH, editor.framing)
        editor.encode(editor.faces([photo] * BATCH))
        editor.decode(codes, {})
        editor.decode(codes, {0: point})
    return (time.perf_counter() - start) / 50 / BATCH * len(list(folder.iterdir()))


if __name__ == "__main__":
    main()
