"""Media in the stream: the right vectors in the right places, and no look at what a mask hides."""

from dataclasses import replace

import pytest
import torch

from gemini_workshop.config import MediaConfig, TowerConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import new_cache
from gemini_workshop.kernels.accelerate import accelerate
from gemini_workshop.models.multimodal.patches import patch_places
from gemini_workshop.models.multimodal.stream import Media, image_ids_of, interleave
from gemini_workshop.models.transformer import Transformer
from tests.models.variants import MULTIMODAL, VARIANTS

IMAGE, AUDIO = 11, 12
MEDIA = MediaConfig(image_token_id=IMAGE, audio_token_id=AUDIO, patch_pixels=2, max_rows=3, patch_dim=9, frame_dim=8)
# text, an image of 2 x 2 patches, text, two frames, text, an image of 1 x 2 patches, text
IDS = torch.tensor([[1, IMAGE, IMAGE, IMAGE, IMAGE, 2, AUDIO, AUDIO, 3, IMAGE, IMAGE, 4]])
FIRST, SECOND = slice(1, 5), slice(9, 11)


def model(image_attention="local", **changes):
    config = replace(MULTIMODAL, context_tokens=32, window_tokens=6, **changes)
    config = replace(config, media=replace(MEDIA, image_attention=image_attention))
    made = Transformer(config, torch.Generator().manual_seed(0)).double()
    generator = torch.Generator().manual_seed(1)
    for weight in made.parameters():  # silent outputs would hide everything
        weight.data.add_(0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype))
    return made


def media(seed=0):
    generator = torch.Generator().manual_seed(seed)
    places = torch.cat([patch_places(2, 2), patch_places(1, 2)])
    patches = torch.randn(1, 6, 12, generator=generator, dtype=torch.float64)
    return Media(patches, places[None], torch.randn(1, 2, 8, generator=generator, dtype=torch.float64))


def changed(given, field, *where):
    tensor = getattr(given, field).clone()
    tensor[0, list(where)] = tensor[0, list(where)].roll(1, -1)  # not brighter: the norms would take that away
    return given._replace(**{field: tensor})


def places_that_change(made, before, after):
    difference = (made(IDS, media=before) - made(IDS, media=after)).abs().amax(dim=-1)[0]
    return set(torch.nonzero(difference > 1e-9).flatten().tolist())


def test_vectors_are_put_into_their_places_in_reading_order():
    embeddings, vectors = torch.zeros(2, 3, 1), torch.tensor([[1.0], [2.0], [3.0]])
    is_place = torch.tensor([[True, False, True], [False, True, False]])
    assert interleave(embeddings, vectors, is_place)[..., 0].tolist() == [[1, 0, 2], [0, 3, 0]]
    assert embeddings.abs().sum() == 0


def test_as_many_vectors_as_places_are_needed():
    with pytest.raises(WorkshopError, match="holds 1 places, but there are 2 vectors"):
        interleave(torch.zeros(1, 2, 3), torch.ones(2, 3), torch.tensor([[True, False]]))


def test_images_are_numbered_in_each_row():
    is_patch = torch.tensor([[True, True, False, True], [False, False, True, True]])
    assert image_ids_of(is_patch).tolist() == [[1, 1, 0, 2], [0, 0, 1, 1]]


@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
def test_nothing_before_an_image_depends_on_it(image_attention):
    made = model(image_attention)
    assert min(places_that_change(made, media(), changed(media(), "patches", 3))) >= (
        4 if image_attention == "causal" else FIRST.start
    )
    assert min(places_that_change(made, media(), changed(media(), "patches", 5))) >= (
        10 if image_attention == "causal" else SECOND.start
    )
    assert min(places_that_change(made, media(), changed(media(), "frames", 1))) == 7


@pytest.mark.parametrize("image_attention", ["local", "all"])
def test_the_first_patch_of_an_image_sees_its_last_one(image_attention):
    assert FIRST.start in places_that_change(model(image_attention), media(), changed(media(), "patches", 3))


def test_a_patch_sees_the_whole_image_in_the_layers_that_are_asked_for():
    made = model("local")
    assert [layer.sees_whole_images for layer in made.layers] == [True, False, True]
    assert [layer.sees_whole_images for layer in model("all").layers] == [True] * 3
    assert [layer.sees_whole_images for layer in model("causal").layers] == [False] * 3


def test_gradients_prove_the_same():
    made, given = model("all"), media()
    patches = given.patches.requires_grad_()
    logits = made(IDS, media=given)
    [of_first] = torch.autograd.grad(logits[0, FIRST.start].sum(), patches, retain_graph=True)
    assert (of_first[0].abs().sum(dim=-1) > 0).tolist() == [True] * 4 + [False] * 2  # its own image, not the next
    [of_text_before] = torch.autograd.grad(logits[0, 0].sum(), patches)
    assert of_text_before.abs().max() == 0


def test_documents_of_one_row_do_not_see_each_others_media():
    made, segments = model("all"), torch.tensor([[1] * 6 + [2] * 6])
    before, after = (made(IDS, segment_ids=segments, media=m) for m in (media(), changed(media(), "patches", 0, 1)))
    assert torch.equal(before[0, 6:], after[0, 6:])
    assert not torch.equal(before[0, :6], after[0, :6])
    alone = made(IDS[:, 6:], media=Media(media().patches[:, 4:], media().places[:, 4:], media().frames))
    torch.testing.assert_close(before[0, 6:], alone[0])


@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
def test_gradients_prove_that_images_see_neither_later_ones_nor_other_documents(image_attention):
    made, given = model(image_attention), media()
    patches = given.patches.requires_grad_()

    def seen(places, segment_ids=None):
        logits = made(IDS, segment_ids=segment_ids, media=given)
        [gradient] = torch.autograd.grad(logits[0, places].square().sum(), patches)
        return [bool(patch.abs().sum() > 0) for patch in gradient[0]]

    assert seen(FIRST) == [True] * 4 + [False] * 2
    assert seen(SECOND) == [True] * 6
    documents = torch.tensor([[1] * 6 + [2] * 6])
    assert seen(slice(0, 6), documents) == [True] * 4 + [False] * 2
    assert seen(slice(6, 12), documents) == [False] * 4 + [True] * 2


def test_a_row_reads_its_own_media_whatever_the_others_hold():
    made, given = model(), media()
    short = torch.tensor([[1, IMAGE, IMAGE, 2, 3, 4, 5, 6, 7, 8, 9, 10]])
    other = Media(*(tensor.flip(1) for tensor in given))
    both = made(torch.cat([short, IDS]), media=Media(*map(torch.cat, zip(other, given, strict=True))))
    torch.testing.assert_close(both[:1], made(short, media=other))
    torch.testing.assert_close(both[1:], made(IDS, media=given))


@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
@pytest.mark.parametrize("kind", ["static", "growing", "ring"])
def test_with_a_cache_the_logits_are_those_without(image_attention, kind):
    made = model(image_attention).eval()
    with torch.inference_mode():
        whole = made(IDS, media=media())
        for stop in (SECOND.start, SECOND.stop):
            cache = new_cache(made, max_tokens=32, kind=kind)
            patches, places, frames = media()
            rest = Media(patches[:, 4:], places[:, 4:], frames[:, :0]) if stop == SECOND.start else None
            parts = [made(IDS[:, :stop], cache, media=media()), made(IDS[:, stop:], cache, media=rest)]
            torch.testing.assert_close(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("image_attention", ["causal", "local", "all"])
def test_accelerated_it_computes_the_same(image_attention):
    plain, fast = model(image_attention), model(image_attention)
    accelerate(fast)
    logits = [m(IDS, media=media()) for m in (plain, fast)]
    torch.testing.assert_close(*logits)
    direction = torch.randn_like(logits[0])
    of_plain, of_fast = (
        torch.autograd.grad(x, list(m.parameters()), direction, allow_unused=True)
        for x, m in zip(logits, (plain, fast), strict=True)
    )
    torch.testing.assert_close(of_plain, of_fast)


def test_a_model_of_text_refuses_media():
    made = Transformer(VARIANTS["llama"])
    with pytest.raises(WorkshopError, match="takes text alone"):
        made(torch.tensor([[1, 2]]), media=media())


def test_missing_media_are_named_with_their_number():
    given = media()
    with pytest.raises(WorkshopError, match="places for 6 patches, but only 5 are given"):
        model()(IDS, media=given._replace(patches=given.patches[:, :5]))
    with pytest.raises(WorkshopError, match="places for 2 frames, but only 1 are given"):
        model()(IDS, media=given._replace(frames=given.frames[:, :1]))


def test_a_tower_gives_one_vector_for_each_square_of_patches():
    tower = TowerConfig(num_layers=1, embed_dim=8, num_heads=2, ffn_dim=12, pool_patches=2)
    config = replace(MULTIMODAL, context_tokens=32, window_tokens=6)
    config = replace(config, media=replace(MEDIA, max_rows=4, tower=tower))
    made = Transformer(config, torch.Generator().manual_seed(0)).double()
    generator = torch.Generator().manual_seed(2)
    given = Media(
        torch.randn(1, 32, 12, generator=generator, dtype=torch.float64),
        patch_places(4, 4).repeat(2, 1)[None],
        torch.zeros(1, 0, 8, dtype=torch.float64),
    )
    ids = torch.tensor([[1, *[IMAGE] * 4, 2, *[IMAGE] * 4]])
    assert made(ids, media=given).shape == (1, 10, 13)
    vectors = made.media_embedder.image(given.patches[0], given.places[0])
    alone = made.media_embedder.image(given.patches[0, 16:], given.places[0, 16:])
    torch.testing.assert_close(vectors[4:], alone)  # an image does not look at another
