import json

import pytest
import torch

from gemini_workshop.data.media.documents import (
    AudioPart,
    ImagePart,
    MultimodalDocument,
    TextPart,
    VideoPart,
    read_multimodal_documents,
    write_multimodal_documents,
)
from gemini_workshop.errors import DataError


def shades(*shape, seed=0):
    """Numbers in [0, 1] that 8 bits can hold."""
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)) / 255


def document(name="7"):
    sound = torch.randint(-(2**15), 2**15, (50,), generator=torch.Generator().manual_seed(0)) / 2**15
    return MultimodalDocument(
        id=name,
        parts=(
            TextPart(text="Wer „sagt“ das?\n"),
            ImagePart(image=shades(3, 4, 5)),
            AudioPart(samples=sound, sample_rate=8000),
            VideoPart(frames=shades(2, 1, 4, 6, seed=1), frames_per_second=4.0),
            TextPart(text=""),
        ),
    )


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    for name in ours.__slots__:
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert torch.equal(mine, other) if isinstance(mine, torch.Tensor) else mine == other


def written(folder, *parts, **fields):
    """A file of one document with these parts, as one might write it by hand."""
    (folder / "documents.jsonl").write_text(json.dumps({"id": "a", "parts": list(parts), **fields}) + "\n")
    return folder


def test_a_document_is_read_as_it_was_written(tmp_path):
    path = write_multimodal_documents(tmp_path, [document("7"), document("8")])
    assert path == tmp_path / "documents.jsonl"
    first, second = read_multimodal_documents(tmp_path)
    assert (first.id, second.id) == ("7", "8")
    for read in (first, second):
        for ours, theirs in zip(read.parts, document().parts, strict=True):
            assert_same(ours, theirs)


def test_equal_media_are_stored_once(tmp_path):
    write_multimodal_documents(tmp_path, [document("7"), document("8")])
    assert len(list((tmp_path / "media").iterdir())) == 4  # a picture, a sound, two frames


def test_what_is_not_of_8_bits_is_rounded(tmp_path):
    image = torch.rand(1, 6, 7, generator=torch.Generator().manual_seed(0))
    write_multimodal_documents(tmp_path, [MultimodalDocument(id="a", parts=(ImagePart(image=image),))])
    ((part,),) = (document.parts for document in read_multimodal_documents(tmp_path))
    assert 0 < (part.image - image).abs().max() <= 0.5 / 255 + 1e-6


def test_the_documents_are_there_only_when_all_is(tmp_path):
    def documents():
        yield document("7")
        raise RuntimeError("the power went out")

    with pytest.raises(RuntimeError):
        write_multimodal_documents(tmp_path, documents())
    assert not (tmp_path / "documents.jsonl").exists()
    write_multimodal_documents(tmp_path, [document("7")])
    assert len(list(read_multimodal_documents(tmp_path))) == 1


def test_documents_are_read_one_by_one(tmp_path):
    write_multimodal_documents(tmp_path, [document("7")])
    with (tmp_path / "documents.jsonl").open("a") as file:
        file.write("not JSON\n")
    documents = read_multimodal_documents(tmp_path)
    assert next(documents).id == "7"
    with pytest.raises(DataError, match=r"documents\.jsonl, line 2 is not JSON"):
        next(documents)


def test_two_documents_of_one_name_are_an_error(tmp_path):
    with pytest.raises(DataError, match="document 2: the id '7' is taken"):
        write_multimodal_documents(tmp_path, [document("7"), document("7")])
    write_multimodal_documents(tmp_path, [document("7")])
    path = tmp_path / "documents.jsonl"
    path.write_text(path.read_text("utf-8") * 2, "utf-8")
    with pytest.raises(DataError, match="line 2: the id '7' is taken by an earlier document"):
        list(read_multimodal_documents(tmp_path))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "smell", "text": "rose"}, r"line 1, part 1 has the type 'smell'\. Known: text, image, audio, video"),
        ("text", "part 1 has the type None"),
        ({"type": "text"}, r"part 1 has the fields type\. It needs exactly type, text"),
        ({"type": "text", "text": "a", "lang": "en"}, "part 1 has the fields type, text, lang"),
        ({"type": "text", "text": 5}, "part 1: text=5 is not of type str"),
        ({"type": "image", "file": ["a.png"]}, r"file=\['a.png'\] is not of type str"),
        ({"type": "image", "file": "media/no.png"}, r"the file media/no\.png is not in .*Copy the folder media with"),
        ({"type": "audio", "file": "../x.wav"}, r"the file '\.\./x\.wav' is not a path below"),
        ({"type": "image", "file": "/etc/passwd"}, "the file '/etc/passwd' is not a path below"),
        ({"type": "image", "file": "C:\\x.png"}, "is not a path below"),
        ({"type": "image", "file": "text.png"}, r"part 1: .*text\.png is not an image"),
        ({"type": "audio", "file": "text.png"}, r"text\.png is not a wav file"),
        ({"type": "video", "files": [], "frames_per_second": 4.0}, r"has 0 frames of the sizes \[\] at 4 a second"),
        ({"type": "video", "files": [7], "frames_per_second": 4.0}, "the file 7 is not a path below"),
        ({"type": "video", "files": ["x"], "frames_per_second": "4"}, "frames_per_second='4' is not of type float"),
    ],
)
def test_a_part_that_does_not_follow_the_format_is_named(tmp_path, part, message):
    (tmp_path / "text.png").write_bytes(b"12345")
    with pytest.raises(DataError, match=message):
        list(read_multimodal_documents(written(tmp_path, part)))


def test_a_rate_may_be_written_without_a_point(tmp_path):
    write_multimodal_documents(tmp_path, [MultimodalDocument(id="a", parts=(ImagePart(image=shades(1, 4, 5)),))])
    files = [part["file"] for part in json.loads((tmp_path / "documents.jsonl").read_text())["parts"]]
    film = {"type": "video", "files": files * 2, "frames_per_second": 4}
    ((part,),) = (document.parts for document in read_multimodal_documents(written(tmp_path, film)))
    assert part.frames.shape == (2, 1, 4, 5)
    assert part.frames_per_second == 4.0


def test_frames_of_two_sizes_are_no_film(tmp_path):
    pictures = [ImagePart(image=shades(1, 4, 5)), ImagePart(image=shades(1, 4, 6))]
    write_multimodal_documents(tmp_path, [MultimodalDocument(id="a", parts=tuple(pictures))])
    files = [part["file"] for part in json.loads((tmp_path / "documents.jsonl").read_text())["parts"]]
    film = {"type": "video", "files": files, "frames_per_second": 4.0}
    with pytest.raises(DataError, match=r"has 2 frames of the sizes \[\(1, 4, 5\), \(1, 4, 6\)\] at 4 a second"):
        list(read_multimodal_documents(written(tmp_path, film)))


@pytest.mark.parametrize("line", ["[1]", '{"id": "a"}', '{"id": 7, "parts": []}', '{"id": "a", "parts": {}}', "null"])
def test_a_line_that_is_no_document_is_named(tmp_path, line):
    (tmp_path / "documents.jsonl").write_text(line + "\n")
    with pytest.raises(DataError, match=r"documents\.jsonl, line 1( has the fields|: )"):
        list(read_multimodal_documents(tmp_path))


def test_a_folder_without_documents_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"documents\.jsonl is not there\. Write it with write_multimodal_documents"):
        list(read_multimodal_documents(tmp_path))
