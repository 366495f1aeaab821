"""Break one formula at a time and see whether the nearest tests notice.

    python -m scripts.mutants [--only WORD] [--jobs N]

The tree is copied to a temporary folder. There each mutation of ``scripts.mutations`` is written into its
file, the test files beside it are run, and the file is put back. Fails where under 90 % are caught, or where
the text of a mutation no longer stands exactly once in its file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from scripts.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
#: What the nearest tests need of the tree.
COPIED = (
    "config",
    "planner",
    "inventory",
    "headroom_agent",
    "templates",
    "tests",
    "scripts",
    "pyproject.toml",
)
LEAST_CAUGHT = 0.9
LONGEST_S = 120


def rotten(mutation: Mutation) -> str:
    """What is wrong with a mutation, or nothing."""
    text = (ROOT / mutation.path).read_text(encoding="utf-8")
    found = text.count(mutation.old)
    if found != 1:
        return f"{mutation.path}: {mutation.old!r} stands {found} times"
    # What does not even compile would be caught by any test.
    try:
        compile(text.replace(mutation.old, mutation.new), mutation.path, "exec")
    except SyntaxError as error:
        return f"{mutation.path}: {mutation.new!r} is no Python: {error}"
    missing = [test for test in mutation.tests if not (ROOT / test).exists()]
    return f"{mutation.path}: no {missing[0]}" if missing else ""


def copy_of_tree(folder: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def passes(tree: Path, tests: tuple[str, ...]) -> bool:
    # Bytecode is told apart by time and size, which a quick mutation may leave as they were.
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".seen"),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, capture_output=True, timeout=LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in (0, 1, 2):
        raise RuntimeError(done.stdout.decode() + done.stderr.decode())
    return done.returncode == 0


def survives(tree: Path, mutation: Mutation) -> bool:
    file = tree / mutation.path
    sound = file.read_text(encoding="utf-8")
    file.write_text(sound.replace(mutation.old, mutation.new), encoding="utf-8")
    try:
        return passes(tree, mutation.tests)
    finally:
        file.write_text(sound, encoding="utf-8")


def survivors(chosen: list[Mutation], jobs: int) -> list[Mutation]:
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for job in range(jobs):
            trees.put(copy_of_tree(Path(folder) / str(job)))
        tree = trees.get()
        if not passes(tree, tuple(sorted({test for mutation in chosen for test in mutation.tests}))):
            sys.exit("The nearest tests fail without any mutation.")
        trees.put(tree)

        def lived(mutation: Mutation) -> bool:
            place = trees.get()
            try:
                alive = survives(place, mutation)
            finally:
                trees.put(place)
            print("survived" if alive else "caught  ", f"{mutation.path}: {mutation.says}", flush=True)
            return alive

        with ThreadPoolExecutor(jobs) as pool:
            alive = list(pool.map(lived, chosen))
    return [mutation for mutation, each in zip(chosen, alive, strict=True) if each]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutations whose file or words hold this")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    asked = parser.parse_args()
    problems = [problem for mutation in MUTATIONS if (problem := rotten(mutation))]
    if problems:
        sys.exit("\n".join(problems))
    chosen = [mutation for mutation in MUTATIONS if asked.only in f"{mutation.path} {mutation.says}"]
    alive = survivors(chosen, asked.jobs)
    caught = 1.0 - len(alive) / max(len(chosen), 1)
    print(f"{len(chosen) - len(alive)} of {len(chosen)} mutations caught by the nearest tests: {caught:.0%}")
    if caught < LEAST_CAUGHT:
        sys.exit(f"Fewer than {LEAST_CAUGHT:.0%}.")


if __name__ == "__main__":
    main()
