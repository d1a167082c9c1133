"""What can be seen of a value and of the words around it: the features that the weights count.

A feature is a name, such as `place.L1=in` (a place, with `in` before it). What each one counts is in `weights.json`,
learned by `tests/understudy/learn.py`; a feature that is not in the table counts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from kit.understudy.context import Context
from kit.understudy.sentence import Value
from kit.understudy.slots import Slot, ToolReading
from kit.understudy.words import CLASSES, OPERATION_VERBS, SYNONYMS
from kit.words import FUNCTION

UNITS = CLASSES["currency"] | CLASSES["unit"]
# features that say which argument a value is
_TELLING = (
    "name.L1",
    "name.L2",
    "name.R1",
    "described.L1",
    "described.R1",
    "unit.own",
    "marker.in_name",
    "ratio.sign",
    "money.sign",
    "year.year_like",
)


def slot_features(
    context: Context, reading: ToolReading, slot: Slot, i: int, j: int, kind: str = ""
) -> list[str]:
    """What the words around a span say of whether it is for the slot."""
    one, two = context.before(i)
    found = [f"{role}.L1={one}" for role in slot.roles]
    if one == "and":
        found += [f"{role}.L2={two}" for role in slot.roles]
    if one in slot.words:
        found.append("marker.in_name")
    elif any(one in other.words for other in reading.slots if other is not slot):
        found.append("marker.in_other")
    for side, near in (("L", context.left(i, kind)), ("R", context.right(j, kind))):
        found += _nearness(side, near, reading, slot)
    return found


def _nearness(side: str, near: Iterator[tuple[int, str]], reading: ToolReading, slot: Slot) -> Iterator[str]:
    seen_other = False
    for distance, word in near:
        at = str(min(distance, 4))
        if word in slot.stems:
            yield f"name.{side}{at}"
            return
        if not seen_other and any(word in other.stems for other in reading.slots if other is not slot):
            yield f"other.{side}{at}"
            seen_other = True
        if word in OPERATION_VERBS or word in FUNCTION:
            continue
        if word in slot.described:
            unique = all(word not in other.described for other in reading.slots if other is not slot)
            yield f"described.{side}{at}{'' if unique else '.shared'}"
            return
        if any(word in SYNONYMS.get(name, ()) for name in slot.stems):
            yield f"synonym.{side}{at}"
            return


def order_features(number: int, values: int, slots: list[Slot], slot: Slot, said: list[str]) -> list[str]:
    """Values come mostly in the order in which a tool declares its parameters: the n-th of `values` for this slot.

    It counts less where the words around a value say what it is: `said`, its other features.
    """
    same = [other for other in slots if other.kind == slot.kind]
    place = next((n for n, other in enumerate(same) if other is slot), None)
    if place is None:  # what the items of a list are
        return []
    how = "same" if number == place else "earlier" if number < place else "later"
    whole = "all" if values == len(same) else "more" if values > len(same) else "fewer"
    known = any(mark.startswith(_TELLING) for mark in said)
    return [f"order.{how}|{whole}" + (".one" if len(same) == 1 else ".told" if known else "")]


def text_features(
    context: Context, reading: ToolReading, slot: Slot, i: int, j: int, text: str, shape: str
) -> list[str]:
    """What the words of a run say of whether they are the slot's."""
    stems = [t.stem for t in context.tokens[i:j] if t.is_word and t.low not in FUNCTION]
    own = sum(s in reading.nouns for s in stems)
    found = []
    if stems:
        found.append(f"{slot.kind}.own={'all' if own == len(stems) else 'some' if own else 'none'}")
        if stems[0] in slot.stems:
            found.append(f"{slot.kind}.begins_with_name")
        if stems[-1] in slot.stems:
            found.append(f"{slot.kind}.ends_with_name")
    else:
        found.append(f"{slot.kind}.function")
    left, right = context.neighbour(i - 1, reading), context.neighbour(j, reading)
    found += [f"{slot.kind}.left={left}", f"{slot.kind}.right={right}", f"left={left}|right={right}"]
    if context.quotes:
        quoted = context.quotes & set(range(i, j))
        found.append(f"quote={'none' if not quoted else 'is' if j == i + 1 else 'has'}")
        found.append(f"{slot.kind}.{found[-1]}")
    if left == "value" and j == i + 1 and context.tokens[i].low in UNITS:
        found.append("unit_of_number")
    if slot.members:
        found.append(
            f"member={context.tokens[j - 1].low in slot.members and context.tokens[i].low in slot.members}"
        )
    if slot.shapes:
        found.append(f"{slot.kind}.shape={'fits' if shape in slot.shapes else 'other'}")
    if len(text) > 2 and text.lower() in slot.description.lower():
        found.append("in_description")
    return found


def number_features(context: Context, slot: Slot, value: Value) -> list[str]:
    """What a number's form, sign and unit say of whether it is the slot's."""
    integer = slot.type == "integer"
    found = [f"number.{'whole' if float(value.value).is_integer() else 'broken'}.{slot.type}"]
    following = context.tokens[value.last] if value.last < context.size else None
    unit = value.unit or (
        following.stem if following and following.is_word and following.low not in FUNCTION else ""
    )
    before = context.tokens[value.first - 1].low if value.first else "<s>"
    sign = (
        value.unit
        if value.unit in ("$", "€", "£", "¥", "%", "th")
        else "#"
        if before in ("#", "number", "no")
        else ""
    )
    is_year = isinstance(value.value, int) and 1900 <= value.value <= 2100 and not value.unit
    for role in slot.roles:
        if sign:
            found.append(f"{role}.sign={'money' if sign in '$€£¥' else sign}")
        if is_year:
            found.append(f"{role}.year_like")
        found.append(f"{role}.R1={'<unit>' if unit else context.symbols[value.last if following else -2]}")
    if unit and unit in slot.stems | slot.described:
        found.append("unit.own")
    elif unit and any(unit in SYNONYMS.get(name, ()) for name in slot.stems | slot.described):
        found.append("unit.related")
    elif unit:
        found.append("unit.other" + (".glued" if value.unit and sign == "" else ""))
    low, high = slot.schema.get("minimum"), slot.schema.get("maximum")
    if any(isinstance(b, int | float) and (value.value - b) * s > 0 for b, s in ((low, -1), (high, 1))):
        found.append("number.out_of_range")
    return found + ["number.integer"] * integer


def none_features(slot: Slot, count: int) -> list[str]:
    """What speaks for no value at all."""
    need = (
        "required" if slot.required and not slot.has_default else "default" if slot.required else "optional"
    )
    return [f"none.{need}", f"none.{slot.kind}.{need}", f"none.{'some' if count else 'no'}.{slot.kind}"]


def matches(word: str, names: set[str] | frozenset[str]) -> str:
    """How a word's stem matches one of some: `same`, `synonym`, or not."""
    if word in names:
        return "same"
    return "synonym" if any(word in SYNONYMS.get(name, ()) for name in names) else ""
