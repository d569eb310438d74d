"""Pictures of the pages, made from a placed program: ``python -m ouroboros.docs.pictures``.

The shipped model on machine ``small``: which core does what, and one token's way through stages;
and a die of the wafer.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ouroboros.docs.tour import placed, prompt_tokens
from ouroboros.floorplan import die_picture as floorplan_die
from ouroboros.floorplan.plan import plan_floor
from ouroboros.floorplan.rules import load_rules
from ouroboros.hw.params.machine import load_machine
from ouroboros.sw.perf.walk import walk
from ouroboros.sw.program.image import Token, read_stages
from ouroboros.sw.report.mesh_map import KINDS, role_map
from ouroboros.sw.report.svg import Svg

__all__ = ["FOLDER", "die_picture", "main", "mesh_picture", "pictures", "token_picture"]

FOLDER = Path(__file__).resolve().parent / "pictures"
INK, FAINT, LINE, PAPER = "#1d2530", "#6b7683", "#d5dae0", "#ffffff"
COLOURS = dict(zip(KINDS, ("#2a9d8f", "#3b6fb6", "#5a9e46", "#8661b5", "#d4a017", "#dd7a3b",
                           "#c2478a"), strict=True))
STYLE = (f"text{{font:13px 'DejaVu Sans',Arial,sans-serif;fill:{INK}}}"
         f".tick,.legend,.axis-title{{fill:{FAINT}}}.legend{{font-size:12px}}"
         f".cell-name{{font-size:15px;font-weight:600}}"
         f".small{{font-size:13px}}.grid{{stroke:{LINE}}}.axis{{stroke:{FAINT}}}"
         f".cell{{fill-opacity:.25}}.cell-under{{fill:{PAPER};stroke:{LINE}}}"
         f".cell-unused{{fill:none;stroke:{LINE};stroke-dasharray:4 4}}"
         f".macro{{fill:{FAINT}}}.macro-free{{fill:{LINE}}}"
         f".way{{fill:none;stroke:{FAINT};stroke-width:2}}.port{{stroke:{FAINT};stroke-width:3}}"
         f".host{{fill:{FAINT}}}.host-name{{fill:{PAPER}}}.k-other{{fill:{FAINT}}}"
         + "".join(f".k-{kind}{{fill:{colour}}}" for kind, colour in COLOURS.items()))
ROW, LEFT, TOP, WIDTH = 20, 86, 40, 860
"""Height of a stage's row, margins and width of the token's picture."""


def main() -> None:
    """Write every picture that has changed, and say which."""
    FOLDER.mkdir(exist_ok=True)
    for path, make in pictures():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(path)


def pictures() -> Iterator[tuple[Path, Callable[[], str]]]:
    """File of every picture, and what draws it."""
    yield FOLDER / "mesh.svg", mesh_picture
    yield FOLDER / "token.svg", token_picture
    yield FOLDER / "die.svg", die_picture


def mesh_picture() -> str:
    """Roles of the cores, and the way of a token."""
    return _alone(role_map(placed()))


def token_picture() -> str:
    """When each stage works on one token in an otherwise empty machine."""
    way = walk(placed(), read_stages(placed()), Token(len(prompt_tokens()) - 1))
    stages = sorted(way.stages, key=lambda stage: stage.start)
    bottom = TOP + ROW * len(stages)
    svg = Svg(LEFT + WIDTH + 30, bottom + 60, "One token through the stages")
    svg.text(LEFT, 22, f"one token, {way.result:,} cycles from the host and back", "cell-name")
    scale = WIDTH / way.result
    svg.x_axis(0, way.result, LEFT, LEFT + WIDTH, TOP, bottom, "cycles")
    for n, stage in enumerate(stages):
        info, top = stage.stage.info, TOP + n * ROW
        svg.text(LEFT - 8, top + 15, info.name, anchor="end")
        svg.rect(LEFT + stage.start * scale, top + 4, (stage.end - stage.start) * scale, ROW - 7,
                 f"k-{info.kind}", rx=2,
                 tip=f"{info.name} on core {info.core}: {stage.start} to {stage.end}")
    return _alone(str(svg))


def die_picture() -> str:
    """One die of the wafer, as the floorplan draws it."""
    return floorplan_die.die_picture(plan_floor(load_machine("wafer"), load_rules()))


def _alone(svg: str) -> str:
    """A picture of a page as a file of its own: name space, size, colours, white paper."""
    width, height = re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0]
    svg = svg.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
                               f'height="{height}" ', 1)
    paper = f'<style>{STYLE}</style><rect width="100%" height="100%" fill="{PAPER}"/>'
    head, rest = svg.split(">", 1)
    return f"{head}>\n{paper}\n" + rest.replace("><", ">\n<") + "\n"


if __name__ == "__main__":
    main()
