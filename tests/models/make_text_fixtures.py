#!/usr/bin/env python3
"""Makes the fixtures of the text encoders: small vocabularies, small networks with random weights, and what the libraries that define them
make of odd texts.

    pip install torch transformers tokenizers open_clip_torch safetensors
    # the committed ones: torch 2.15, transformers 5.24, tokenizers 0.23.3, open_clip 3.3
    python make_text_fixtures.py text_fixtures

The trainers choose among equal pieces by chance: another run makes other vocabularies. texts.json has the texts and, for each
tokenizer, their numbers. Of each network a safetensors file has the weights in half precision under
"weights/", to which they were rounded before the run, and "vectors", those of all texts.
"""
import gzip
import json
import pathlib
import sys
import tempfile

import open_clip
import open_clip.model
import open_clip.tokenizer
import tokenizers
import torch
import transformers
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

WIDTH, HEADS, DEPTH, EMBEDDING, POSITIONS, CONTEXT = 16, 2, 2, 12, 64, 77
BEGIN, END = "<|startoftext|>", "<|endoftext|>"

CORPUS = """a photo of a hex bolt. a photo of a washer. a photo of a desk lamp and a chair. the spring, the gear and the bearing are
machine parts. don't lose it's nut, they're small; we'll see. 12 bolts m6 and 8 bolts m8 cost 50 dollars. the quick brown fox jumps over
the lazy dog. naive cafe angstrom oeuvre istanbul. Die Mutter passt auf die Schraube. привет мир привет мир. 中文字符 漢字 日本語 テキスト
한국어 텍스트 ελληνικα ωραια हिन्दी हिन्दी ไทย ไทย مرحبا مرحبا 👍 👍 🔩 🔩 … — “ ” ’ supercalifragilistic expialidocious
""".replace("\n", " ")

TEXTS = [
    "a photo of a hex bolt", "", "   ", "Na\u00efve caf\u00e9 \u2014 \u00c5ngstr\u00f6m, \u0152UVRE!", "\u0130stanbul ISTANBUL \u0131i",
    "\U0001F469\u200d\U0001F469\u200d\U0001F467 and \U0001F44D\U0001F3FD \U0001F529", "\u4e2d\u6587\u5b57\u7b26 mixed\u6f22\u5b57with",
    "\u65e5\u672c\u8a9e\u30c6\u30ad\u30b9\u30c8 \u304b\u306a\u304c", "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8", "x" * 120, "x" * 100,
    "Supercalifragilisticexpialidocious", "I'll've they're it's 'tis DON'T 's we'd I'm", "M6x20 DIN-933 (8.8) 3/4\" 50% No. 12345",
    "tabs\tand\nnew\r\nlines\u00a0no\u2003break\u2028line\u0085next\u000bvertical",
    "e\u0301 a\u0323\u0302 a\u0302\u0323 \u1ea1\u0302 q\u0307\u0323", "\u200bzero\u200bwidth\ufeff soft\u00adhyphen",
    "bell\u0007 \u001f unit \u007f", "\u0967\u0968\u0969 \u2167 \u00bd \u00b2 \u3007",
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u03a9\u03a1\u0391\u0399\u0391",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u041c\u0418\u0420 \u0401\u0436 \u0439",
    "\u0645\u0631\u062d\u0628\u064b\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0939\u093f\u0928\u094d\u0926\u0940",
    "\u0e44\u0e17\u0e22\u0e4c", "don\u2019t \u201cquotes\u201d \u2026", "a_b-c~d`e^f|g",
    "$\u20ac\u00a3\u00a5 \u00a9\u00ae\u2122 \u2200\u2264", "\ufb01 \uff46\uff55\uff4c\uff4c \u01c4\u01c5\u1e9e", "!!!'s ...don't",
    "\u1112\u1161\u11ab \uac01\uac00\u11a8", "\U0001D400\U0001D41A \U00020000\U0002F800", "\u212b \u1e9b\u0323 \u0344", "lamp " * 90,
    "the gear, " * 400,
]


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale_like = parameter.dim() == 1 and not name.endswith("bias")
            parameter.copy_(1 + 0.3 * noise if scale_like else 0.25 * noise)
    return model.half().float().eval()


def unit(vectors):
    return torch.nn.functional.normalize(vectors, dim=-1)


def write(folder, name, weights, vectors):
    tensors = {f"weights/{k}": v.half().contiguous().clone() for k, v in weights.items() if v.is_floating_point()}
    save_file(tensors | {"vectors": vectors.detach().contiguous()}, folder / f"{name}.safetensors")


def wordpiece(folder):
    made = tokenizers.BertWordPieceTokenizer(lowercase=True)
    made.train_from_iterator([CORPUS], vocab_size=330, min_frequency=1, limit_alphabet=110, show_progress=False)
    made.save(str(folder / "wordpiece_tokenizer.json"))
    pieces = sorted(made.get_vocab().items(), key=lambda item: item[1])
    assert [i for _, i in pieces] == list(range(len(pieces)))
    (folder / "vocab.txt").write_text("".join(piece + "\n" for piece, _ in pieces), encoding="utf-8")
    return transformers.BertTokenizerFast(tokenizer_file=str(folder / "wordpiece_tokenizer.json"), do_lower_case=True)


def byte_pairs(folder):
    shown = open_clip.tokenizer.bytes_to_unicode()
    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    trained.train_from_iterator([CORPUS.lower()], trainers.BpeTrainer(
        vocab_size=800, end_of_word_suffix="</w>", initial_alphabet=list(shown.values()), show_progress=False))
    merges = [tuple(pair) for pair in json.loads(trained.to_str())["model"]["merges"]][:150]
    pieces = list(shown.values()) + [c + "</w>" for c in shown.values()] + ["".join(pair) for pair in merges] + [BEGIN, END]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    assert len(vocabulary) == len(pieces) == 514 + 150
    text = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges)
    (folder / "merges.txt").write_text(text, encoding="utf-8")
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    hugging = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges)
    hugging._tokenizer.save(str(folder / "byte_pairs_tokenizer.json"))
    with tempfile.NamedTemporaryFile(suffix=".gz") as packed:
        packed.write(gzip.compress(text.rstrip("\n").encode()))  # an empty line would be one more merge
        packed.flush()
        openai = open_clip.tokenizer.SimpleTokenizer(packed.name)
    return hugging, openai


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    words = wordpiece(folder)
    word_ids = [words(t, truncation=True, max_length=POSITIONS)["input_ids"] for t in TEXTS]
    hugging, openai = byte_pairs(folder)
    pair_ids = [hugging(t, truncation=True, max_length=CONTEXT)["input_ids"] for t in TEXTS]
    for text, ids in zip(TEXTS, pair_ids):  # OpenAI's own tokenizer gives the same, except where it repairs a text
        theirs = openai(text)[0].tolist()
        repaired = any(c in text for c in "\u0085\u00ad\u0007\u2019\ufb01")
        assert repaired or theirs[:theirs.index(len(openai.encoder) - 1) + 1] == ids, text
    rows = [{"text": t, "wordpiece": w, "byte_pairs": p} for t, w, p in zip(TEXTS, word_ids, pair_ids)]
    (folder / "texts.json").write_text(json.dumps(rows, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")

    bert = randomise(transformers.BertModel(transformers.BertConfig(
        vocab_size=len(words), hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=2 * WIDTH,
        max_position_embeddings=POSITIONS), add_pooling_layer=True), 1)
    with torch.no_grad():
        batch = words(TEXTS, truncation=True, max_length=POSITIONS, padding=True, return_tensors="pt")
        hidden = bert(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).float()
        write(folder, "sentence", bert.state_dict(), unit((hidden * mask).sum(1) / mask.sum(1)))

    size = len(hugging)
    padded = torch.tensor([ids + [0] * (CONTEXT - len(ids)) for ids in pair_ids])
    for name, seed, custom, quick in (("clip_openai", 2, False, True), ("clip_laion", 3, True, False)):
        kind = open_clip.model.CustomTextCLIP if custom else open_clip.model.CLIP
        clip = randomise(kind(
            EMBEDDING, dict(layers=1, width=8, head_width=4, patch_size=4, image_size=8, mlp_ratio=2),
            dict(context_length=CONTEXT, vocab_size=size, width=WIDTH, heads=HEADS, layers=DEPTH), quick_gelu=quick), seed)
        with torch.no_grad():
            write(folder, name, clip.state_dict(), unit(clip.encode_text(padded)))
    clip = randomise(transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(
        vocab_size=size, hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, intermediate_size=2 * WIDTH,
        projection_dim=EMBEDDING, max_position_embeddings=CONTEXT, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=0)), 4)
    with torch.no_grad():
        write(folder, "clip_hugging", clip.state_dict(), unit(clip(padded).text_embeds))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
