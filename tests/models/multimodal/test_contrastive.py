import math

import torch
from transformers import SiglipConfig, SiglipModel

from gemini_workshop.models.multimodal.contrastive import sigmoid_contrastive_loss


def test_it_is_the_sum_over_all_pairs_of_a_yes_or_no_question():
    generator = torch.Generator().manual_seed(0)
    images, captions = (torch.randn(4, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = 0.0
    for i, image in enumerate(images):
        for j, caption in enumerate(captions):
            logit = 10 * float(image @ caption / (image.norm() * caption.norm())) - 3
            probability = 1 / (1 + math.exp(-logit))
            expected -= math.log(probability if i == j else 1 - probability)
    assert math.isclose(float(sigmoid_contrastive_loss(images, captions, 10.0, -3.0)), expected / 4, rel_tol=1e-12)


def test_it_is_the_loss_of_transformers_siglip():
    sizes = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = SiglipConfig(
        text_config=sizes | {"vocab_size": 9, "projection_size": 16},
        vision_config=sizes | {"image_size": 4, "patch_size": 2},
    )
    torch.manual_seed(0)
    model = SiglipModel(config).double().eval()
    with torch.no_grad():
        model.logit_scale.fill_(math.log(7.0))
        model.logit_bias.fill_(-2.0)
        found = model(
            input_ids=torch.randint(9, (5, 3)), pixel_values=torch.rand(5, 3, 4, 4).double(), return_loss=True
        )
    ours = sigmoid_contrastive_loss(found.image_embeds, found.text_embeds, 7.0, -2.0)
    torch.testing.assert_close(ours, found.loss)


def test_pairs_in_the_right_order_cost_less():
    captions = torch.eye(4)
    assert sigmoid_contrastive_loss(captions, captions, 10.0, -5.0) < sigmoid_contrastive_loss(
        captions.roll(1, 0), captions, 10.0, -5.0
    )
