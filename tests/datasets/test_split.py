"""Splits: disjoint, complete, stratified, stable."""

from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewright.core.values import Dataset, Part, Sample
from edgewright.datasets.split import Fractions, split
from edgewright_contract.errors import EdgewrightError, ErrorCode


def dataset(labels: list[int | None], contents: list[int] | None = None, seed: int = 0) -> Dataset:
    """One sample a label; equal `contents` are equal images."""
    contents = contents or list(range(len(labels)))
    samples = tuple(
        Sample(f"{number}.png", hashlib.sha256(str(content).encode()).hexdigest(), label)
        for number, (label, content) in enumerate(zip(labels, contents, strict=True))
    )
    return Dataset("d", "csv", "p", "i", seed, (), samples)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 5)), st.integers(0, 60)), max_size=120),
    st.integers(0, 2**31),
)
def test_parts_cover_all_samples_and_share_no_image(rows: list[tuple[int | None, int]], seed: int) -> None:
    """Every sample is in one part, equal images are together, and no part is empty; or the set is too small."""
    given_set = dataset([label for label, _ in rows], [content for _, content in rows], seed)
    different = len({sample.sha256 for sample in given_set.samples})
    if different < 4:
        with pytest.raises(EdgewrightError) as caught:
            split(given_set)
        assert caught.value.code is ErrorCode.DATASET_TOO_SMALL
        return

    parts = split(given_set)

    assert Counter(sample for part in parts.values() for sample in part) == Counter(given_set.samples)
    contents = [{sample.sha256 for sample in parts[part]} for part in Part]
    assert all(contents)
    assert sum(map(len, contents)) == len(set().union(*contents))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=4, max_size=60), st.randoms())
def test_order_and_names_of_files_do_not_matter(labels: list[int], random: object) -> None:
    """The same images under other names in another order are divided alike."""
    first = dataset(list(labels))
    renamed = [Sample(f"x/{sample.sha256[:8]}.png", sample.sha256, sample.class_index) for sample in first.samples]
    random.shuffle(renamed)  # type: ignore[attr-defined]
    second = Dataset("other", "imagefolder", "q", "i", 0, (), tuple(renamed))

    one, two = split(first), split(second)

    assert {part: [s.sha256 for s in one[part]] for part in Part} == {
        part: [s.sha256 for s in two[part]] for part in Part
    }


def test_sizes_follow_the_defaults() -> None:
    """A quarter each up to 256 and 500, at least half for evaluation."""
    sizes = {count: tuple(len(part) for part in split(dataset([0] * count)).values()) for count in (4, 100, 500, 5000)}

    assert sizes == {4: (1, 1, 2), 100: (25, 25, 50), 500: (125, 125, 250), 5000: (256, 500, 4244)}


def test_each_class_has_its_share_of_every_part_and_of_its_beginning() -> None:
    """With 40, 400 and 560 images of three classes, parts and their first halves keep the proportions within one."""
    counts = {0: 40, 1: 400, 2: 560}
    parts = split(dataset([label for label, count in counts.items() for _ in range(count)]))

    for part in parts.values():
        for samples in (part, part[: len(part) // 2]):
            found = Counter(sample.class_index for sample in samples)
            for label, count in counts.items():
                assert abs(found[label] - len(samples) * count / 1000) <= 1.5


def test_one_image_a_class_is_divided_too() -> None:
    """500 classes with one image each give parts of the usual sizes."""
    assert [len(part) for part in split(dataset(list(range(500)))).values()] == [125, 125, 250]


def test_another_seed_divides_otherwise() -> None:
    """The seed decides."""
    one, two = (split(dataset([0] * 100, seed=seed))[Part.CALIBRATION] for seed in (0, 1))

    assert set(one) != set(two)


def test_fractions_can_be_given() -> None:
    """Other shares and limits are kept."""
    parts = split(dataset([None] * 100), Fractions(0.1, 5, 0.4, 1000))

    assert [len(part) for part in parts.values()] == [5, 40, 55]
