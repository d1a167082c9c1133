"""Arguments that are runs of words: names, places, people, texts, and codes of a known shape."""

from __future__ import annotations

from kit.understudy.candidates import STOPS, Candidate, around, bits, direction, named
from kit.understudy.clauses import AUXILIARIES, PARTICLES, POLITE, Run, is_break, runs
from kit.understudy.sentence import Sentence, Token, Value
from kit.understudy.slots import Slot, ToolReading, shape
from kit.understudy.words import MODALS, TRAILING, VERBS, stems
from kit.words import DETERMINERS, FUNCTION, PREPOSITIONS, PRONOUNS, stem, words

# How much the word before a run of words speaks for a slot of a kind.
_MARKERS: dict[str, dict[str, float]] = {
    "person": {"for": 1.7, "of": 1.5, "by": 1.7, "to": 1.2, "from": 1.1, "with": 1.5, "does": 1.4, "did": 1.4, "has": 1.3, "is": 0.9, "do": 0.8, "that": 1.0, "": 0.7, "on": 0.6, "'m": 2.2, "i'm": 2.2, ",": 0.6},
    "place": {"in": 2.2, "at": 1.9, "near": 2.3, "around": 2.0, "for": 1.5, "to": 1.3, "from": 1.3, "of": 1.3, "on": 1.0, "into": 1.0, "over": 0.8, "": 0.5, ",": 0.6, "by": 0.8},
    "text": {":": 2.4, "that": 1.7, "to": 1.5, "saying": 2.4, "says": 2.2, "must": 1.6, "": 1.2, "about": 1.3, "has": 1.0, "is": 0.8, "as": 0.8, "for": 0.7, "with": 0.8, ",": 1.0, "do": 0.6, "because": 1.5, "of": 0.7, "=": 2.0, "on": 0.5, "-": 1.6},
    "query": {"for": 1.9, "about": 2.0, "on": 1.6, "of": 1.3, "with": 1.2, "": 1.1, "like": 1.2, ":": 1.6, "in": 0.6, "regarding": 1.9, ",": 0.7, "called": 1.7, "named": 1.7, "is": 0.9, "to": 0.6, "by": 0.8},
    "name": {"called": 2.4, "named": 2.4, "titled": 2.4, "as": 1.5, "for": 1.3, "of": 1.4, "with": 1.1, "about": 1.2, "": 1.2, "by": 1.2, ":": 1.6, "in": 1.0, "to": 1.1, "on": 1.0, "from": 1.2, "at": 0.9, "is": 0.9, "does": 1.0, ",": 0.7, "do": 0.7, "into": 1.0},
    "id": {"for": 1.0, "of": 1.1, "": 1.0, "about": 0.8, "on": 1.0, "in": 0.8, "to": 0.8, "with": 0.7, ":": 1.0, "from": 0.8, "into": 0.8, "at": 0.6, "by": 0.6, "do": 0.5, "does": 0.8, "is": 0.6, "of the": 1.0, "per": 0.5, ",": 0.6},
}  # fmt: skip
_LABELS = stems("name")
_TITLE_WORDS = words("of the and a an in on for to at de la von van & with")
_SUBJECT = stems("key name field attribute label topic")
_PREDICATE = stems("value content text fact definition answer")
_INNER = ("&", "of", "de", "the")
_STREET = stems("address street near location")
_POSSESSIVE = ("'s", "'", "’")


def texts(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    """Candidates made of words; of equal ones the best."""
    values = (_text_value(sentence, reading, slot, value) for value in sentence.values)
    options = [candidate for candidate in values if candidate]
    for run in runs(sentence, reading):
        options += _from_run(sentence, reading, slot, run)
    if slot.kind == "place":
        options += _addresses(sentence, slot)
    elif slot.kind in ("text", "name", "query"):
        options += _rests(sentence, reading, slot)
    best: dict[tuple[int, str], Candidate] = {}
    for candidate in options:
        key = (candidate.mask, str(candidate.value))
        if key not in best or best[key].score < candidate.score:
            best[key] = candidate
    return list(best.values())


def _rests(sentence: Sentence, reading: ToolReading, slot: Slot) -> list[Candidate]:
    """What follows a colon, or `saying`, to the end of its sentence."""
    options = []
    tokens = sentence.tokens
    others = {s for other in reading.slots for s in other.stems} - slot.stems
    for i, token in enumerate(tokens[:-1]):
        if (token.text != ":" and token.low not in ("saying", "says")) or sentence.kind_at(i + 1) == "quote":
            continue
        end = i + 1
        while end < len(tokens) and not (tokens[end].text in STOPS and end not in sentence.taken):
            end += 1
        before, _ = around(sentence, i, i + 1, back=2)
        score = {"text": 2.2, "name": 1.1, "query": 0.9}[slot.kind] + 0.6 * named(slot, before, reading)
        if before and stem(before[0]) in others:
            score -= 1.5  # `Tags: ...` names another argument
        options += [
            Candidate(text, bits(i + 1, stop), score - (0.0 if stop == end else 0.3))
            for stop in {end, *(k for k in range(i + 2, end) if tokens[k].text == ",")}
            if (text := sentence.words(i + 1, stop))
        ]
    return options


def _addresses(sentence: Sentence, slot: Slot) -> list[Candidate]:
    """`12 Main Street`, `221B Baker Street, London`: a number, then capitalised words."""
    options = []
    tokens = sentence.tokens
    capital = [token.text[0].isupper() for token in tokens] + [False]
    for value in sentence.values:
        first, i = value.first, value.last
        if value.kind not in ("number", "code") or value.unit or not capital[i]:
            continue
        while i < len(tokens) and i not in sentence.taken:
            if not capital[i] and not (tokens[i].text == "," and capital[i + 1]):
                break
            i += 1
        if i < len(tokens) and tokens[i - 1].text == ",":
            i -= 1
        before, _ = around(sentence, first, i)
        score = 1.6 + 0.3 * bool(slot.stems & _STREET) + direction(slot, before[:1])
        options.append(Candidate(sentence.words(first, i), bits(first, i), score))
    return options


def _text_value(sentence: Sentence, reading: ToolReading, slot: Slot, value: Value) -> Candidate | None:
    before, _ = around(sentence, value.first, value.last)
    mask = bits(value.first, value.last)
    cue = named(slot, [w for w in before if w not in ("the", "is", "with", ":", "number", "no")][:2], reading)
    if value.kind == "quote":
        base = {"text": 1.8, "query": 1.6, "name": 1.4, "person": -0.1, "place": 0.5, "id": 0.5}[slot.kind]
        marker = before[0] if before else ""
        if slot.kind in ("name", "text") and marker in ("called", "named", "titled", ":", "saying"):
            base += 0.3
        if shape(str(value.value)) in slot.shapes:
            base += 0.6
        return Candidate(value.value, mask, base + 0.5 * cue + direction(slot, before[:1]))
    if slot.kind == "id" and value.kind in ("code", "number", "uuid", "phone"):
        text = sentence.words(value.first, value.last).lstrip("#")
        if value.kind == "number" and value.unit:
            return None
        fits = shape(text) in slot.shapes or shape(text.upper()) in slot.shapes
        score = (0.9 if value.kind in ("code", "uuid") else 0.0) + (1.2 if fits else 0.0) + 0.7 * cue
        if value.kind == "number" and set(before[:2]) & {"number", "id", "#", "code"}:
            score += 0.8
        if before and stem(before[0]) in reading.nouns:
            score += 0.4
        return Candidate(text, mask, score + direction(slot, before[:1]))
    if value.kind in ("code", "number") and slot.kind in ("name", "text", "query", "place"):
        text = sentence.words(value.first, value.last)
        fits = shape(text) in slot.shapes
        return Candidate(
            text, mask, (-0.2 if value.kind == "code" else -0.6) + cue * 0.6 + (1.0 if fits else 0)
        )
    if (value.kind, slot.kind) in (("url", "text"), ("url", "query"), ("email", "person"), ("email", "id")):
        return Candidate(value.value, mask, 0.9 if value.kind == "email" else 0.2)
    return None


def _from_run(sentence: Sentence, reading: ToolReading, slot: Slot, run: Run) -> list[Candidate]:
    if run.is_text and slot.kind != "text":
        return []
    first, last, bonus = _trimmed(sentence, reading, slot, run)
    spans = [(first, last, bonus, run.marker)]
    tokens = sentence.tokens
    if (
        slot.kind in ("name", "place", "query")
        and last < len(tokens) - 1
        and tokens[last].low == "'s"
        and is_break(sentence, last + 1, set())
        and tokens[last + 1].low not in DETERMINERS
    ):
        spans.append((first, last + 1, bonus + 0.9, run.marker))  # `at Luigi's`: part of the name
    if run.marker in ("called", "named", "titled") and sentence.kind_at(last) in ("number", "code"):
        spans.append((first, sentence.taken[last].last, bonus + 0.3, run.marker))
    if slot.kind not in ("text", "query") and run.joins == 0:
        part = bonus - (0.4 if slot.kind == "name" and run.marker not in ("called", "named") else 0.0)
        spans += [(a, b, part, run.marker if a == first else "") for a, b in _parts(sentence, first, last)]
    if run.marker in ("do", "does", "did") and last - first > 1:
        spans.append((first, last - 1, bonus + 0.3, run.marker))  # `does Paul work`: the verb comes last
    options = []
    for a, b, extra, marker in spans:
        score = _run_score(sentence, reading, slot, run, a, b, marker)
        if score is not None:
            options.append(Candidate(sentence.words(a, b).strip(" ,"), bits(a, b), score + extra))
    return options


def _trimmed(sentence: Sentence, reading: ToolReading, slot: Slot, run: Run) -> tuple[int, int, float]:
    """The run without what only leads to the value: determiners, the tool's nouns, the slot's name."""
    tokens = sentence.tokens
    first, last, bonus = run.first, run.last, 0.0
    others = {word for other in reading.slots if other is not slot for word in other.members}
    is_text = slot.kind == "text"
    while first < last:
        token, several = tokens[first], last - first > 1
        proper = token.text[0].isupper() and first > 0
        titled = proper and several and tokens[first + 1].text[0].isupper()
        if token.low in DETERMINERS and not titled:
            if is_text and token.low in ("the", "his", "her", "their", "this", "all", "every"):
                break
        elif token.stem in slot.stems and several and token.low not in FUNCTION:
            bonus = max(bonus, 1.4)
        elif token.stem in reading.nouns and not proper and several and _lead_noun(sentence, first, slot):
            bonus = max(bonus, 0.5 if token.stem in slot.described else 0.2)
        elif token.low in PREPOSITIONS and first > run.first:
            return last, last, 0.0  # what follows is a run of its own, with this word as its marker
        elif token.low not in TRAILING | POLITE and (
            is_text or not ((token.low in FUNCTION and not proper) or (token.stem in others and several))
        ):
            break
        first += 1
    while last > first:
        token = tokens[last - 1]
        if token.low in TRAILING | DETERMINERS or (token.low in FUNCTION | PARTICLES and not is_text):
            last -= 1
            continue
        if last - first == 1 or is_text or token.low != token.text:
            break
        if token.stem in slot.stems:
            # `Gym Beats playlist` is Gym Beats, `living room` is all of it
            bonus = max(bonus, 0.8)
            if token.stem not in reading.name_stems and tokens[last - 2].low == tokens[last - 2].text:
                break
        elif token.stem not in reading.nouns | others:
            break
        last -= 1
    return first, last, bonus


def _parts(sentence: Sentence, first: int, last: int) -> list[tuple[int, int]]:
    """Smaller spans of a run that may be a name: its capitalised words, and what comes before a verb."""
    tokens = sentence.tokens
    parts = []
    i = first
    while i < last:
        j = i
        while j < last and (tokens[j].text[0].isupper() or (tokens[j].low in _INNER and j > i)):
            j += 1
        end = j
        while end > i and not tokens[end - 1].text[0].isupper():
            end -= 1
        if end > i and (i, end) != (first, last):
            parts.append((i, end))
        i = max(j, i + 1)
    for i in range(first + 1, last):
        low = tokens[i].low
        if tokens[i].stem in VERBS or low.endswith(("ed", "ing", "ly")) or low in FUNCTION:
            parts.append((first, i))
            break
    return parts


def _run_score(
    sentence: Sentence, reading: ToolReading, slot: Slot, run: Run, first: int, last: int, marker: str
) -> float | None:
    """How well the words first..last do as the value of a slot; None if they cannot be one."""
    tokens, kind = sentence.tokens, slot.kind
    span = [t for t in tokens[first:last] if t.is_word]
    content = [t for t in span if t.low not in FUNCTION]
    if not content or (len(content) == 1 and content[0].stem in reading.nouns and content[0].text.islower()):
        return None  # `add a todo`: the noun is what the tool is about, not a value
    others = {s for other in reading.slots if other is not slot for s in other.stems}
    if all(t.stem in _LABELS | others for t in content):
        return None  # `with the comment "..."`: the name of another argument
    capital = sum(t.text[0].isupper() for t in span) / len(span)
    before, after = around(sentence, first, last, back=3)
    score = _MARKERS[kind].get(marker, 0.3) - 0.9
    score += direction(slot, before[:1]) + _pair(slot, before, after)
    own = sum(t.stem in reading.lexicon and t.stem not in slot.stems for t in content) / len(content)
    score -= {"text": 0.35, "query": 0.5}.get(kind, 0.9) * own
    if all(t.stem in reading.nouns or t.stem in VERBS for t in content) and not capital:
        score -= 0.8
    if slot.is_source and sentence.kind_at(first - 1) == "number":
        score += 1.0  # `10 miles`, `250 USD`: the unit to convert from
    score = _kind_score(score, sentence, slot, run, first, last, span, capital)
    if run.joins and kind != "text":
        # `The Left Hand of Darkness` is one name, `vip and investor` are two
        is_title = kind != "person" and all(t.text[0].isupper() or t.low in _TITLE_WORDS for t in span)
        if is_title and not (kind == "place" and any(t.low == "and" for t in span)):
            return score
        score -= 0.5 * (kind != "query" and any(t.low in ("and", "or") for t in span))
    return score - (0.12 if kind in ("text", "query") else 0.4) * run.joins


def _kind_score(
    score: float,
    sentence: Sentence,
    slot: Slot,
    run: Run,
    first: int,
    last: int,
    span: list[Token],
    capital: float,
) -> float:
    """The score with what the number and capitals of the words say about the slot's kind."""
    kind, tokens, size = slot.kind, sentence.tokens, len(span)
    following = tokens[last] if last < len(tokens) else None
    owns = following and following.low in _POSSESSIVE and not {t.low for t in span} & PRONOUNS
    possessive, is_proper = bool(owns), capital > 0.6
    if kind == "person":
        score += 0.8 * is_proper - (0.2 if is_proper else 0.5) * max(0, size - 2) - 0.35 * (run.joins > 0)
        score += 1.4 * possessive
        if following and (following.low in AUXILIARIES | MODALS | {"to"} or following.stem in VERBS):
            score += 0.5
        if [t.low for t in tokens[max(0, first - 2) : first]] in (["name", "is"], ["name", "'s"]):
            score += 1.5
        return score - 0.5 * any(t.stem in VERBS for t in span)
    if kind == "place":
        joined = run.joins > 0 and capital < 0.9
        score += 0.7 * is_proper - 0.3 * max(0, size - 4) - 0.2 * joined
        return score + 0.3 * possessive
    if kind in ("name", "id"):
        owned = 0.5 * (possessive and kind == "name")
        score += 0.5 * is_proper + 0.25 * (capital == 1 and size > 1) - 0.15 * max(0, size - 4) + owned
        if shape(sentence.words(first, last)) in slot.shapes and (kind == "id" or capital):
            return score + 1.4
        if kind == "id":
            score += 0.9 if size == 1 and span[0].text.isupper() and len(span[0].text) > 1 else -1.0
            score -= 0.6 * bool(slot.shapes)
        return score
    score += 0.1 * min(size, 6) - 0.4 * possessive
    return score - 0.08 * (max(0, size - 5) if kind == "query" else 0)


def _pair(slot: Slot, before: list[str], after: list[str]) -> float:
    """`my shoe size is 42`: the subject comes before the verb, the predicate after it."""
    equal = ("is", "are", "=", "was", "'s")
    left, right = before[0] if before else "", after[0] if after else ""
    if slot.stems & _SUBJECT:
        return 0.7 * (right in (*equal, ":")) - 0.7 * (left in equal) + 0.5 * (left == "as")
    if slot.stems & _PREDICATE:
        return 0.7 * (left in (*equal, ":")) - 0.5 * (right in equal)
    return 0.0


def _lead_noun(sentence: Sentence, first: int, slot: Slot) -> bool:
    """Whether the tool's noun at `first` only introduces what follows, as in `contact Greg Olsen`."""
    following = sentence.tokens[first + 1]
    return slot.kind != "text" or following.low in DETERMINERS or following.text[0].isupper()
