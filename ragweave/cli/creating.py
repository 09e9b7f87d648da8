"""`ragweave new`: a folder with a graph that runs, as a start for one's own."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ragweave.cli.files import near
from ragweave.cli.terminal import note, plural, say

_SHIPPED = Path(__file__).parent / "scaffold"
_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_IGNORED = "# What graphs write beside themselves: indexes, memories, journals\n.ragweave/\n\n# Secrets\n.env\n"
_ENVIRONMENT = """\
# Copy this to .env. Any OpenAI-compatible server: its address, the model's name, and a key if it wants one.
#CHAT_MODEL=gpt-5-mini
#CHAT_BASE_URL=https://api.openai.com/v1
#CHAT_API_KEY=
"""
_FIRST = {
    "notes": ("index graph.yaml", 'ask graph.yaml "When is the office closed?"', "chat graph.yaml"),
    "function": ('run graph.yaml --text "The kettle boils, the kettle sings." --explain',),
}


def create(target: Path, start: str) -> int:
    """Copy a scaffold or an example into the folder. Raises InputError for an unknown name, or files in the way."""
    from ragweave.orchestrator.errors import InputError, did_you_mean

    known = starts()
    if start not in known:
        candidates = did_you_mean(start, known)
        raise InputError(f"there is no example {start!r}{candidates}", hint="`ragweave new --list` shows all")
    if target.exists() and not target.is_dir():
        raise InputError(f"{str(target)!r} is a file, not a folder")
    source = known[start]
    files = {path.relative_to(source): path.read_bytes() for path in _files(source)} | _recipe(start)
    files.setdefault(Path(".gitignore"), _IGNORED.encode())
    if any(b"CHAT_MODEL" in content for name, content in files.items() if name.suffix == ".yaml"):
        files.setdefault(Path(".env.example"), _ENVIRONMENT.encode())
    taken = sorted(str(name) for name in files if (target / name).exists())
    if taken:
        more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
        said = f"{str(target)!r} has {', '.join(map(repr, taken[:3]))}{more} already"
        raise InputError(said, hint="name a folder that is not there yet")
    _write(target, files)
    say(f"{near(target)}: {plural(len(files), 'file')} from {start!r}")
    say("\nNext:")
    here = f"  cd {shlex.quote(str(target))}" if target.resolve() != Path.cwd() else ""
    for line in filter(None, (here, *(f"  ragweave {command}" for command in _first(start, files)))):
        say(line)
    return 0


def list_starts() -> int:
    """Say what `--from` takes."""
    known = starts()
    width = max(map(len, known))
    for name, folder in known.items():
        say(f"{name:<{width}} {_title(folder)}")
    if not _EXAMPLES.is_dir():
        note("the larger examples are in the repository, in examples/")
    return 0


def starts() -> Mapping[str, Path]:
    """What a folder can be made from: the scaffolds of the package, and in a checkout the examples."""
    folders = [path for path in sorted(_SHIPPED.iterdir(), key=_rank) if path.is_dir() and path.name[0] != "_"]
    if _EXAMPLES.is_dir():
        folders += [path for path in sorted(_EXAMPLES.iterdir()) if list(path.glob("*.yaml"))]
    return {path.name: path for path in folders}


def _rank(folder: Path) -> tuple[bool, bool, str]:
    """The first one first: questions to documents, then nodes of one's own, then agents by name."""
    return folder.name != "notes", folder.name not in _FIRST, folder.name


def _recipe(start: str) -> dict[Path, bytes]:
    """The shipped graph of this name, as a graph of one's own, with the prompts that it names; empty if there is none.

    What it says of its settings is for those who use it as a node.
    """
    from ragweave.orchestrator.recipes import FOLDER

    file = FOLDER / f"{start}.yaml"
    if not file.is_file():
        return {}
    text = re.sub(r"\n(?:#[^\n]*\n)?settings:\n(?:  [^\n]*\n)+", "\n", file.read_text(encoding="utf-8")).rstrip() + "\n"
    prompts = {Path(name): (FOLDER / name).read_bytes() for name in re.findall(r"prompts/\w+\.md", text)}
    return {Path("graph.yaml"): text.encode(), **prompts}


def _files(source: Path) -> Iterator[Path]:
    """Files without what runs have left behind."""
    for path in sorted(source.rglob("*")):
        left_behind = path.name == ".env" or {"__pycache__", ".ragweave"} & set(path.relative_to(source).parts)
        if path.is_file() and not left_behind:
            yield path


def _write(target: Path, files: Mapping[Path, bytes]) -> None:
    """All files or none."""
    was_there = target.exists()
    try:
        for name, content in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)
    except OSError:
        if not was_there:
            shutil.rmtree(target, ignore_errors=True)
        raise


def _first(start: str, files: Mapping[Path, bytes]) -> tuple[str, ...]:
    if start in _FIRST:
        return _FIRST[start]
    told = re.findall(r"^#   ragweave (.+)$", files.get(Path("graph.yaml"), b"").decode(), re.MULTILINE)
    if told:
        return tuple(told)
    graphs = [str(name) for name in files if name.suffix == ".yaml" and b"schema: ragweave/v1" in files[name]]
    return tuple(f"check {name}" for name in graphs[:1])


def _title(folder: Path) -> str:
    readme = folder / "README.md"
    if not readme.is_file():
        return ""
    return readme.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
