#!/usr/bin/env python3
"""Makes fixtures/embeddings.safetensors: what the reference libraries make of the whole image, with the weights and the images that the
other fixtures hold.

    pip install torch timm transformers open_clip_torch safetensors
    # the committed one: torch 2.15, timm 1.0.31, transformers 5.24, open_clip 3.3
    python make_embedding_fixtures.py fixtures

Of each network and size of image: "class", the class token after the final norm, which of CLIP is projected to the space of its texts;
"patches", the mean of the patch tokens after the final norm.
"""
import functools
import pathlib
import sys
import tempfile

import make_fixtures as plain
import open_clip.model
import timm.models.deit
import timm.models.vision_transformer as timm_vit
import torch
import transformers
from safetensors.torch import load_file, save_file

SMALL = dict(patch_size=plain.PATCH, embed_dim=plain.WIDTH, num_heads=plain.HEADS, mlp_ratio=2, num_classes=3, img_size=plain.SIZE)
HUGGING = dict(hidden_size=plain.WIDTH, num_attention_heads=plain.HEADS, image_size=plain.SIZE, patch_size=plain.PATCH)


def read(folder, name):
    """Weights and images, in float32."""
    tensors = load_file(folder / f"{name}.safetensors")
    weights = {key[8:]: value.float() for key, value in tensors.items() if key.startswith("weights/")}
    return weights, {key[:-6]: value.float() for key, value in tensors.items() if key.endswith("/image")}


def loaded(model, weights):
    model.load_state_dict(weights)  # all of them, and no other
    return model.eval()


def hugging(kind, config, weights, prefix=""):
    """By from_pretrained(), which knows the names that files have."""
    with tempfile.TemporaryDirectory() as folder:
        config.save_pretrained(folder)
        save_file({key.removeprefix(prefix): value.contiguous() for key, value in weights.items()}, f"{folder}/model.safetensors")
        options = {"add_pooling_layer": False} if kind is transformers.DeiTModel else {}
        model, told = kind.from_pretrained(folder, output_loading_info=True, **options)
    assert not any(told.values()), told
    return model.eval()


def timm_results(model, image):
    tokens = model.forward_features(image)
    return tokens[:, 0], tokens[:, model.num_prefix_tokens:].mean(1)


def timm_clip_results(model, image):
    return model(image), timm_results(model, image)[1]


def hugging_results(prefix, **options):
    def results(model, image):
        tokens = model(image, **options).last_hidden_state
        return tokens[:, 0], tokens[:, prefix:].mean(1)
    return results


def hugging_clip_results(model, image):
    out = model(image, interpolate_pos_encoding=True)
    return out.image_embeds, model.vision_model.post_layernorm(out.last_hidden_state[:, 1:]).mean(1)


def open_clip_results(model, image):
    model.visual.output_tokens = True
    token, patches = model.visual(image)
    return token, patches.mean(1)


def timm_of(kind=timm_vit.VisionTransformer, **options):
    return lambda weights: loaded(kind(**SMALL, **options), weights)


def hugging_of(kind, config, prefix="", **options):
    return lambda weights: hugging(kind, config(**HUGGING, **options), weights, prefix)


def timm_clip_of(weights):
    norm = functools.partial(torch.nn.LayerNorm, eps=1e-5)
    return timm_of(depth=2, pre_norm=True, norm_layer=norm)(weights)


def projecting_timm_clip_of(weights):  # as timm has CLIP's projection: a classifier without a bias
    weights["head.bias"].zero_()
    return timm_clip_of(weights)


def open_clip_of(weights):
    vision = dict(layers=2, width=plain.WIDTH, head_width=plain.WIDTH // plain.HEADS, patch_size=plain.PATCH, image_size=plain.SIZE,
                  mlp_ratio=2)
    text = dict(context_length=4, vocab_size=5, width=8, heads=2, layers=1)
    return loaded(open_clip.model.CLIP(8, vision, text, quick_gelu=True), weights)


# name, the fixture with its weights and images, the network, its results
NETWORKS = [
    ("timm", "timm", timm_of(depth=3, dynamic_img_size=True), timm_results),
    ("timm_registers", "timm_registers",
     timm_of(depth=3, dynamic_img_size=True, reg_tokens=2, no_embed_class=True, init_values=1.0), timm_results),
    ("deit_distilled", "deit_distilled", timm_of(timm.models.deit.VisionTransformerDistilled, depth=2), timm_results),
    ("timm_clip", "timm_clip", timm_clip_of, timm_results),
    ("timm_clip_projected", "timm_clip", projecting_timm_clip_of, timm_clip_results),
    ("clip", "clip", open_clip_of, open_clip_results),
    ("hf_vit", "hf_vit",
     hugging_of(transformers.ViTModel, transformers.ViTConfig, "vit.", num_hidden_layers=3, intermediate_size=2 * plain.WIDTH),
     hugging_results(1, interpolate_pos_encoding=True)),
    ("hf_deit", "hf_deit",
     hugging_of(transformers.DeiTModel, transformers.DeiTConfig, "deit.", num_hidden_layers=2,
                intermediate_size=2 * plain.WIDTH),
     hugging_results(2, interpolate_pos_encoding=True)),
    ("hf_dinov2", "hf_dinov2", hugging_of(transformers.Dinov2Model, transformers.Dinov2Config, num_hidden_layers=3, mlp_ratio=2),
     hugging_results(1)),
    ("hf_dinov2_registers", "hf_dinov2_registers",
     hugging_of(transformers.Dinov2WithRegistersModel, transformers.Dinov2WithRegistersConfig, "backbone.", num_hidden_layers=3,
                mlp_ratio=2, num_register_tokens=2),
     hugging_results(3)),
    ("hf_clip", "hf_clip",
     hugging_of(transformers.CLIPVisionModelWithProjection, transformers.CLIPVisionConfig, num_hidden_layers=2,
                intermediate_size=2 * plain.WIDTH),
     hugging_clip_results),
]


def main(folder):
    results = {}
    for name, source, make, run in NETWORKS:
        weights, images = read(folder, source)
        model = make(weights)
        for size, image in images.items():
            with torch.no_grad():
                token, patches = run(model, image)
            results[f"{name}/{size}/class"], results[f"{name}/{size}/patches"] = token.contiguous(), patches.contiguous()
    save_file(results, folder / "embeddings.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
