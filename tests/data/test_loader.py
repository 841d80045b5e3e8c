"""The validation split and the batches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from orthowatt.data.loader import Batches, split
from orthowatt.errors import InputError


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    fraction=st.floats(0, 0.9),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_split_divides_each_class_in_proportion(labels, fraction, seed):
    labels = torch.tensor(labels)
    train, validation = split(labels, fraction, seed)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(len(labels)))
    for label in labels.unique():
        size = int((labels == label).sum())
        taken = int((labels[validation] == label).sum())
        assert taken < size
        assert fraction * size - 1 < taken < fraction * size + 1 or taken == size - 1


def test_a_split_is_fixed_by_its_seed_alone():
    labels = torch.arange(100) % 10
    torch.manual_seed(1)
    first = split(labels, 0.2, 3)[1]
    torch.manual_seed(2)
    assert torch.equal(first, split(labels, 0.2, 3)[1])
    assert not torch.equal(first, split(labels, 0.2, 4)[1])
    # these positions are part of what makes old records comparable: they must not move
    assert split(labels, 0.1, 0)[1].tolist() == [15, 18, 20, 44, 46, 61, 63, 72, 87, 99]


def test_the_whole_is_the_rounded_fraction():
    labels = torch.arange(50_000) % 100
    assert torch.bincount(labels[split(labels, 0.1)[1]]).unique().tolist() == [50]
    assert len(split(torch.arange(1438) % 10, 0.1)[1]) == 144
    assert len(split(labels, 0.0)[1]) == 0


def test_a_fraction_of_one_is_refused():
    with pytest.raises(InputError, match="fraction in"):
        split(torch.zeros(3), 1.0)


@pytest.fixture
def numbered():
    """Twenty images whose every pixel is their own number."""
    numbers = torch.arange(20, dtype=torch.uint8)
    return numbers.reshape(20, 1, 1, 1).expand(20, 2, 8, 8), numbers.long()


def ids(batches, epoch, start=0):
    found = []
    for images, labels in batches.epoch(epoch, start):
        shown = (images[:, 0, 0, 0] * 255).round().long()
        assert torch.equal(shown, labels)
        found.extend(labels.tolist())
    return found


def make(numbered, **options):
    given = {"batch_size": 6, "image_size": 8, "mean": (0.0, 0.0), "std": (1.0, 1.0), **options}
    return Batches(*numbered, **given)


def test_training_shuffles_and_drops_the_rest(numbered):
    batches = make(numbered, train=True)
    first = ids(batches, 1)
    assert len(batches) == 3
    assert len(set(first)) == 18
    assert first != ids(batches, 2)
    assert first == ids(make(numbered, train=True), 1)
    assert first != ids(make(numbered, train=True, seed=1), 1)


def test_evaluation_keeps_order_and_rest(numbered):
    batches = make(numbered, indices=torch.arange(3, 20))
    assert len(batches) == 3
    assert ids(batches, 0) == list(range(3, 20))
    assert [len(labels) for _, labels in batches] == [6, 6, 5]


def test_a_set_smaller_than_a_batch_is_one_batch(numbered):
    batches = make(numbered, train=True, indices=torch.arange(4))
    assert len(batches) == 1
    assert sorted(ids(batches, 0)) == [0, 1, 2, 3]


def test_an_epoch_can_be_entered_at_any_step(numbered):
    batches = make(numbered, train=True, crop_padding=0.25, flip=True)
    whole = list(batches.epoch(4))
    for start in range(len(whole) + 1):
        rest = list(batches.epoch(4, start))
        assert len(rest) == len(whole) - start
        for (images, labels), (again, same) in zip(whole[start:], rest, strict=True):
            assert torch.equal(images, again)
            assert torch.equal(labels, same)


def test_the_global_generator_is_not_touched(numbered):
    before = torch.get_rng_state()
    list(make(numbered, train=True, crop_padding=0.25, flip=True).epoch(0))
    assert torch.equal(before, torch.get_rng_state())


def test_alternate_flips_mirror_each_image_every_second_epoch():
    images = torch.arange(8, dtype=torch.uint8).expand(20, 1, 8, 8)  # rises from left to right
    batches = Batches(
        images, torch.arange(20), batch_size=20, image_size=8, train=True, alternate_flip=True
    )

    def mirrored(epoch):
        ((shown, labels),) = batches.epoch(epoch)
        return {int(n): bool(x[0, 0, 0] > x[0, 0, 7]) for x, n in zip(shown, labels, strict=True)}

    first, second = mirrored(1), mirrored(2)
    assert 4 < sum(first.values()) < 16
    assert all(first[n] != second[n] for n in range(20))
    assert mirrored(3) == first


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_processes_share_each_batch_and_each_part(numbered, ranks):
    whole = make(numbered, train=True, flip=True)
    shares = [make(numbered, train=True, flip=True, share=(r, ranks)) for r in range(ranks)]
    for (images, labels), *parts in zip(whole.epoch(2), *(s.epoch(2) for s in shares), strict=True):
        assert torch.equal(torch.cat([x for x, _ in parts]), images)
        assert torch.equal(torch.cat([y for _, y in parts]), labels)
    tests = [make(numbered, share=(r, ranks)) for r in range(ranks)]
    assert sorted(n for part in tests for n in ids(part, 0)) == list(range(20))


def test_an_epoch_may_have_another_size(numbered):
    ((images, _), *_) = make(numbered, train=True).epoch(1, image_size=12)
    assert images.shape == (6, 2, 12, 12)
