import pytest
import torch

from gemini_workshop.kernels import onednn
from gemini_workshop.kernels.onednn import is_exact, onednn_products

pytestmark = pytest.mark.skipif(onednn._setting() is None, reason="this PyTorch has no setting for it")
X = torch.randn(300, 300, generator=torch.Generator().manual_seed(0))


def setting():
    return torch.backends.mkldnn.matmul.fp32_precision


@pytest.fixture
def measured_anew():
    is_exact.cache_clear()
    yield
    is_exact.cache_clear()


@pytest.mark.parametrize("exact", [True, False])
def test_products_are_onednns_if_it_does_not_round(monkeypatch, exact):
    monkeypatch.setattr(onednn, "is_exact", lambda: exact)
    before = setting()
    with onednn_products(X):
        assert (setting() == "bf16") == exact
    assert setting() == before


def test_the_setting_comes_back_after_an_error(monkeypatch):
    monkeypatch.setattr(onednn, "is_exact", lambda: True)
    before = setting()
    with pytest.raises(RuntimeError, match="mat1"), onednn_products(X):
        X @ X[1:]
    assert setting() == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_left_alone(monkeypatch, dtype):
    monkeypatch.setattr(onednn, "is_exact", lambda: True)
    before = setting()
    with onednn_products(X.to(dtype)):
        assert setting() == before


def test_no_digit_is_lost():
    with onednn_products(X):
        product = X @ X
    exact = X.double() @ X.double()
    assert (product - exact).norm() < 1e-6 * exact.norm()


@pytest.mark.usefixtures("measured_anew")
def test_rounding_is_noticed(monkeypatch):
    exact = torch.Tensor.__matmul__

    def rounded(left, right):
        is_wide = left.dtype == torch.float64 or setting() != "bf16"
        return exact(left, right) if is_wide else exact(left.bfloat16(), right.bfloat16()).float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not is_exact()


@pytest.mark.usefixtures("measured_anew")
def test_autocast_does_not_mislead_the_measurement():
    found = is_exact()
    is_exact.cache_clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert is_exact() == found


@pytest.mark.usefixtures("measured_anew")
def test_a_pytorch_without_the_setting_is_left_alone(monkeypatch):
    monkeypatch.setattr(onednn, "_setting", lambda: None)
    assert not is_exact()
    with onednn_products(X):
        pass
