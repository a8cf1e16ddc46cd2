import dataclasses
import math

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from gemini_workshop.config import ModelConfig, RotaryConfig, load_config
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.models.attention import AttentionRule, causal_attention
from gemini_workshop.models.embeddings import Rotation
from gemini_workshop.models.normalization import RMSNorm
from gemini_workshop.models.transformer import Transformer, hidden_matrices
from gemini_workshop.models.transformer_block import TransformerBlock
from tests.models.conftest import B, C, D, F, H, K, T, V, randomize
from tests.models.variants import MULTIMODAL, VARIANTS

# Where each of our weights lies in the models of transformers.
THEIR_NAMES = {
    "embedding.weight": "model.embed_tokens.weight",
    "head.weight": "lm_head.weight",
    "norm.weight": "model.norm.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "attention.query.weight": "self_attn.q_proj.weight",
    "attention.key.weight": "self_attn.k_proj.weight",
    "attention.value.weight": "self_attn.v_proj.weight",
    "attention.output.weight": "self_attn.o_proj.weight",
    "attention.query_norm.weight": "self_attn.q_norm.weight",
    "attention.key_norm.weight": "self_attn.k_norm.weight",
    "feed_forward_norm.weight": "post_attention_layernorm.weight",
    "feed_forward.gate.weight": "mlp.gate_proj.weight",
    "feed_forward.up.weight": "mlp.up_proj.weight",
    "feed_forward.down.weight": "mlp.down_proj.weight",
}


def their_name(name: str) -> str:
    if name.startswith("blocks."):
        _, number, rest = name.split(".", 2)
        return f"model.layers.{number}.{THEIR_NAMES[rest]}"
    return THEIR_NAMES[name]


def their_model(config: ModelConfig) -> torch.nn.Module:
    kinds = (Qwen3Config, Qwen3ForCausalLM) if config.qk_norm == "head" else (LlamaConfig, LlamaForCausalLM)
    settings = kinds[0](
        vocab_size=config.vocab_size,
        hidden_size=config.embed_dim,
        intermediate_size=config.ffn_dim,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        hidden_act={"silu": "silu", "gelu_tanh": "gelu_pytorch_tanh"}[config.activation],
        rms_norm_eps=config.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope.base},
        max_position_embeddings=64,
        tie_word_embeddings=config.tied_head,
        attention_bias=False,
        attn_implementation="eager",
    )
    return kinds[1](settings).eval()


@pytest.fixture
def model(config, generator):
    model = Transformer(config).double()
    randomize(model, generator)
    return model


@pytest.fixture
def token_ids(generator):
    return torch.randint(V, (B, T), generator=generator)


# --- The whole against transformers ---


@pytest.mark.parametrize("tied_head", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False], ids=["Qwen3", "Llama"])
@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_the_model_equals_transformers_with_the_same_weights(generator, qk_norm, tied_head, activation):
    config = ModelConfig(
        vocab_size=99,
        context_tokens=40,
        embed_dim=32,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        head_dim=16,
        ffn_dim=56,
        activation=activation,
        rope=RotaryConfig(base=500.0),
        norm_eps=0.03,  # large enough to matter in every norm
        qk_norm="head" if qk_norm else "none",
        tied_head=tied_head,
    )
    ours, theirs = Transformer(config), their_model(config)
    randomize(ours, generator)
    weights = {their_name(name): weight for name, weight in ours.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert missing == (["lm_head.weight"] if tied_head else [])

    token_ids = torch.randint(99, (2, 40), generator=generator)
    with torch.no_grad():
        logits, expected = ours.double()(token_ids), theirs.double()(token_ids).logits
    assert expected.std() > 0.5  # every layer has its say
    # Both compute the angles in float32, so float64 agrees to its precision and no further.
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


# --- What holds for every decoder ---


@pytest.fixture(params=VARIANTS)
def variant(request, generator):
    """Each kind of decoder in turn, with every weight and buffer at random."""
    model = Transformer(VARIANTS[request.param]).double().eval()
    randomize(model, generator)
    return model


@pytest.fixture
def text(generator):
    return torch.randint(V, (2, 7), generator=generator)


def test_every_option_is_used_by_a_variant():
    configs = [*VARIANTS.values(), MULTIMODAL]
    for field in dataclasses.fields(ModelConfig):
        assert len({repr(getattr(config, field.name)) for config in configs}) > 1 or field.name in SIZES


SIZES = ("vocab_size", "context_tokens", "embed_dim", "num_heads", "ffn_dim", "norm_eps")


def test_a_future_token_cannot_change_a_past_output_at_any_layer(variant, text):
    def streams(token_ids: Tensor) -> list[Tensor]:
        seen: list[Tensor] = []
        hooks = [
            block.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
            for block in variant.blocks
        ]
        seen.append(variant(token_ids))
        for hook in hooks:
            hook.remove()
        return seen

    before = streams(text)
    assert len(before) == variant.config.num_layers + 1
    for position in range(7):
        changed = text.clone()
        changed[:, position] = (changed[:, position] + 1) % V
        for old, new in zip(before, streams(changed), strict=True):
            difference = (old - new).abs().amax(dim=(0, 2))
            assert (difference[:position] < 1e-12).all()  # experts multiply their tokens in other groups
            assert difference[position] > 1e-6
        assert (difference[position:] > 1e-9).all()  # information gets through to the end


@pytest.mark.parametrize("pieces", [[7], [1] * 7, [4, 3], [2, 1, 4]], ids=str)
def test_reading_in_pieces_equals_reading_at_once(variant, text, pieces):
    cache = KVCache(variant.config, 2, 7, torch.float64)
    logits = torch.cat([variant(piece, cache) for piece in text.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(logits, variant(text))


def test_segments_of_a_row_do_not_meet_and_count_from_their_own_beginning(variant, text):
    segment_ids = torch.tensor([[5, 5, 5, 6, 6, 6, 6]]).expand(2, 7)
    apart = torch.cat([variant(text[:, :3]), variant(text[:, 3:])], dim=1)
    torch.testing.assert_close(variant(text, segment_ids=segment_ids), apart)


def test_padding_on_the_left_changes_nothing_with_and_without_a_cache(variant, text):
    segment_ids = torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]])
    alone = variant(text[:1, 2:])[0]
    torch.testing.assert_close(variant(text, segment_ids=segment_ids)[0, 2:], alone)
    cache = KVCache(variant.config, 2, 7, torch.float64)
    pieces = [
        variant(text[:, start:end], cache, segment_ids[:, :end]) for start, end in ((0, 3), (3, 4), (4, 5), (5, 7))
    ]
    torch.testing.assert_close(torch.cat(pieces, dim=1)[0, 2:], alone)


def test_computing_blocks_again_changes_no_gradient(variant, text):
    def gradients(recompute: bool) -> list[Tensor]:
        variant.recompute_blocks = recompute
        variant.train().zero_grad()
        variant(text).square().sum().backward()
        return [weight.grad.clone() for weight in variant.parameters() if weight.grad is not None]

    torch.testing.assert_close(gradients(True), gradients(False))


def test_recomputed_blocks_keep_less(text):
    def kept(recompute: bool) -> int:
        model = Transformer(dataclasses.replace(VARIANTS["llama"], num_layers=8))
        model.recompute_blocks = recompute
        model.train()
        sizes = []

        def pack(x: Tensor) -> Tensor:
            sizes.append(x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            model(text)
        return sum(sizes)

    assert kept(True) < kept(False) / 2


def test_every_parameter_gets_a_gradient(variant):
    # Enough tokens that each expert is chosen by one.
    token_ids = torch.arange(V * 14).view(26, 7) * 5 % V
    variant.train()
    variant(token_ids).square().sum().backward()
    assert [name for name, weight in variant.named_parameters() if weight.grad is None or not weight.grad.any()] == []


def test_half_precision_keeps_the_frequencies(text):
    model = Transformer(VARIANTS["gemma3"])
    before = [rotary.frequencies.clone() for rotary in model.rotary]
    model.bfloat16()
    assert model(text).dtype == torch.bfloat16
    assert all(torch.equal(rotary.frequencies, kept) for rotary, kept in zip(model.rotary, before, strict=True))


def test_learned_positions_end_and_say_so(text):
    model = Transformer(VARIANTS["gpt2"])
    with pytest.raises(WorkshopError, match=r"14 tokens are more than context_tokens=7, and learned positions end"):
        model(torch.cat([text, text], dim=1))


def test_segments_must_name_every_token(model, token_ids):
    with pytest.raises(WorkshopError, match=r"segment_ids name 3 tokens, but there are 0 in the cache and 5 new ones"):
        model(token_ids, segment_ids=token_ids[:, :3])


def test_a_block_adds_what_its_sublayers_find(config, generator):
    block = TransformerBlock(config, config.layers[0]).double()
    randomize(block, generator)
    x = torch.randn(B, T, D, generator=generator, dtype=torch.float64)
    angles = torch.randn(T, C // 2, generator=generator, dtype=torch.float64)
    rotation = Rotation(angles.cos(), angles.sin(), "half")
    middle = x + block.attention(block.attention_norm(x), rotation)
    expected = middle + block.feed_forward(block.feed_forward_norm(middle))
    torch.testing.assert_close(block(x, rotation), expected)


def test_sequences_of_a_batch_do_not_meet(model, token_ids):
    torch.testing.assert_close(model(token_ids)[4], model(token_ids[4:5])[0])


def test_a_tied_head_reads_with_the_embedding_table_itself(model, token_ids):
    logits = model(token_ids)
    torch.testing.assert_close(logits, model.hidden_states(token_ids) @ model.embedding.weight.T)
    assert model.head is None


# --- Other attention for a while ---


def zero_attention(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
    return torch.zeros_like(query)


def test_one_function_takes_over_all_layers_and_leaves_again(model, token_ids):
    before = model(token_ids)
    with model.attention_by(zero_attention):
        assert not torch.allclose(model(token_ids), before)
    assert torch.equal(model(token_ids), before)


def test_each_layer_can_have_its_own_function(model, token_ids):
    calls = []

    def noted(number: int):
        def attend(query: Tensor, key: Tensor, value: Tensor, rule: AttentionRule) -> Tensor:
            calls.append(number)
            return causal_attention(query, key, value, rule)

        return attend

    with model.attention_by([noted(0), noted(1), noted(2)]):
        model(token_ids)
    assert calls == [0, 1, 2]


def test_the_attention_comes_back_after_an_error(model, token_ids):
    before = model(token_ids)
    with pytest.raises(RuntimeError, match="inside"), model.attention_by(zero_attention):
        raise RuntimeError("inside")
    assert torch.equal(model(token_ids), before)


def test_the_wrong_number_of_functions_is_an_error_and_changes_nothing(model):
    with (
        pytest.raises(WorkshopError, match=r"2 attention functions for 3 layers\. Give one, or one a layer\."),
        model.attention_by([zero_attention, zero_attention]),
    ):
        pass
    assert all(block.attention.attend is causal_attention for block in model.blocks)


# --- The beginning ---


def small_config() -> ModelConfig:
    return dataclasses.replace(load_config("tiny").model, vocab_size=299)


def beginner(name: str, generator: torch.Generator) -> Transformer:
    config = dataclasses.replace(VARIANTS[name], vocab_size=299, embed_dim=64, context_tokens=64)
    return Transformer(config, generator)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_loss_at_the_beginning_is_that_of_guessing(generator, name):
    token_ids, targets = torch.randint(299, (2, 8, 64), generator=generator)
    loss = torch.nn.functional.cross_entropy(beginner(name, generator)(token_ids).flatten(0, 1), targets.flatten())
    assert loss.item() == pytest.approx(math.log(299), abs=0.1)


@pytest.mark.parametrize("name", [name for name, config in VARIANTS.items() if config.norm_placement == "pre"])
def test_a_block_without_norms_after_its_sublayers_is_the_identity_at_the_beginning(generator, name):
    model = beginner(name, generator)
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda _module, inputs, output: seen.append(torch.equal(inputs[0], output)))
    model(torch.randint(299, (2, 16), generator=generator))
    assert seen == [True] * model.config.num_layers


@pytest.mark.parametrize("name", VARIANTS)
def test_no_norm_blows_up_the_first_gradient(generator, name):
    """At a zero vector, a norm multiplies the gradient by 1 / sqrt(norm_eps) = 1000."""
    model = beginner(name, generator)
    token_ids, targets = torch.randint(299, (2, 8, 64), generator=generator)
    torch.nn.functional.cross_entropy(model(token_ids).flatten(0, 1), targets.flatten()).backward()
    assert sum(weight.grad.square().sum() for weight in model.parameters()).sqrt() < 20


@pytest.mark.parametrize("placement", ["pre", "sandwich"])
@pytest.mark.parametrize("tied_head", [True, False])
def test_every_weight_starts_with_its_own_spread(generator, tied_head, placement):
    config = dataclasses.replace(small_config(), tied_head=tied_head, norm_placement=placement)
    model = Transformer(config, generator)
    norms = {f"{name}.weight" for name, module in model.named_modules() if isinstance(module, RMSNorm)}
    for name, weight in model.named_parameters():
        if name in norms:
            expected, mean = 0.0, 1.0
        elif name.endswith(("attention.output.weight", "feed_forward.down.weight")):
            expected, mean = 0.0 if placement == "pre" else weight.shape[-1] ** -0.5, 0.0
        elif name in ("embedding.weight", "head.weight"):
            expected, mean = 0.02, 0.0
        else:
            expected, mean = config.embed_dim**-0.5, 0.0
        assert weight.std().item() == pytest.approx(expected, rel=0.05), name
        assert weight.mean().item() == pytest.approx(mean, abs=0.005), name


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before():
    def weights(seed: int) -> Tensor:
        torch.rand(3)
        model = Transformer(small_config(), torch.Generator().manual_seed(seed))
        return torch.cat([weight.flatten() for weight in model.parameters()])

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))


@pytest.mark.parametrize("tied_head", [True, False])
def test_the_number_of_parameters_is_what_the_sizes_say(config, tied_head):
    model = Transformer(dataclasses.replace(config, tied_head=tied_head))
    attention = D * H * C + 2 * D * K * C + H * C * D + 2 * C
    block = attention + 3 * D * F + 2 * D
    assert model.num_parameters() == V * D * (1 if tied_head else 2) + 3 * block + D


def test_nothing_but_weights_and_selection_biases_is_saved():
    for config in VARIANTS.values():
        model = Transformer(config)
        saved = {name for name in model.state_dict() if not name.endswith("selection_bias")}
        assert saved == {name for name, _ in model.named_parameters()}


# Sums of the absolute values of all weights drawn with seed 0, as they were when the shipped models were trained.
SUMS = {
    "llama": 551.9011,
    "gpt2": 689.1406,
    "first transformer": 477.3932,
    "alibi": 487.3932,
    "no positions": 573.9873,
    "gemma2": 676.7098,
    "gemma3": 676.7098,
    "gemma4 with shared keys": 2015.5664,
    "gemma4 with experts": 1979.7970,
    "mixtral": 1045.3377,
    "olmoe": 1287.7509,
    "gpt-oss": 1069.3377,
    "deepseek": 2025.5792,
    "partial rotary": 573.9873,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_seed_gives_the_weights_that_it_gave_before(name):
    model = Transformer(VARIANTS[name], torch.Generator().manual_seed(0))
    assert sum(weight.double().abs().sum().item() for weight in model.parameters()) == pytest.approx(SUMS[name])


@pytest.mark.parametrize("name", VARIANTS)
def test_drawing_again_gives_the_first_weights_again(name):
    model = Transformer(VARIANTS[name], torch.Generator().manual_seed(0))
    before = [weight.clone() for weight in model.parameters()]
    randomize(model, torch.Generator().manual_seed(1))
    model.reset_parameters(torch.Generator().manual_seed(0))
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), before, strict=True))


# --- Matrices between hidden vectors ---


@pytest.mark.parametrize("name", VARIANTS)
def test_hidden_matrices_are_all_matrices_of_the_blocks_but_routers(name):
    model = Transformer(VARIANTS[name])
    expected = [
        weight
        for name, weight in model.named_parameters()
        if name.startswith("blocks.") and weight.ndim > 1 and not name.endswith(("bias", "router.weight"))
    ]
    found = hidden_matrices(model)
    assert [id(weight) for weight in found] == [id(weight) for weight in expected]


def test_the_thin_matrices_of_an_adapter_are_not_among_them():
    class Adapted(nn.Linear):
        def __init__(self, layer: nn.Linear) -> None:
            super().__init__(layer.in_features, layer.out_features, bias=False)
            self.weight = layer.weight
            self.down = nn.Parameter(torch.zeros(2, layer.in_features))
            self.up = nn.Linear(2, layer.out_features, bias=False)

    model = Transformer(VARIANTS["llama"])
    before = [id(weight) for weight in hidden_matrices(model)]
    model.blocks[0].attention.query = Adapted(model.blocks[0].attention.query)
    assert [id(weight) for weight in hidden_matrices(model)] == before


@pytest.mark.parametrize("name", VARIANTS)
def test_constants_are_restored_where_a_model_was_made_without_numbers(name):
    whole = Transformer(VARIANTS[name])
    with torch.device("meta"):
        empty = Transformer(VARIANTS[name])
    empty.load_state_dict(whole.state_dict(), assign=True)
    empty.restore_constants("cpu")
    found, expected = dict(empty.named_buffers()), dict(whole.named_buffers())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
