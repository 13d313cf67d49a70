"""Finding files of usage under the paths that a user names, each real file once."""

import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from billing.sources.files import LogFile

_WANTED = re.compile(r".*\.(jsonl|ndjson|csv)([.-]\d[\d.:_TZ+-]*)?(\.gz|\.zst)?", re.IGNORECASE | re.DOTALL)
"""With a number or date that log rotation adds."""
_LIKE_WANTED = re.compile(r".*\.(jsonl|ndjson|csv)[^A-Za-z0-9].*", re.IGNORECASE | re.DOTALL)
_COMPANION = re.compile(
    r"(.*/)?(agent-[^/]*\.meta\.json|subagents/workflows/[^/]+/journal\.jsonl)(\.gz|\.zst)?"
)
"""What Claude Code writes beside the logs of subagents."""


@dataclass
class Folder:
    """A folder that the user names, with what is found in it and under no path before."""

    path: Path
    files: list[LogFile] = field(default_factory=list)
    is_shared: bool = False
    """Whether it leads to files that are found under another path."""


@dataclass
class Discovery:
    files: list[LogFile] = field(default_factory=list)
    companions: list[LogFile] = field(default_factory=list)
    """Files without usage that say more about the logs beside them."""
    problems: list[tuple[Path, str]] = field(default_factory=list)
    """Paths that can't be read, and why."""
    folders: list[Folder] = field(default_factory=list)
    """In the order in which they are named."""
    unread: list[Path] = field(default_factory=list)
    """Files in folders that may hold usage by the beginning of their names, and are not read for the rest."""


def discover(paths: Iterable[Path]) -> Discovery:
    """Find the files that the paths name, and those with a known ending in the folders that they name,
    which log rotation may have followed by a number or date.

    Folders are walked in order of name. Symbolic links in them are followed last, so that a file goes by its
    own path if that lies under `paths`. No file or folder is visited twice; links that dangle are ignored,
    and so are links to a folder that contains them.
    """
    walk = _Walk()
    for path in paths:
        walk.start(path)
    walk.follow_links()
    walk.note_unread()
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found = Discovery()
        self._visited: set[Path] = set()
        """Real paths of files and folders."""
        self._like_wanted: dict[Path, Path] = {}
        """Unread files in folders, by real path."""
        self._links: deque[tuple[Path, Folder]] = deque()
        self._within: Folder | None = None
        """The named folder that is being walked."""

    def start(self, path: Path) -> None:
        with self._noting_problems(path):
            if path.is_dir():
                self._within = Folder(path)
                self.found.folders.append(self._within)
                self._folder(path, path.resolve())
            elif path.exists():
                self._within = None
                self._file(path, path.resolve())
            else:
                self.found.problems.append((path, "there is no such file or folder"))

    def follow_links(self) -> None:
        while self._links:
            link, self._within = self._links.popleft()
            with self._noting_problems(link):
                if link.is_dir():
                    real, around = link.resolve(), link.parent.resolve()
                    if real != around and real not in around.parents:
                        self._folder(link, real)
                elif link.is_file():
                    self._file_in_folder(link, link.resolve())

    def note_unread(self) -> None:
        unread = self._like_wanted.items()
        self.found.unread += (path for real, path in unread if real not in self._visited)

    def _folder(self, path: Path, real: Path) -> None:
        """Find the files of a folder, then those of the folders in it."""
        pending = [(path, real)]  # no recursion: a tree may be deeper than the interpreter's stack
        while pending:
            path, real = pending.pop()
            if real in self._visited:
                self._share()
                continue
            self._visited.add(real)
            with self._noting_problems(path):
                pending += reversed(self._read_folder(path, real))

    def _read_folder(self, path: Path, real: Path) -> list[tuple[Path, Path]]:
        """Note the files and links in a folder; return the folders in it, each as path and real path."""
        with os.scandir(path) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        folders = []
        for entry in entries:
            here = path / entry.name, real / entry.name
            if entry.is_symlink():
                assert self._within
                self._links.append((here[0], self._within))
            elif entry.is_dir():
                folders.append(here)
            elif entry.is_file():
                self._file_in_folder(*here)
        return folders

    def _file_in_folder(self, path: Path, real: Path) -> None:
        if _is_wanted(path.name):
            self._file(path, real)
        elif _LIKE_WANTED.fullmatch(path.name):
            self._like_wanted.setdefault(real, path)

    def _file(self, path: Path, real: Path) -> None:
        if real in self._visited:
            self._share()
            return
        self._visited.add(real)
        file = LogFile(path)
        is_companion = _COMPANION.fullmatch(real.as_posix())
        (self.found.companions if is_companion else self.found.files).append(file)
        if self._within and not is_companion:
            self._within.files.append(file)

    def _share(self) -> None:
        if self._within:
            self._within.is_shared = True

    @contextmanager
    def _noting_problems(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.found.problems.append((path, f"can't be read ({error.strerror or error})"))


def _is_wanted(name: str) -> bool:
    return bool(_WANTED.fullmatch(name) or _COMPANION.fullmatch(name))
