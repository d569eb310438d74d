"""A plug-in of pytest: one source is read with a text in it replaced; no file is written."""

import json
import os
from importlib.machinery import SourceFileLoader

__all__ = ["replace"]


def replace(told: dict[str, str]) -> None:
    """From now on, importing file ``told["file"]`` reads ``new`` in place of ``old``."""
    get_data, path_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats

    def changed(self, path):
        data = get_data(self, path)
        if os.path.realpath(path) != told["file"]:
            return data
        text = data.decode()
        assert text.count(told["old"]) == 1, f"{told['old']!r} must stand once in {path}"
        return text.replace(told["old"], told["new"]).encode()

    def unknown(self, path):
        # Without it Python neither takes nor keeps compiled code of the file.
        if os.path.realpath(path) == told["file"]:
            raise OSError(path)
        return path_stats(self, path)

    SourceFileLoader.get_data, SourceFileLoader.path_stats = changed, unknown


if "OUROBOROS_REPLACED" in os.environ:
    replace(json.loads(os.environ["OUROBOROS_REPLACED"]))
