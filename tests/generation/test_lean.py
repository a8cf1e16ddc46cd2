import pytest
import torch

from gemini_workshop.generation.cache import new_cache
from gemini_workshop.generation.lean import lean_copy
from gemini_workshop.models.transformer import Transformer
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS


@pytest.fixture
def token_ids():
    return torch.randint(0, 13, (2, 7), generator=torch.Generator().manual_seed(3))


def drawn(config):
    generator = torch.Generator().manual_seed(0)
    model = Transformer(config, generator).double().eval()
    randomize(model, generator)
    return model


def decoded(model, token_ids):
    cache = new_cache(model, batch_size=2)
    with torch.inference_mode():
        return torch.cat([model(part, cache) for part in token_ids.split([4, 1, 1, 1], dim=1)], dim=1)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_lean_copy_scores_as_the_model(name, token_ids):
    model = drawn(VARIANTS[name])
    lean = lean_copy(model)
    torch.testing.assert_close(decoded(lean, token_ids), decoded(model, token_ids))
    torch.testing.assert_close(lean(token_ids), model(token_ids))
