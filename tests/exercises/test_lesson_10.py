"""Right answers to lesson 10, each written in another way, and what the checks say to wrong ones."""

import functools
import itertools
import math
import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest
import regex

from gemini_workshop.data.tokenizers.bpe import apply_merges, count_pairs, merge_pair, pre_tokenize
from gemini_workshop.exercises.core.catalogue import find
from gemini_workshop.exercises.core.judge import judge
from gemini_workshop.exercises.core.verdict import Outcome

# --- count_pairs -----------------------------------------------------------------------------------------------------


def count_by_zip(ids):
    left, right = ids[:-1], ids[1:]
    return Counter(zip(left, right, strict=True))


def count_by_index(ids):
    counts = {}
    for i in range(len(ids) - 1):
        pair = (ids[i], ids[i + 1])
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def count_by_default(ids):
    counts = defaultdict(int)
    for a, b in pairwise(ids):
        counts[a, b] += 1
    return dict(counts)


def count_remembering_the_last(ids):
    counts, last = Counter(), None
    for i in ids:
        if last is not None:
            counts[(last, i)] += 1
        last = i
    return counts


def count_by_slices(ids):
    return Counter(tuple(ids[i : i + 2]) for i in range(len(ids) - 1))


def count_by_groups(ids):
    pairs = list(pairwise(ids))
    counts = {pair: len(list(group)) for pair, group in itertools.groupby(sorted(pairs))}
    return {pair: counts[pair] for pair in pairs}


# --- merge_pair ------------------------------------------------------------------------------------------------------


def merge_by_slices(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            out.append(new_id)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


def merge_with_a_flag(ids, pair, new_id):
    out, skip = [], False
    for i, this in enumerate(ids):
        if skip:
            skip = False
        elif i < len(ids) - 1 and this == pair[0] and ids[i + 1] == pair[1]:
            out.append(new_id)
            skip = True
        else:
            out.append(this)
    return out


def merge_on_a_stack(ids, pair, new_id):
    out = []
    for i in ids:
        if out and (out[-1], i) == pair:
            out[-1] = new_id
        else:
            out.append(i)
    return out


def merge_by_recursion(ids, pair, new_id):
    if len(ids) < 2:
        return list(ids)
    if (ids[0], ids[1]) == pair:
        return [new_id, *merge_by_recursion(ids[2:], pair, new_id)]
    return [ids[0], *merge_by_recursion(ids[1:], pair, new_id)]


def merge_on_a_copy_in_place(ids, pair, new_id):
    ids, i = list(ids), 0
    while i + 1 < len(ids):
        if ids[i] == pair[0] and ids[i + 1] == pair[1]:
            ids[i : i + 2] = [new_id]
        i += 1
    return ids


def merge_by_an_iterator(ids, pair, new_id):
    out, rest = [], iter(range(len(ids)))
    for i in rest:
        is_pair = i + 1 < len(ids) and ids[i] == pair[0] and ids[i + 1] == pair[1]
        out.append(new_id if is_pair else ids[i])
        if is_pair:
            next(rest)
    return out


def merge_as_characters(ids, pair, new_id):
    text = "".join(map(chr, ids))
    return [ord(c) for c in text.replace(chr(pair[0]) + chr(pair[1]), chr(new_id))]


# --- pre_tokenize ----------------------------------------------------------------------------------------------------


def words_by_one_pattern(text):
    return regex.findall(r"'(?:[sdmt]|re|ve|ll)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", text)


def words_by_a_compiled_pattern(text):
    pattern = regex.compile(r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")
    return [match.group() for match in pattern.finditer(text)]


def words_by_re(text):
    return re.findall(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+", text)


def words_with_possessive_runs(text):
    return regex.findall(
        r"""(?x) '(?:s|t|re|ve|m|ll|d) | [ ]?\p{L}++ | [ ]?\p{N}++ | [ ]?[^\s\p{L}\p{N}]++ | \s+(?!\S) | \s+""", text
    )


def words_by_unicode_names(text):
    return regex.findall(
        r"'(?:s|t|re|ve|m|ll|d)|[ ]?\p{Letter}+|[ ]?\p{Number}+|[ ]?[^\s\p{Letter}\p{Number}]+|\s+(?!\S)|\s+", text
    )


def words_by_sub(text):
    words = []
    regex.sub(
        r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        lambda found: words.append(found[0]) or "",
        text,
    )
    return words


def words_by_match(text):
    words, at = [], 0
    parts = [r"'(?:s|t|re|ve|m|ll|d)", r" ?\p{L}+", r" ?\p{N}+", r" ?[^\s\p{L}\p{N}]+", r"\s+(?!\S)", r"\s+"]
    while at < len(text):
        found = next(m for part in parts if (m := regex.compile(part).match(text, at)))
        words.append(found.group())
        at = found.end()
    return words


# --- train_bpe -------------------------------------------------------------------------------------------------------


def train_by_the_parts(words, num_merges):
    words, merges = [list(word) for word in words], {}
    for i in range(num_merges):
        counts = Counter()
        for word in words:
            counts.update(count_pairs(word))
        best = max(counts, key=counts.get)
        merges[best] = 256 + i
        words = [merge_pair(word, best, 256 + i) for word in words]
    return merges


def train_by_most_common(words, num_merges):
    merges = {}
    for new_id in range(256, 256 + num_merges):
        [(pair, _)] = Counter(pair for word in words for pair in pairwise(word)).most_common(1)
        merges[pair] = new_id
        words = [merge_pair(word, pair, new_id) for word in words]
    return merges


def train_by_sums_of_counters(words, num_merges):
    merges = {}
    while len(merges) < num_merges:
        counts = sum((count_pairs(word) for word in words), Counter())
        pair = max(counts.items(), key=lambda item: item[1])[0]
        merges[pair] = len(merges) + 256
        words = [merge_pair(list(word), pair, merges[pair]) for word in words]
    return merges


def train_on_distinct_words(words, num_merges):
    repeats = Counter(tuple(word) for word in words)
    merges = {}
    for new_id in range(256, 256 + num_merges):
        counts = defaultdict(int)
        for word, times in repeats.items():
            for pair in pairwise(word):
                counts[pair] += times
        best = max(counts, key=lambda pair: counts[pair])
        merges[best] = new_id
        repeats = {tuple(merge_pair(word, best, new_id)): times for word, times in repeats.items()}
    return merges


def train_by_sorting(words, num_merges):
    words, merges = list(map(list, words)), {}
    for new_id in range(256, 256 + num_merges):
        counts = {}
        for word in words:
            for pair, count in count_pairs(word).items():
                counts[pair] = counts.get(pair, 0) + count
        pair = sorted(counts, key=lambda pair: -counts[pair])[0]
        merges[pair] = new_id
        for i in range(len(words)):
            words[i] = merge_pair(words[i], pair, new_id)
    return merges


def train_with_a_running_best(words, num_merges):
    words = [[*word] for word in words]
    merges = dict[tuple[int, int], int]()
    for _ in range(num_merges):
        counts, best = Counter(itertools.chain.from_iterable(pairwise(word) for word in words)), None
        for pair in counts:
            if best is None or counts[pair] > counts[best]:
                best = pair
        merges |= {best: 256 + len(merges)}
        words = [merge_pair(word, best, merges[best]) for word in words]
    return merges


# --- decode ----------------------------------------------------------------------------------------------------------


def decode_by_a_table(ids, merges):
    table = [bytes([i]) for i in range(256)]
    for left, right in merges:
        table.append(table[left] + table[right])
    return b"".join(table[i] for i in ids).decode("utf-8", "replace")


def decode_by_recursion(ids, merges):
    pairs = {new: pair for pair, new in merges.items()}

    def expand(i):
        return bytes([i]) if i < 256 else expand(pairs[i][0]) + expand(pairs[i][1])

    data = b""
    for i in ids:
        data += expand(i)
    return data.decode(errors="replace")


def decode_on_a_stack(ids, merges):
    pairs = {new: pair for pair, new in merges.items()}
    stack, data = list(ids)[::-1], bytearray()
    while stack:
        i = stack.pop()
        if i in pairs:
            stack += pairs[i][::-1]
        else:
            data.append(i)
    return str(data, "utf-8", "replace")


def decode_by_undoing_merges(ids, merges):
    ids = list(ids)
    for pair, new_id in reversed(merges.items()):
        ids = [each for i in ids for each in (pair if i == new_id else (i,))]
    return bytes(ids).decode("utf8", errors="replace")


def decode_only_what_is_needed(ids, merges):
    pairs = {new: pair for pair, new in merges.items()}

    @functools.cache
    def token(i):
        return bytes((i,)) if i not in pairs else b"".join(map(token, pairs[i]))

    return b"".join(map(token, ids)).decode("utf-8", errors="replace")


def decode_with_a_dictionary_of_lists(ids, merges):
    tokens = {i: [i] for i in range(256)}
    tokens |= {}
    for (a, b), new_id in merges.items():
        tokens[new_id] = tokens[a] + tokens[b]
    return bytes(itertools.chain(*(tokens[i] for i in ids))).decode("utf-8", errors="replace")


# --- apply_merges ----------------------------------------------------------------------------------------------------


def apply_in_training_order(ids, merges):
    ids = list(ids)
    for pair, new_id in merges.items():
        ids = merge_pair(ids, pair, new_id)
    return ids


def apply_by_known_pairs(ids, merges):
    while True:
        known = {pair: merges[pair] for pair in count_pairs(ids) if pair in merges}
        if not known:
            return list(ids)
        pair = min(known, key=known.get)
        ids = merge_pair(ids, pair, merges[pair])


def apply_one_occurrence_at_a_time(ids, merges):
    ids = list(ids)
    while len(ids) >= 2:
        rank, at = min((merges.get((ids[i], ids[i + 1]), math.inf), i) for i in range(len(ids) - 1))
        if rank == math.inf:
            break
        ids[at : at + 2] = [rank]
    return ids


def apply_by_recursion(ids, merges):
    known = [merges[pair] for pair in pairwise(ids) if pair in merges]
    if not known:
        return [*ids]
    pair = next(pair for pair, new_id in merges.items() if new_id == min(known))
    return apply_by_recursion(merge_pair(ids, pair, min(known)), merges)


def apply_by_sorted_ranks(ids, merges):
    ids = list(ids)
    for new_id, pair in sorted((new_id, pair) for pair, new_id in merges.items()):
        if pair in set(pairwise(ids)):
            ids = merge_pair(ids, pair, new_id)
    return ids


def apply_with_a_default(ids, merges):
    ids, best = list(ids), True
    while best:
        best = min(pairwise(ids), key=lambda pair: merges.get(pair, 10**9), default=None)
        if best not in merges:
            return ids
        ids = merge_pair(ids, best, merges[best])
    return ids


# --- encode ----------------------------------------------------------------------------------------------------------


def encode_by_a_loop(text, merges, special_tokens):
    parts = [text]
    for name in special_tokens:
        parts = [
            piece
            for part in parts
            for piece in ([part] if part in special_tokens else re.split("(" + re.escape(name) + ")", part))
        ]
    ids = []
    for part in parts:
        if part in special_tokens:
            ids.append(special_tokens[part])
            continue
        for word in pre_tokenize(part):
            ids.extend(apply_merges(word.encode("utf-8"), merges))
    return ids


def encode_by_partition(text, merges, special_tokens):
    for name, i in special_tokens.items():
        before, found, after = text.partition(name)
        if found:
            return [
                *encode_by_partition(before, merges, special_tokens),
                i,
                *encode_by_partition(after, merges, special_tokens),
            ]
    return [i for word in pre_tokenize(text) for i in apply_merges(word.encode(), merges)]


def encode_place_by_place(text, merges, special_tokens):
    ids, plain, at = [], "", 0

    def flush():
        return [i for word in pre_tokenize(plain) for i in apply_merges(list(word.encode()), merges)]

    while at < len(text):
        name = next((name for name in special_tokens if text.startswith(name, at)), None)
        if name:
            ids += [*flush(), special_tokens[name]]
            plain, at = "", at + len(name)
        else:
            plain, at = plain + text[at], at + 1
    return ids + flush()


def encode_by_finditer(text, merges, special_tokens):
    ids, at = [], 0
    found = re.finditer("|".join(map(re.escape, special_tokens)), text) if special_tokens else []
    for match in found:
        for word in pre_tokenize(text[at : match.start()]):
            ids += apply_merges(word.encode(), merges)
        ids.append(special_tokens[match[0]])
        at = match.end()
    for word in pre_tokenize(text[at:]):
        ids += apply_merges(word.encode(), merges)
    return ids


def encode_by_a_sum(text, merges, special_tokens):
    if special_tokens:
        pattern = regex.compile("(" + "|".join(regex.escape(name) for name in special_tokens) + ")")
        parts = pattern.split(text)
    else:
        parts = [text]
    ids = []
    for part in parts:
        words = [] if part in special_tokens else [word.encode() for word in pre_tokenize(part)]
        ids = sum((apply_merges(word, merges) for word in words), start=ids)
        ids = [*ids, special_tokens[part]] if part in special_tokens else ids
    return ids


def encode_with_a_helper(text, merges, special_tokens):
    def plain(part):
        return itertools.chain.from_iterable(apply_merges(bytes(word, "utf-8"), merges) for word in pre_tokenize(part))

    names = sorted(special_tokens, key=len, reverse=True)
    parts = re.split("(" + "|".join(re.escape(name) for name in names) + ")", text) if names else [text]
    return list(itertools.chain(*([special_tokens[p]] if p in special_tokens else plain(p) for p in parts)))


# --- bits_per_byte ---------------------------------------------------------------------------------------------------


def bits_in_steps(loss_nats, num_tokens, num_bytes):
    nats = loss_nats * num_tokens
    bits = nats / math.log(2)
    return bits / num_bytes


def bits_by_log2_of_e(loss_nats, num_tokens, num_bytes):
    return loss_nats * math.log2(math.e) * num_tokens / num_bytes


def bits_by_perplexity(loss_nats, num_tokens, num_bytes):
    return math.log2(math.exp(loss_nats)) / (num_bytes / num_tokens)


def bits_by_a_constant(loss_nats, num_tokens, num_bytes):
    return loss_nats * 1.4426950408889634 * (num_tokens / num_bytes)


def bits_of_a_probability(loss_nats, num_tokens, num_bytes):
    return -math.log(math.exp(-loss_nats), 2) * num_tokens / num_bytes


def bits_by_numpy(loss_nats, num_tokens, num_bytes):
    return np.float64(loss_nats) / np.log(2) * num_tokens / num_bytes


RIGHT = {
    "10.1": [
        count_by_zip,
        count_by_index,
        count_by_default,
        count_remembering_the_last,
        count_by_slices,
        count_by_groups,
    ],
    "10.2": [
        merge_by_slices,
        merge_with_a_flag,
        merge_on_a_stack,
        merge_by_recursion,
        merge_on_a_copy_in_place,
        merge_by_an_iterator,
        merge_as_characters,
    ],
    "10.3": [
        words_by_one_pattern,
        words_by_a_compiled_pattern,
        words_by_re,
        words_with_possessive_runs,
        words_by_unicode_names,
        words_by_sub,
        words_by_match,
    ],
    "10.4": [
        train_by_the_parts,
        train_by_most_common,
        train_by_sums_of_counters,
        train_on_distinct_words,
        train_by_sorting,
        train_with_a_running_best,
    ],
    "10.5": [
        decode_by_a_table,
        decode_by_recursion,
        decode_on_a_stack,
        decode_by_undoing_merges,
        decode_only_what_is_needed,
        decode_with_a_dictionary_of_lists,
    ],
    "10.6": [
        apply_in_training_order,
        apply_by_known_pairs,
        apply_one_occurrence_at_a_time,
        apply_by_recursion,
        apply_by_sorted_ranks,
        apply_with_a_default,
    ],
    "10.7": [
        encode_by_a_loop,
        encode_by_partition,
        encode_place_by_place,
        encode_by_finditer,
        encode_by_a_sum,
        encode_with_a_helper,
    ],
    "10.8": [
        bits_in_steps,
        bits_by_log2_of_e,
        bits_by_perplexity,
        bits_by_a_constant,
        bits_of_a_probability,
        bits_by_numpy,
    ],
}


@pytest.mark.parametrize(("exercise_id", "answer"), [(key, f) for key, functions in RIGHT.items() for f in functions])
def test_right_answers_pass_however_they_are_written(exercise_id, answer):
    verdict = judge(find(exercise_id), answer)
    assert verdict.outcome == Outcome.PASSED, str(verdict)


# --- What wrong answers are told -------------------------------------------------------------------------------------


def test_a_wrong_count_is_shown_for_the_pair_that_is_wrong():
    verdict = judge(find("10.1"), lambda ids: Counter(pairwise(ids[:-1])))
    assert verdict.mistake == "last pair left out"
    assert verdict.lines[1] == "In [97, 98, 99, 97, 98] the pair (97, 98) was counted 1 time; 2 is needed."


def test_pairs_in_another_order_are_no_right_answer():
    verdict = judge(find("10.1"), lambda ids: Counter(sorted(pairwise(ids))))
    assert verdict.outcome == Outcome.WRONG
    assert "those seen first" in verdict.lines[0]


def test_changing_the_ids_in_place_is_noticed():
    def in_place(ids, pair, new_id):
        i = 0
        while i < len(ids) - 1:
            if (ids[i], ids[i + 1]) == pair:
                ids[i : i + 2] = [new_id]
            i += 1
        return ids

    assert "changes its argument `ids`" in judge(find("10.2"), in_place).lines[0]


def test_a_list_compared_with_a_tuple_is_called_by_its_name():
    def never_equal(ids, pair, new_id):
        merged, i = [], 0
        while i < len(ids):
            if ids[i : i + 2] == pair:
                merged.append(new_id)
                i += 2
            else:
                merged.append(ids[i])
                i += 1
        return merged

    assert judge(find("10.2"), never_equal).mistake == "nothing merged"


def test_lost_text_is_shown_joined():
    verdict = judge(find("10.3"), lambda text: regex.findall(r"\p{L}+|\p{N}+", text))
    assert verdict.mistake is None
    assert verdict.lines[0] == (
        "'The dog.' was cut into ['The', 'dog']. Joined, they are 'Thedog'; the text itself is needed."
    )


def test_a_group_that_captures_is_a_wrong_answer_and_no_crash():
    captured = judge(find("10.3"), lambda text: regex.findall(r"'(s|t|re|ve|m|ll|d)| ?\p{L}+|\s+", text))
    assert captured.outcome == Outcome.WRONG


def test_tuples_of_count_and_pair_are_told_of_ties():
    def train(words, num_merges):
        words, merges = [list(word) for word in words], {}
        for new_id in range(256, 256 + num_merges):
            counts = Counter(pair for word in words for pair in pairwise(word))
            _, pair = max((count, pair) for pair, count in counts.items())
            merges[pair] = new_id
            words = [merge_pair(word, pair, new_id) for word in words]
        return merges

    assert judge(find("10.4"), train).mistake == "largest pair wins"


def test_a_strict_decoder_is_shown_the_error_of_half_a_character():
    def strict(ids, merges):
        tokens = [bytes([i]) for i in range(256)]
        for left, right in merges:
            tokens.append(tokens[left] + tokens[right])
        return b"".join(tokens[i] for i in ids).decode("utf-8")

    verdict = judge(find("10.5"), strict)
    assert verdict.outcome == Outcome.ERROR
    assert any("UnicodeDecodeError" in line for line in verdict.lines)


def test_a_word_of_one_byte_is_no_reason_to_crash():
    def crashes(ids, merges):
        while True:
            pair = min(pairwise(ids), key=lambda pair: merges.get(pair, math.inf))
            if pair not in merges:
                return list(ids)
            ids = merge_pair(ids, pair, merges[pair])

    assert judge(find("10.6"), crashes).outcome == Outcome.ERROR


def test_greedy_encoding_from_the_left_is_told_of_the_order_of_training():
    def from_the_left(ids, merges):
        found = []
        for i in ids:
            found.append(i)
            while tuple(found[-2:]) in merges:
                found[-2:] = [merges[tuple(found[-2:])]]
        return found

    verdict = judge(find("10.6"), from_the_left)
    assert verdict.mistake == "leftmost pair first"
    assert verdict.lines[1].startswith("b'abc' with the merges {(98, 99): 256")


def test_an_unescaped_name_is_told_of_or():
    def unescaped(text, merges, special_tokens):
        parts = re.split("(" + "|".join(special_tokens) + ")", text) if special_tokens else [text]
        ids = []
        for part in parts:
            if part in special_tokens:
                ids.append(special_tokens[part])
            else:
                for word in pre_tokenize(part):
                    ids += apply_merges(word.encode(), merges)
        return ids

    assert judge(find("10.7"), unescaped).mistake == "names not escaped"


def test_an_empty_pattern_is_told_that_it_cuts_everywhere():
    def unguarded(text, merges, special_tokens):
        ids = []
        for part in re.split("(" + "|".join(map(re.escape, special_tokens)) + ")", text):
            if part in special_tokens:
                ids.append(special_tokens[part])
            else:
                for word in pre_tokenize(part):
                    ids += apply_merges(word.encode(), merges)
        return ids

    assert judge(find("10.7"), unguarded).mistake == "cut everywhere without special tokens"
