"""The tasks written down literally, one example and one token at a time: slow, and the judge of the fast generators."""

import itertools
import random

from evaluator.tasks.noisy_recall import NOISE_TOKENS
from evaluator.tasks.task import Setting

Pair = tuple[tuple[int, ...], tuple[int, ...]]


def recall(setting: Setting, rng: random.Random) -> list[int]:
    """A whole sequence of Context or Noisy Recall, one token longer than what is fed."""
    content = setting.vocabulary - (NOISE_TOKENS if setting.task == "Noisy Recall" else 0)
    keys, values = range(content // 2), range(content // 2, content)
    value_of: dict[int, int] = {}
    sequence: list[int] = []
    pairs = setting.length // 2
    never_noise = rng.randrange(pairs - 1)
    for slot in range(pairs - 1):
        if slot != never_noise and rng.random() < setting.noise:
            sequence += [rng.randrange(content, setting.vocabulary) for _ in range(2)]
        else:
            key = rng.choice(keys)
            value_of.setdefault(key, rng.choice(values))
            sequence += [key, value_of[key]]
    last = rng.choice(sorted(value_of))
    return [*sequence, last, value_of[last]]


def recall_scored(setting: Setting, sequence: list[int]) -> dict[int, int]:
    """Position fed -> value, for every key that was met before."""
    content = setting.vocabulary - (NOISE_TOKENS if setting.task == "Noisy Recall" else 0)
    seen: set[int] = set()
    scored = {}
    for position in range(0, len(sequence), 2):
        key = sequence[position]
        if key < content:
            if key in seen:
                scored[position] = sequence[position + 1]
            seen.add(key)
    return scored


def fuzzy(setting: Setting, training: bool, rng: random.Random) -> list[int]:
    """A whole sequence of Fuzzy Recall, one token longer than what is fed."""
    content = setting.vocabulary - 1
    keys, values = range(content // 2), range(content // 2, content)
    value_of: dict[tuple[int, ...], tuple[int, ...]] = {}
    shown: list[tuple[int, ...]] = []
    sequence: list[int] = []
    while True:
        key = tuple(rng.sample(keys, rng.choice([1, 2, 3]) if training else 3))
        value = value_of.get(key) or tuple(rng.sample(values, rng.choice([1, 2, 3])))
        if len(sequence) + len(key) + len(value) + 6 > setting.length + 1:
            break
        value_of[key] = value
        shown.append(key)
        sequence += [*key, *value]
    last = rng.choice(shown)
    sequence += [*last, *value_of[last]]
    return [setting.vocabulary - 1] * (setting.length + 1 - len(sequence)) + sequence


def fuzzy_pairs(setting: Setting, sequence: list[int]) -> tuple[int, list[Pair]]:
    """Number of pads, and the pairs: a key motif ends where a value token follows, and the other way round."""
    keys_total = (setting.vocabulary - 1) // 2
    pads = 0
    while sequence[pads] == setting.vocabulary - 1:
        pads += 1
    pairs: list[tuple[list[int], list[int]]] = []
    for token in sequence[pads:]:
        is_key = token < keys_total
        if is_key and (not pairs or pairs[-1][1]):
            pairs.append(([], []))
        pairs[-1][0 if is_key else 1].append(token)
    return pads, [(tuple(key), tuple(value)) for key, value in pairs]


def fuzzy_scored(setting: Setting, sequence: list[int]) -> dict[int, int]:
    """Position fed -> token, for every token of the value of a key that was met before."""
    position, pairs = fuzzy_pairs(setting, sequence)
    seen: set[tuple[int, ...]] = set()
    scored = {}
    for key, value in pairs:
        for place, token in enumerate(value):
            if key in seen:
                scored[position + len(key) + place - 1] = token
        seen.add(key)
        position += len(key) + len(value)
    return scored


def selective_copy(setting: Setting, rng: random.Random) -> list[int]:
    """The tokens that are fed."""
    copy_token, blank = setting.vocabulary - 1, setting.vocabulary - 2
    content = [rng.randrange(blank) for _ in range(setting.copies)]
    before = [0] * setting.copies
    for _ in range(setting.length - 2 * setting.copies - 1):
        before[rng.randrange(setting.copies)] += 1
    sequence: list[int] = []
    for token, blanks in zip(content, before, strict=True):
        sequence += [blank] * blanks + [token]
    return [*sequence, copy_token, *[blank] * setting.copies]


def mqar(setting: Setting, rng: random.Random) -> list[int]:
    """The tokens that are fed."""
    pairs, blank = setting.option("pairs"), setting.vocabulary - 1
    keys, values = range(blank // 2), range(blank // 2, blank)
    value_of = {key: rng.choice(values) for key in rng.sample(keys, pairs)}
    sequence = [token for pair in value_of.items() for token in pair]
    places = [blank] * ((setting.length - 2 * pairs) // 2)
    for key in rng.sample(list(value_of), pairs):
        free = [place for place, token in enumerate(places) if token == blank]
        (place,) = rng.choices(free, weights=[(place + 1) ** -0.99 for place in free])
        places[place] = key
    tail = [token for key in places for token in (key, blank)]
    return [*sequence, *tail, *[blank] * (setting.length - len(sequence) - len(tail))]


def mqar_scored(setting: Setting, sequence: list[int]) -> dict[int, int]:
    """Position -> value, for every key that is shown a second time."""
    shown = 2 * setting.option("pairs")
    value_of = dict(zip(sequence[:shown:2], sequence[1:shown:2], strict=True))
    return {place: value_of[token] for place, token in enumerate(sequence) if place >= shown and token in value_of}


def tracked(degree: int, tokens: list[int]) -> list[int]:
    """The state after each token: the number, in lexicographic order, of the list that says where each object is.

    Object i starts in box i. A token is such a list too: it moves what is in box b to the b-th box of its list.
    """
    numbered = sorted(itertools.permutations(range(degree)))
    box_of = list(range(degree))
    states = []
    for token in tokens:
        box_of = [numbered[token][box] for box in box_of]
        states.append(numbered.index(tuple(box_of)))
    return states
