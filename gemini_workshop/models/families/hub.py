"""Download published models from the Hugging Face hub."""

import hashlib
from pathlib import Path

from gemini_workshop.errors import CheckpointError

FILES = ["config.json", "generation_config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer*"]


def download_huggingface(
    name: str, folder: str | Path | None = None, revision: str = "main", endpoint: str | None = None
) -> Path:
    """Download a published model and show the progress. Files that are here are kept, partial downloads are resumed.

    Args:
        name: owner and model, such as ``openai-community/gpt2``.
        folder: where to put it; default: the hub's cache, which all programs of this user share.
        revision: branch, tag or commit.
        endpoint: address of a hub other than huggingface.co.

    Returns:
        The folder for :func:`~gemini_workshop.models.families.load_huggingface`.

    Raises:
        CheckpointError: there is no such model; or there is no network and the model is not here yet; or the sha256 of
            a file differs from the one that the hub gives.
    """
    from huggingface_hub import snapshot_download

    sums = _published_sums(name, revision, endpoint)
    try:
        path = snapshot_download(
            name,
            revision=revision,
            local_dir=folder,
            endpoint=endpoint,
            allow_patterns=FILES,
            local_files_only=sums is None,
        )
    except OSError as error:
        raise CheckpointError(
            f"{name} is not on this machine and could not be downloaded: {str(error).splitlines()[0]}. "
            "Try again with a network, or give the folder of a model that you have."
        ) from None
    for file, published in (sums or {}).items():
        _check(Path(path, file), published)
    return Path(path)


def _published_sums(name: str, revision: str, endpoint: str | None) -> dict[str, str] | None:
    """The sha256 of the large files according to the hub; None if the hub cannot be reached."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError

    try:
        info = HfApi(endpoint=endpoint).model_info(name, revision=revision, files_metadata=True)
    except GatedRepoError:
        raise CheckpointError(
            f"{name} can be downloaded once you have accepted its licence: do so at huggingface.co/{name}, "
            "then run: hf auth login"
        ) from None
    except (RepositoryNotFoundError, HFValidationError):
        raise CheckpointError(
            f"The hub has no model {name!r}. Give owner and name, such as openai-community/gpt2."
        ) from None
    except Exception:  # each version of the library raises other errors without a network
        return None
    return {file.rfilename: file.lfs.sha256 for file in info.siblings or [] if file.lfs and file.lfs.sha256}


def _check(path: Path, published: str) -> None:
    if not path.exists():  # a large file of a kind that is not downloaded
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != published:
        path.resolve().unlink()
        raise CheckpointError(
            f"{path} is damaged: its sha256 is {found}, but the hub gives {published}. "
            "The file was deleted; download it again."
        )
