"""Prints the figures of the house: modules a folder, and how long modules, functions and template lines are.

    python -m tests.house_figures [CHECKOUT…]

Reads the files that Git tracks in each checkout (default: this one), without tests and migrations. To compare
two revisions: `git worktree add ../before REVISION && python -m tests.house_figures ../before .`
"""

import ast
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

FLOORS = ("aicost", "billing", "products")
LONG_FUNCTION = 30
LONG_TEMPLATE_LINE = 160

Figures = dict[str, str]


def tracked(checkout: Path) -> list[PurePosixPath]:
    command = ["git", "-C", str(checkout), "ls-files"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [PurePosixPath(name) for name in listed if (checkout / name).is_file()]


def is_product_module(path: PurePosixPath) -> bool:
    return path.suffix == ".py" and path.parts[0] in FLOORS and "migrations" not in path.parts


def folder_sizes(modules: Iterable[PurePosixPath]) -> Counter[str]:
    """Modules in each folder; `__init__.py` is the folder's own."""
    return Counter(str(path.parent) for path in modules if path.name != "__init__.py")


def functions(sources: Iterable[str]) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def spread(numbers: list[int]) -> str:
    """Median, 90th percentile and maximum."""
    return f"{statistics.median(numbers):g} / {statistics.quantiles(numbers, n=10)[-1]:g} / {max(numbers)}"


def figures(checkout: Path) -> Figures:
    files = tracked(checkout)
    read: Callable[[PurePosixPath], str] = lambda path: (checkout / path).read_text()  # noqa: E731
    modules = [path for path in files if is_product_module(path)]
    sources = [read(path) for path in modules]
    folders = folder_sizes(modules)
    defined = functions(sources)
    lengths = [(node.end_lineno or node.lineno) - node.lineno + 1 for node in defined]
    lines = [len(line) for path in files if path.suffix == ".html" for line in read(path).splitlines()]
    readme = read(PurePosixPath("README.md")).splitlines()
    return {
        "modules": str(len(modules)),
        "folders": str(len(folders)),
        "modules a folder, median / p90 / max": spread(list(folders.values())),
        "fullest folders": ", ".join(f"{name} {count}" for name, count in folders.most_common(3)),
        "lines a module, median / p90 / max": spread([source.count("\n") for source in sources if source]),
        "lines a function, median / p90 / max": spread(lengths),
        f"functions over {LONG_FUNCTION} lines": _share(length > LONG_FUNCTION for length in lengths),
        "functions with a return type": _share(node.returns is not None for node in defined),
        "template lines": str(len(lines)),
        f"template lines over {LONG_TEMPLATE_LINE}": str(sum(line > LONG_TEMPLATE_LINE for line in lines)),
        "longest template line": str(max(lines)),
        "README lines": str(len(readme)),
    }


def _share(flags: Iterable[bool]) -> str:
    found = list(flags)
    return f"{sum(found) / len(found):.1%}"


def main(checkouts: list[Path]) -> None:
    columns = [figures(checkout) for checkout in checkouts]
    for name in columns[0]:
        print(f"{name:38}", *(f"{column[name]:42}" for column in columns), sep=" ")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [Path()])
