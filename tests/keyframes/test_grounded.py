"""The default keyframe network: what it sees and hears by name, and the part that sound plays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from coprop.encoders.deeplab import CLASS_NAMES
from coprop.encoders.yamnet import class_names
from coprop.keyframes.audio import AudioEvidence, SoundRecognizer
from coprop.keyframes.grounded import GroundedNetwork
from coprop.keyframes.groups import families, sounding_groups
from coprop.keyframes.look_alikes import told_by_sound
from coprop.keyframes.mask_decoder import MaskDecoder, in_the_picture
from coprop.keyframes.selection import RECOGNISED, Selection, SourceSelector
from coprop.keyframes.visual import (
    DEEPLAB,
    PRESENCE_CUES,
    VisualEvidence,
    VisualRecognizer,
    _strongest,
)

GROUPS = tuple(sounding_groups())


@pytest.fixture(scope="module")
def network() -> GroundedNetwork:
    torch.manual_seed(0)
    return GroundedNetwork().eval()


def frames_of(height: int, width: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(height + width)
    return torch.rand(batch, 3, height, width, generator=generator)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 4)])
def test_the_strongest_is_that_of_places_pooled(size: tuple[int, int]) -> None:
    maps = torch.rand(2, 5, *size)
    side = min(3, *size)
    pooled = torch.nn.functional.avg_pool2d(maps, side, 1).amax(dim=(2, 3))
    torch.testing.assert_close(_strongest(maps), pooled)


def test_what_is_seen_where_is_told_in_float32(network: GroundedNetwork) -> None:
    frames = frames_of(64, 96)
    with torch.inference_mode():
        expected, pyramid = network.visual.features(frames)
        with torch.autocast("cpu", torch.bfloat16):
            found, same = network.visual.features(frames)
    for one, other in zip([found, *same], [expected, *pyramid], strict=True):
        torch.testing.assert_close(one, other)


def scripted_evidence(**seen: float) -> VisualEvidence:
    """128 x 128 pixels; each group is seen in rows of places of its own."""
    evidence = torch.zeros(1, len(GROUPS) + 1, 8, 8)
    presence_scores = torch.zeros(1, len(GROUPS), PRESENCE_CUES)
    for row, (group, value) in enumerate(seen.items()):
        evidence[:, GROUPS.index(group), 4 * row : 4 * row + 4] = value
        presence_scores[:, GROUPS.index(group)] = value
    evidence[:, -1] = 1 - evidence[:, :-1].sum(dim=1)
    pyramid = tuple(torch.zeros(1, c, side, side) for c, side in ((24, 32), (40, 16), (112, 8)))
    voc, saliency = torch.zeros(1, len(GROUPS), 32, 32), torch.zeros(1, 1, 32, 32)
    return VisualEvidence(
        pyramid,
        evidence,
        presence_scores,
        presence_scores[..., 0],
        voc,
        saliency,
        torch.zeros_like(saliency),
        torch.zeros_like(saliency),
    )


def test_groups_speak_the_encoders_words() -> None:
    indices = [index for group in sounding_groups().values() for index in group.imagenet]
    assert len(indices) == len(set(indices))
    assert min(indices) >= 0
    assert max(indices) < 1000
    for group in sounding_groups().values():
        assert group.imagenet
        assert group.audioset
        assert set(group.audioset) <= set(class_names())
        assert set(group.voc) <= set(CLASS_NAMES[1:])
    for family in families().values():
        assert set(family.groups) <= set(GROUPS)
        assert set(family.audioset) <= set(class_names())


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize("size", [(32, 32), (64, 96), (256, 448), (448, 32)])
def test_logits_are_at_a_quarter_of_the_size(
    network: GroundedNetwork, size: tuple[int, int]
) -> None:
    with torch.no_grad():
        logits = network(frames_of(*size, batch=2), torch.randn(2, 5000) * 0.1)
    assert logits.shape == (2, 1, size[0] // 4, size[1] // 4)
    assert torch.isfinite(logits).all()


@pytest.mark.usefixtures("small_pictures")
def test_what_is_seen_has_its_shapes_and_ranges(network: GroundedNetwork) -> None:
    with torch.no_grad():
        visual = network.visual(frames_of(64, 96, batch=2))
    assert visual.patches.shape == (2, len(GROUPS) + 1, 4, 6)
    torch.testing.assert_close(visual.patches.sum(dim=1), torch.ones(2, 4, 6))
    assert visual.presence_scores.shape == (2, len(GROUPS), PRESENCE_CUES)
    assert visual.patch_scores.shape == (2, len(GROUPS))
    assert 0 <= visual.patch_scores.min() <= visual.patch_scores.max() <= 0.5
    assert visual.patch_scores[:, GROUPS.index("tool")].max() <= 0.3
    assert visual.voc.shape == (2, len(GROUPS), 16, 24)
    assert visual.saliency.shape == (2, 1, 16, 24)
    assert [tuple(level.shape) for level in visual.pyramid] == [
        (2, 24, 16, 24),
        (2, 40, 8, 12),
        (2, 112, 4, 6),
    ]
    for values in (visual.patches, visual.presence_scores, visual.voc, visual.saliency):
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1 + 1e-6
    unknown = [i for i, group in enumerate(sounding_groups().values()) if not group.voc]
    assert not visual.voc[:, unknown].any()


def test_a_window_is_classified_as_a_picture_of_its_size_is() -> None:
    """Where windows cover all places: the classifier's own answer, summed by group."""
    torch.manual_seed(0)
    eyes = VisualRecognizer().eval()
    frames = frames_of(96, 96)
    with torch.no_grad():
        found = eyes.presence_scores(frames)[0, :, 0]
        answer = eyes.classifier(frames * 2 - 1).softmax(dim=1)[0]
    expected = torch.stack([answer[list(g.imagenet)].sum() for g in sounding_groups().values()])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("trust", [0.5, 1.0])
def test_evidence_adds_up_both_classifiers_probabilities(
    network: GroundedNetwork, trust: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 1280, 1, 1, generator=generator).expand(1, 1280, 2, 3)
    finer = torch.randn(1, 112, 4, 6, generator=generator)
    with torch.no_grad():
        evidence = network.visual.classify_patches(features, finer, trust)[0, :, 1, 2]
        place = features[0, :, 1, 2]
        scores = network.visual.backbone.classifier(place).double().exp()
        learned = (
            trust * network.visual.patch_classifier(features, finer)[0, :, 1, 2].double()
        ).exp()
    groups = [group.imagenet for group in sounding_groups().values()]
    sums = torch.stack([scores[list(indices)].sum() for indices in groups])
    member = {index for indices in groups for index in indices}
    rest = scores[[index for index in range(1000) if index not in member]].sum()
    expected = torch.cat([sums, rest[None]]) + learned
    expected /= expected.sum()
    torch.testing.assert_close(evidence.double(), expected, rtol=1e-4, atol=1e-6)


def test_what_seems_not_to_be_there_is_something_else_unless_it_was_found_to_sound() -> None:
    evidence = torch.zeros(1, len(GROUPS) + 1, 1, 1)
    places = [GROUPS.index("dog"), GROUPS.index("cat"), -1]
    evidence[0, places] = torch.tensor([0.6, 0.3, 0.1]).view(3, 1, 1)
    visual = replace(scripted_evidence(dog=1.0), patches=evidence)
    found = in_the_picture(visual, torch.zeros(1, len(GROUPS)))[0, places].flatten()
    torch.testing.assert_close(found, torch.tensor([0.6, 0.05 * 0.3, 0.1]) / 0.715)
    sounding = torch.zeros(1, len(GROUPS))
    sounding[0, GROUPS.index("cat")] = 1
    found = in_the_picture(visual, sounding)[0, places].flatten()
    torch.testing.assert_close(found, torch.tensor([0.6, 0.3, 0.1]))


@pytest.mark.parametrize("length", [1, 1000, 16_000, 160_000])
def test_sound_of_any_length_is_heard(network: GroundedNetwork, length: int) -> None:
    with torch.no_grad():
        found = network.audio(0.1 * torch.randn(3, length))
    assert found.groups.shape == (3, len(GROUPS))
    assert found.classes.shape == (3, 521)
    for values in (found.groups, found.classes, found.ambient, found.confidence):
        assert torch.isfinite(values).all()
        assert float(values.min()) >= 0
        assert float(values.max()) <= 1


def test_padding_changes_nothing_that_is_heard(network: GroundedNetwork) -> None:
    sound = 0.1 * torch.randn(1, 15_600, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        short = network.audio(sound)
        padded = network.audio(torch.nn.functional.pad(sound, (0, 5 * 16_000)))
    assert padded.groups.argmax() == short.groups.argmax()
    # The patch across the end of the sound is new.
    assert float((padded.classes - short.classes).abs().max()) < 0.05


def test_names_are_added_up_by_group() -> None:
    ears = SoundRecognizer()
    classes = torch.zeros(1, 521)
    classes[0, class_names().index("Bark")] = 0.7
    classes[0, class_names().index("Animal")] = 0.8
    found = ears.named(classes)[0]
    assert found[GROUPS.index("dog")].item() == pytest.approx(0.7)
    assert found[GROUPS.index("sheep")].item() == pytest.approx(0.15 * 0.8)
    assert found[GROUPS.index("drum")].item() == 0


def test_a_loud_moment_in_a_long_sound_is_heard() -> None:
    ears = SoundRecognizer().eval()
    with torch.no_grad():
        ears.yamnet.classifier.weight.zero_()
        ears.yamnet.classifier.bias.fill_(-6.0)
        ears.yamnet.classifier.weight[class_names().index("Bark"), 0] = 1.0
    embeddings = torch.zeros(1, 20, 1024)
    embeddings[0, 3, 0] = 12.0
    found = ears.interpret(embeddings, torch.ones(1, 20, dtype=torch.bool))
    assert found.groups[0, GROUPS.index("dog")] > 0.4
    without = torch.ones(1, 20, dtype=torch.bool)
    without[0, 3] = False
    assert ears.interpret(embeddings, without).groups[0, GROUPS.index("dog")] < 0.01


def test_the_head_counts_as_far_as_the_names_are_unsure() -> None:
    """Scores of YAMNet that tell of a bark with 0, 0.5 and 1; a head that is sure of a drum."""
    ears, dog, drum = SoundRecognizer().eval(), GROUPS.index("dog"), GROUPS.index("drum")
    with torch.no_grad():
        ears.head.out.bias.fill_(-50.0)
        ears.head.out.bias[drum] = 50.0
        for bark, unsure in ((-50.0, 1.0), (0.0, 0.25), (50.0, 0.0)):
            ears.yamnet.classifier.weight.zero_()
            ears.yamnet.classifier.bias.fill_(-50.0)
            ears.yamnet.classifier.bias[class_names().index("Bark")] = bark
            found = ears.interpret(torch.zeros(1, 1, 1024), torch.ones(1, 1, dtype=torch.bool))
            assert found.groups[0, drum].item() == pytest.approx(unsure, abs=1e-3)
            expected = (1 - unsure) * torch.tensor(bark).sigmoid().item()
            assert found.groups[0, dog].item() == pytest.approx(expected, abs=1e-3)


def test_only_what_is_heard_reaches_the_mask() -> None:
    """The cues, which the decoder's attention is given, show which places are taken to sound."""
    decoder = MaskDecoder()
    cues: list[Tensor] = []
    decoder.spread.register_forward_pre_hook(lambda module, args: cues.append(args[1]))
    visual = scripted_evidence(dog=0.9, cat=0.8)
    for names in ((), ("dog",), ("dog", "cat")):
        groups = torch.zeros(1, len(GROUPS))
        groups[0, [GROUPS.index(name) for name in names]] = 1
        decoder.decode(visual.pyramid, visual.patches, groups)
    sounding, silent = ([cue[0, k] for cue in cues] for k in (0, 3))
    top, bottom = torch.zeros(8, 8), torch.zeros(8, 8)
    top[:4], bottom[4:] = 0.9, 0.8
    for found, expected in zip(sounding, (0 * top, top, top + bottom), strict=True):
        torch.testing.assert_close(found, expected)
    for found, expected in zip(silent, (top + bottom, bottom, 0 * top), strict=True):
        torch.testing.assert_close(found, expected)


def fused(
    visual: VisualEvidence, names: tuple[str, ...], *, learned: Tensor, other: float = 0.0
) -> Tensor:
    """The mask (32, 32) in [0, 1], of a decoder that has learned to answer with `learned`."""
    decoder = MaskDecoder()
    decoder.decode = lambda *_: learned.logit(eps=1e-4).expand(1, 1, 32, 32)  # type: ignore[method-assign]
    groups = torch.zeros(1, len(GROUPS))
    groups[0, [GROUPS.index(name) for name in names]] = 1
    return decoder(visual, groups, torch.tensor([other])).sigmoid()[0, 0]


@pytest.mark.parametrize(("found", "weight"), [(0.9, 0.5), (0.96, 0.7)])
def test_deeplab_counts_more_where_it_is_sure(found: float, weight: float) -> None:
    visual = scripted_evidence(dog=0.9)
    visual.voc[0, GROUPS.index("dog"), :, :16] = found
    mask = fused(visual, ("dog",), learned=torch.tensor(0.4))
    both = 0.4 + weight * (found - 0.4)
    torch.testing.assert_close(mask[:, :16], torch.full((32, 16), both))
    torch.testing.assert_close(mask[:, 16:], torch.full((32, 16), 0.4 * (1 - weight)))


@pytest.mark.parametrize(("found", "expected"), [(0.9, 0.65), (0.7, 0.4)])
def test_deeplab_only_adds_where_it_does_not_know_all_that_sounds(
    found: float, expected: float
) -> None:
    visual = scripted_evidence(dog=0.9)
    visual.voc[0, GROUPS.index("dog"), :, :16] = found
    mask = fused(visual, ("dog", "drum"), learned=torch.tensor(0.4))  # it knows no drums
    torch.testing.assert_close(mask[:, :16], torch.full((32, 16), expected))
    torch.testing.assert_close(mask[:, 16:], torch.full((32, 16), 0.4))


def test_what_deeplab_sees_counts_for_nothing_that_does_not_sound() -> None:
    visual = scripted_evidence(dog=0.9)
    visual.voc[0, GROUPS.index("dog"), :, :16] = 0.99
    mask = fused(visual, ("drum",), learned=torch.tensor(0.4))
    torch.testing.assert_close(mask, torch.full((32, 32), 0.4))


def deeplab_finds(group: str, highest: float, mean: float) -> VisualEvidence:
    """In the upper half of the frame."""
    visual = scripted_evidence()
    visual.voc[0, GROUPS.index(group), :16] = highest
    visual.presence_scores[0, GROUPS.index(group), DEEPLAB] = mean
    return visual


@pytest.mark.parametrize(
    ("group", "highest", "expected"),
    [("dog", 0.99, 0.72), ("train", 1.0, 0.72), ("dog", 0.98, None), ("person", 1.0, None)],
)
def test_what_deeplab_is_sure_of_is_seen_but_for_people(
    group: str, highest: float, expected: float | None
) -> None:
    selector = SourceSelector(len(GROUPS))
    unsure = deeplab_finds(group, 0.5, 0.9)
    seen = selector.seen(deeplab_finds(group, highest, 0.9))
    before = selector.seen(unsure)[0, GROUPS.index(group)].item()
    assert before < 0.72
    assert seen[0, GROUPS.index(group)].item() == pytest.approx(expected or before)


@pytest.mark.parametrize(
    ("heard", "found"),
    [
        ({"sheep": 0.9, "dog": 0.2}, "sheep"),
        ({"sheep": 0.29}, "cow"),  # not heard well
        ({"train": 0.9, "sheep": 0.5}, "cow"),  # another thing is heard above all
        ({"bird": 0.9}, "cow"),
    ],
)
def test_an_animal_is_the_one_that_is_heard(heard: dict[str, float], found: str) -> None:
    probabilities = torch.zeros(1, len(GROUPS))
    for group, value in heard.items():
        probabilities[0, GROUPS.index(group)] = value
    visual = deeplab_finds("cow", 0.8, 0.6)
    told = told_by_sound(visual, probabilities)
    row = GROUPS.index(found)
    torch.testing.assert_close(told.voc[0, row], visual.voc[0, GROUPS.index("cow")])
    assert told.presence_scores[0, row, DEEPLAB].item() == pytest.approx(0.6)
    others = [k for k in range(len(GROUPS)) if k != row]
    assert torch.equal(told.voc[:, others], visual.voc[:, others])
    assert torch.equal(told.presence_scores[:, others], visual.presence_scores[:, others])
    assert visual.voc[0, GROUPS.index("sheep")].max() == 0  # what was given stays as it is


@pytest.mark.parametrize(
    ("names", "found", "removed"),
    [
        (("drum",), 0.99, True),
        (("drum",), 0.98, False),  # not surely a person
        (("drum", "person"), 0.99, False),
        (("person",), 0.99, False),
    ],
)
def test_a_person_who_is_silent_is_not_in_the_mask(
    names: tuple[str, ...], found: float, removed: bool
) -> None:
    visual = scripted_evidence(drum=0.9)
    place = visual.voc[0, GROUPS.index("person")]
    place[:, :16] = 0.7
    place[:, :8] = 0.81
    place[0, 0] = found
    mask = fused(visual, names, learned=torch.tensor(0.9))
    assert bool((mask[:, :8] < 0.01).all()) == removed
    assert float(mask[:, 8:16].min()) > 0.7


@pytest.mark.parametrize(
    ("names", "found", "rows", "held"),
    [
        (("drum",), 0.99, (14, 20), True),
        (("drum",), 0.98, (14, 20), False),  # not surely a person
        (("person",), 0.99, (14, 20), False),  # who sounds
        (("drum",), 0.99, (14, 17), False),  # a ninth of what stands out beside the person
        (("drum",), 0.99, (2, 18), False),  # an eighth of it lies in that
        (("drum",), 0.99, (8, 20), True),  # a third lies in it
    ],
)
def test_a_part_of_what_a_person_holds_is_all_of_it(
    names: tuple[str, ...], found: float, rows: tuple[int, int], held: bool
) -> None:
    """A person stands in the upper half and holds something, and both stand out."""
    visual = scripted_evidence(drum=0.9)
    person = visual.voc[0, GROUPS.index("person")]
    person[:16], person[0, 0] = 0.85, found
    visual.saliency[..., 4:25, :] = 0.9
    visual.saliency[..., 27:30, :] = 0.9  # another thing, by itself
    learned = torch.zeros(1, 1, 32, 32)
    learned[..., rows[0] : rows[1], :] = 0.85
    mask = fused(visual, names, learned=learned)
    assert bool((mask[20:25] > 0.85).all()) == held
    assert not held or float(mask[:16].max()) < 0.01  # never the person
    assert float(mask[25:].max()) < 0.01


def test_what_stands_out_counts_half_where_it_is_the_same_thing() -> None:
    visual = scripted_evidence(drum=0.9)
    learned = torch.zeros(1, 1, 32, 32)
    learned[..., :16] = 0.8
    visual.saliency[..., :20] = 1.0
    mask = fused(visual, ("drum",), learned=learned)
    torch.testing.assert_close(mask[:, :16], torch.full((32, 16), 0.9))
    torch.testing.assert_close(mask[:, 16:20], torch.full((32, 4), 0.5), atol=1e-3, rtol=0)
    visual.saliency[:] = 1.0  # of which the mask is only a part
    mask = fused(visual, ("drum",), learned=learned)
    assert float(mask[:, 16:].max()) < 0.01


def test_what_is_not_recognised_is_what_stands_out() -> None:
    visual = scripted_evidence()
    visual.standing_out[..., :8, :8] = 0.9
    mask = fused(visual, (), learned=torch.tensor(0.2), other=1.0)
    torch.testing.assert_close(mask[:8, :8], torch.full((8, 8), 0.9))
    assert float(mask[8:].max()) < 0.01


def test_what_is_not_recognised_is_drawn_by_what_stands_out_or_moves() -> None:
    visual = scripted_evidence()
    visual.motion[..., 16:, :] = 0.8
    visual.standing_out[..., :8, :8] = 0.9
    visual.standing_out[..., 16:, :] = 0.8
    given: list[torch.Tensor] = []
    decoder = MaskDecoder()

    def decode(pyramid: object, seen: torch.Tensor, heard: torch.Tensor) -> torch.Tensor:
        given.append(seen)
        return torch.full((1, 1, 32, 32), 0.7).logit()

    decoder.decode = decode  # type: ignore[method-assign,assignment]
    mask = decoder(visual, torch.zeros(1, len(GROUPS)), torch.ones(1)).sigmoid()
    torch.testing.assert_close(mask, torch.full((1, 1, 32, 32), 0.7))
    seen = given[-1][0]
    torch.testing.assert_close(seen.sum(dim=0), torch.ones(8, 8))
    torch.testing.assert_close(seen[0, :2, :2], torch.full((2, 2), 0.9))
    torch.testing.assert_close(seen[0, 4:], torch.full((4, 8), 0.8))
    assert not seen[0, :4, 2:].any()


@pytest.mark.usefixtures("small_pictures")
def test_a_network_is_told_what_moves_by_what_is_around_a_frame(network: GroundedNetwork) -> None:
    """A patch of noise that falls through a plain picture."""
    torch.manual_seed(0)
    frames = torch.full((4, 3, 128, 160), 0.5)
    for number in range(4):
        at = 24 + 12 * number
        frames[number, :, at : at + 40, 96:136] = torch.rand(3, 40, 40)
    with torch.no_grad():
        seen = network.visual(frames[:1], frames[None])
        unmoved = network.visual(frames[:1])
    assert seen.motion[..., 6:20, 24:34].mean() > 0.4
    assert seen.motion[..., :20].max() < 0.1
    assert not unmoved.motion.any()


@pytest.mark.usefixtures("small_pictures")
def test_nothing_is_masked_where_nothing_in_the_picture_sounds(
    network: GroundedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing, everything = torch.zeros(2, len(GROUPS)), torch.ones(2, len(GROUPS))
    decided = Selection(torch.stack([nothing[0], everything[0]]), torch.zeros(2))
    monkeypatch.setattr(network.selector, "forward", lambda visual, heard: decided)
    with torch.no_grad():
        logits = network(frames_of(64, 96, batch=2), torch.randn(2, 1000))
    assert (logits[0] == -10).all()
    assert (logits[1] != -10).any()


@pytest.mark.usefixtures("small_pictures")
def test_of_what_is_told_only_what_is_seen_is_masked(
    network: GroundedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = torch.zeros(1, len(GROUPS))
    seen[0, 3] = 0.9
    monkeypatch.setattr(network.selector, "seen", lambda visual: seen)
    told = torch.zeros(2, len(GROUPS))
    told[0, 3], told[1, 5] = 1, 1
    with torch.no_grad():
        logits = network.segment(frames_of(64, 64, batch=2), told)
    assert (logits[0] != -10).any()
    assert (logits[1] == -10).all()


@pytest.mark.usefixtures("small_pictures")
def test_gradients_reach_all_that_is_learned() -> None:
    torch.manual_seed(0)
    network = GroundedNetwork().train()
    network.soft_mask(
        frames_of(64, 64, batch=2), 0.1 * torch.randn(2, 16_000)
    ).square().mean().backward()
    for part in (network.audio.head, network.decoder, network.visual.patch_classifier):
        for name, parameter in part.named_parameters():
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_a_dog_that_is_seen_and_heard_is_decided_for(network: GroundedNetwork) -> None:
    visual = scripted_evidence(dog=0.9, cat=0.8)
    groups = torch.full((1, len(GROUPS)), 0.01)
    groups[0, GROUPS.index("dog")] = 0.9
    heard = AudioEvidence(groups, torch.zeros(1, 521), torch.zeros(1), torch.tensor([0.9]))
    found = network.selector(visual, heard)
    assert found.groups[0].nonzero().flatten().tolist() == [GROUPS.index("dog")]
    assert not found.other.any()


def explained(
    network: GroundedNetwork, visual: VisualEvidence, monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """What is left standing out, (32, 32), if the left half is what is recognised."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 0.9
    monkeypatch.setattr(network.decoder, "decode", lambda *_: mask.logit(eps=1e-4))
    visual.standing_out[:] = 0.8
    return network.unexplained(visual).standing_out[0, 0]


def test_what_is_recognised_does_not_stand_out_as_unknown(
    network: GroundedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = explained(network, scripted_evidence(piano=1.0), monkeypatch)
    torch.testing.assert_close(left[:, :16], torch.full((32, 16), 0.08), atol=1e-3, rtol=0)
    torch.testing.assert_close(left[:, 16:], torch.full((32, 16), 0.8), atol=1e-3, rtol=0)
    unsure = scripted_evidence(piano=0.1)
    assert network.selector.seen(unsure).max() < RECOGNISED
    assert (explained(network, unsure, monkeypatch) == 0.8).all()


def test_a_recognised_thing_is_not_masked_for_a_sound_it_does_not_make(
    network: GroundedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = torch.full((1, len(GROUPS)), 0.01)
    groups[0, GROUPS.index("bowed_strings")] = 0.9
    heard = AudioEvidence(groups, torch.zeros(1, 521), torch.zeros(1), torch.tensor([0.9]))
    monkeypatch.setattr(network.selector, "overlooked", torch.full((len(GROUPS),), 0.8))
    for picture, other in (({"piano": 0.385}, 0.0), ({}, 1.0)):
        visual = scripted_evidence(**picture)
        assert network.selector.seen(visual).max() < 0.7  # the rest could be something unknown
        visual.standing_out[..., 4:28, :12] = 0.9
        mask = visual.standing_out.clone()
        monkeypatch.setattr(network.decoder, "decode", lambda *_, m=mask: m.logit(eps=1e-4))
        found = network.selector(network.unexplained(visual), heard)
        assert not found.groups.any()
        assert found.other.item() == other
