"""Seeded generator of short English tales: the training text of the shipped checkpoint."""

import argparse
import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Person", "Tales", "expand", "tales"]

GRAMMAR = Path(__file__).with_name("grammar.toml")

HIM = {"he": "him", "she": "her"}
HIS = {"he": "his", "she": "her"}

# How a tale opens: chances of an opening sentence or two, of one about somebody the reader seems
# to know, of one about the day, and of none at all.
OPENINGS = {"opening": 0.34, "opening_known": 0.11, "opening_day": 0.05, "": 0.50}
PLACES = 0.3                         # chance that the opening of an animal starts with its place
HEROES = {"child": 0.40, "animal": 0.42, "grown": 0.18}

FAVOURITE = 0.25                     # chance of the favourite plot of the hero's kind
LONGEST = 340                        # characters of a tale; about 150 tokens

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Somebody in a tale, and the words that refer to them."""

    group: str
    """Kind of person: ``child``, ``animal``, ``grown``, ``elder`` or ``family``."""
    kind: str
    """Noun: ``girl``, ``dog``, ``king``."""
    intro: str
    """First mention of somebody new: ``a little girl named Lily``."""
    known: str
    """First mention of somebody known: ``the old king``."""
    name: str
    """Every later mention: ``Lily``, ``the dog``."""
    he: str
    """Pronoun: ``he`` or ``she``."""


def article(words: str) -> str:
    """Words with ``a`` or ``an`` in front."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def upper_first(text: str) -> str:
    """Text with its first letter as a capital."""
    return text[:1].upper() + text[1:]


def suits(entry: Mapping[str, Any], hero: Person, friend: Person) -> bool:
    """Whether a plot or a wish of the grammar may have these two people in it."""
    if "only" in entry and hero.kind not in entry["only"]:
        return False
    return not {hero.kind, friend.kind} & set(entry.get("except", []))


def expand(template: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """Text of a template: choices made, slots filled, until none is left.

    A slot spelled with a capital gives its value with a capital.

    Raises
    ------
    KeyError
        A slot has no value.
    """
    def fill(match: re.Match[str]) -> str:
        slot = match[1]
        return slots[slot] if slot in slots else upper_first(slots[slot[0].lower() + slot[1:]])

    text = template
    while "[" in text or "{" in text:
        text = CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
        text = SLOT.sub(fill, text)
    return text


class Tales:
    """Generator of tales from a grammar.

    Parameters
    ----------
    rng : random.Random
        Source of every choice: equal states give equal tales.
    """

    def __init__(self, rng: random.Random):
        self.rng = rng
        with GRAMMAR.open("rb") as file:
            self.grammar: dict[str, Any] = tomllib.load(file)

    def pick(self, chances: Mapping[str, float]) -> str:
        """One key, drawn with its chance."""
        return self.rng.choices(list(chances), list(chances.values()))[0]

    def child(self, trait: str) -> Person:
        """A girl or a boy with a name."""
        kind, he = self.rng.choice([("girl", "she"), ("boy", "he")])
        name = self.rng.choice(self.grammar["cast"][kind + "s"])
        return Person(group="child", kind=kind, he=he, known=name, name=name,
                      intro=f"{article(trait + ' ' + kind if trait else kind)} named {name}")

    def animal(self, trait: str, named: bool) -> Person:
        """An animal, with or without a name."""
        kind, he = self.rng.choice(list(self.grammar["cast"]["animals"].items()))
        intro = article(f"{trait} {kind}")
        if named:
            name = self.rng.choice(self.grammar["cast"]["girls" if he == "she" else "boys"])
            return Person(group="animal", kind=kind, he=he, known=name, name=name,
                          intro=f"{intro} named {name}")
        known = f"the {trait} {kind}" if self.rng.random() < 0.25 else f"the {kind}"
        return Person(group="animal", kind=kind, he=he, known=known, name=f"the {kind}",
                      intro=intro)

    def grown(self, trait: str) -> Person:
        """A king, a queen or a farmer."""
        kind, he = self.rng.choice(list(self.grammar["cast"]["grown"].items()))
        known = f"the {trait} {kind}" if self.rng.random() < 0.7 else f"the {kind}"
        return Person(group="grown", kind=kind, he=he, known=known, name=f"the {kind}",
                      intro=article(f"{trait} {kind}"))

    def hero(self) -> Person:
        """The person the tale is about."""
        group = self.pick(HEROES)
        trait = self.rng.choice(self.grammar["traits"][group])
        if group == "child":
            return self.child(trait)
        if group == "animal":
            return self.animal(trait, named=self.rng.random() < 0.3)
        return self.grown(trait)

    def friend(self, hero: Person, groups: list[str]) -> Person:
        """The other person of the tale, unlike the hero in kind and name."""
        if hero.group != "child":
            groups = [group for group in groups if group not in ("parents", "siblings")]
        group = self.rng.choice(groups)
        trait = self.rng.choice(self.grammar["traits"]["friend"])
        his = HIS[hero.he]
        if group == "children":
            friend = self.child("")
        elif group in ("animals", "known"):
            friend = self.animal(trait, named=False)
        else:
            kind, he = self.rng.choice(list(self.grammar["cast"][group].items()))
            intro, name = ((article(kind), f"the {kind}") if group == "elders"
                           else (f"{his} {kind}", f"{his} {kind}"))
            return Person(group="elder" if group == "elders" else "family", kind=kind, he=he,
                          intro=intro, known=name, name=name)
        if friend.kind == hero.kind or friend.name == hero.name:
            return self.friend(hero, groups)
        if group == "known":
            intro = f"{his} friend the {friend.kind}"
            return Person(group="animal", kind=friend.kind, he=friend.he, intro=intro,
                          known=friend.name, name=friend.name)
        return friend

    def plot(self, hero: Person) -> dict[str, Any]:
        """A plot that suits the hero."""
        plots: dict[str, dict[str, Any]] = self.grammar["plots"]
        if self.rng.random() < FAVOURITE:
            return plots[self.grammar["favourites"][hero.kind]]
        return self.rng.choice([plot for plot in plots.values() if suits(plot, hero, hero)])

    def slots(self, hero: Person, friend: Person, opening: str) -> dict[str, str]:
        """Value of every slot of the grammar, for one tale."""
        rng, words = self.rng, self.grammar["words"]
        place = rng.choice(list(self.grammar["places"]))
        home = rng.choice(self.grammar["homes"].get(hero.kind, self.grammar["homes"][hero.group]))
        spots = rng.sample(self.grammar["places"][place]["spots"], 3)
        things = self.grammar["things"]
        noun = rng.choice(things.get(hero.kind, things[hero.group]))
        thing = f"{rng.choice(things['adjectives'])} {noun}"
        want = rng.choice([want for want in self.grammar["wants"] if suits(want, hero, friend)])
        third = self.animal("little", named=False)
        while third.kind in (hero.kind, friend.kind):
            third = self.animal("little", named=False)
        if opening not in ("", "opening_day"):
            start, subj = rng.choice(words["start"]), rng.choice([hero.name, hero.he])
        else:
            start = rng.choice([*words["start"], *[""] * 5])
            subj = hero.known if rng.random() < 0.7 else hero.intro
        ending = rng.choice(words["ending_family" if friend.group == "family" else "ending"])
        food = rng.choice(words["foods"])
        return {
            "start": start, "subj": subj, "ending": ending,
            "intro": hero.intro, "known": hero.known, "hero": hero.name,
            "he": hero.he, "him": HIM[hero.he], "his": HIS[hero.he],
            "a_friend": friend.intro, "friend": friend.name, "a_third": third.intro,
            "home": home, "hobby": rng.choice(self.grammar["hobbies"][hero.group]),
            "place": place, "at": self.grammar["places"][place]["at"],
            "spot": spots[0], "spot2": spots[1], "spot3": spots[2],
            "thing": thing, "noun": noun, "a_thing": article(thing), "food": food,
            "goal": want["goal"], "but": want["but"], "result": want["result"],
            "trap": rng.choice(words["traps"]),
            "weather": rng.choice(words["weather"]), "a_gift": rng.choice(words["gifts"]),
            "ending_alone": rng.choice(words["ending_alone"]),
        }

    def tale(self) -> str:
        """One tale, on one line, of at most ``LONGEST`` characters."""
        while len(tale := self.draft()) > LONGEST:
            pass
        return tale

    def draft(self) -> str:
        """One tale of any length."""
        rng, words = self.rng, self.grammar["words"]
        hero = self.hero()
        plot = self.plot(hero)
        friend = self.friend(hero, plot["friends"])
        opening = self.pick(OPENINGS)
        if opening == "opening" and hero.group == "animal" and rng.random() < PLACES:
            opening = "opening_place"
        slots = self.slots(hero, friend, opening)
        sentences = [rng.choice(words[opening])] if opening else []
        sentences += [*plot["text"], rng.choice(words["the_end"])]
        parts = (upper_first(expand(sentence, slots, rng).strip()) for sentence in sentences)
        return " ".join(part for part in parts if part)


def tales(seed: int) -> Iterator[str]:
    """Tales without end, the same ones for the same seed."""
    generator = Tales(random.Random(seed))
    while True:
        yield generator.tale()


def main() -> None:
    """Print tales, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of every choice")
    parser.add_argument("--count", type=int, default=10, help="number of tales")
    args = parser.parse_args()
    for _, tale in zip(range(args.count), tales(args.seed), strict=False):
        print(tale)


if __name__ == "__main__":
    main()
