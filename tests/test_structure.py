"""Dependencies point one way, and a start is light."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each may import what stands below it, and itself.
_LEVELS = (
    ("__main__",),
    ("app",),
    ("commands",),
    ("reproduce",),
    ("training", "evaluation", "editing"),
    ("data", "sheets", "presets"),
    ("runs", "config", "output", "errors", "device", "processes", "interrupt", "__init__"),
    ("models",),
)

_STORE = 5
"""From this level downwards neighbours may use each other; above, where the work is done, not."""


def _room(module: str) -> str | None:
    parts = module.split(".")
    if parts[0] == "models":
        return "models"
    if parts[0] != "csvae_cli":
        return None
    return parts[1] if len(parts) > 1 and parts[1] != "__version__" else "__init__"


def _imports(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def _sources() -> list[Path]:
    return sorted([*ROOT.glob("models/*.py"), *ROOT.glob("csvae_cli/**/*.py")])


def test_imports_point_downwards() -> None:
    level = {room: depth for depth, rooms in enumerate(_LEVELS) for room in rooms}
    wrong = []
    for path in _sources():
        here = _room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        assert here in level, f"{path} stands on no level"
        for module in _imports(path):
            there = _room(module)
            if there is None or there == here or level[there] > level[here]:
                continue
            if level[there] < level[here] or level[here] < _STORE:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_models_know_only_torch_and_the_standard_library() -> None:
    allowed = {"torch", "models", *sys.stdlib_module_names}
    for path in ROOT.glob("models/*.py"):
        others = {module.split(".")[0] for module in _imports(path)} - allowed
        assert not others, f"{path.name} imports {others}"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["transfer", "--help"], ["--version"], ["datasets", "--json"]],
)
def test_a_light_command_imports_nothing_heavy(arguments: list[str]) -> None:
    heavy = ("torch", "torchvision", "PIL", "safetensors", "huggingface_hub", "sklearn", "scipy")
    program = (
        "import sys\nfrom csvae_cli.app import main\n"
        f"code = main({arguments!r})\n"
        f"print('HEAVY', sorted(set({heavy!r}) & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "HEAVY [] 0" in done.stdout, done.stdout[-300:] + done.stderr


def test_the_wheel_runs_where_a_foreign_models_package_lies(tmp_path: Path) -> None:
    source = tmp_path / "source"  # or what an earlier build has left would be in it
    for name in ("csvae_cli", "models"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path / "dist", source],
        check=True,
        capture_output=True,
    )
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--no-deps", "--target", site, wheel],
        check=True,
        capture_output=True,
    )
    assert {path.name for path in (site / "csvae_cli" / "pretrained" / "faces").iterdir()} == {
        "LICENSE-yunet",
        "README.md",
        "aligner.safetensors",
        "finder.safetensors",
    }
    foreign = tmp_path / "work" / "models"
    foreign.mkdir(parents=True)
    (foreign / "__init__.py").write_text("raise RuntimeError('this is the foreign one')\n")
    program = f"import sys; sys.path.insert(0, {str(site)!r}); from csvae_cli.app import run; run()"
    script = tmp_path / "csvae"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, script, "train", "--dataset", "swiss-roll", "--epochs", "1", "--out", "run"],
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work" / "run" / "model.safetensors").exists()
    assert str(site) not in done.stderr
