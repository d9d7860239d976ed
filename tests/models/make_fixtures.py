#!/usr/bin/env python3
"""Makes the fixtures of the backbone tests: small transformers with random weights, run by the libraries that define them.

    pip install torch timm transformers safetensors      # the committed ones: torch 2.15, timm 1.0.31, transformers 5.23
    python make_fixtures.py fixtures

Further families: make_backbone_fixtures.py. One safetensors file a family: weights under "weights/", and for a native and an oblong image
size the image, the residual stream after each block (patches only), and the attention averaged over heads and blocks, of the class token
and over the patches.
"""
import collections
import pathlib
import sys

import timm.models.vision_transformer as timm_vit
import torch
import transformers
from safetensors.torch import save_file

PATCH, WIDTH, HEADS, DEPTH, SIZE = 4, 16, 2, 3, 24
IMAGES = {"native": (SIZE, SIZE), "oblong": (20, 36)}


def randomise(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scale_like = parameter.dim() == 1 and not name.endswith("bias")  # layer norm and layer scale
            parameter.copy_(1 + 0.3 * noise if scale_like else 0.25 * noise)
    return model.eval()


def run(model, blocks, attention_of, call, prefix, generator):
    """attention_of(block): the module whose input or output holds the softmax, and how to take it from there."""
    result = {}
    for size_name, (height, width) in IMAGES.items():
        image = torch.randn((2, 3, height, width), generator=generator)
        streams, attentions, handles = [], [], []
        for block in blocks:
            handles.append(block.register_forward_hook(
                lambda module, args, out: streams.append(out[0] if isinstance(out, tuple) else out)))
            module, take = attention_of(block)
            handles.append(module.register_forward_hook(lambda m, args, out, take=take: attentions.append(take(args, out))))
        with torch.no_grad():
            call(image)
        for handle in handles:
            handle.remove()
        assert len(streams) == len(attentions) == DEPTH
        mean = torch.stack(attentions).mean(dim=(0, 2))  # blocks, heads
        assert torch.allclose(mean.sum(-1), torch.ones(()))
        result[f"{size_name}/image"] = image
        for i, stream in enumerate(streams):
            result[f"{size_name}/layer{i + 1}"] = stream[:, prefix:]
        result[f"{size_name}/class"] = mean[:, 0, prefix:]
        result[f"{size_name}/mean"] = mean[:, prefix:, prefix:].mean(1)
    return result


def write(folder, name, weights, results):
    tensors = {f"weights/{key}": value for key, value in weights.items()} | results
    save_file({key: value.detach().float().contiguous().clone() for key, value in tensors.items()}, folder / f"{name}.safetensors")


def timm_model(seed, **options):
    model = timm_vit.VisionTransformer(img_size=SIZE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, mlp_ratio=2,
                                       num_classes=3, dynamic_img_size=True, **options)
    for block in model.blocks:
        block.attn.fused_attn = False  # the softmax is to be seen
    return randomise(model, seed)


def run_timm(model, generator):
    return run(model, model.blocks, lambda block: (block.attn.attn_drop, lambda args, out: args[0]), model.forward_features,
               model.num_prefix_tokens, generator)


def hugging_model(kind, config, seed, **options):
    config = config(hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, image_size=SIZE, patch_size=PATCH,
                    attn_implementation="eager", **options)
    return randomise(kind(config), seed)


def hugging_blocks(model):
    return model.encoder.layer if hasattr(model, "encoder") else model.layers


def run_hugging(model, prefix, generator, **options):
    return run(model, hugging_blocks(model), lambda block: (block.attention, lambda args, out: out[1]),
               lambda image: model(image, **options), prefix, generator)


def published_names(model, folder):
    """What save_pretrained() writes: other names than the modules have in memory."""
    from safetensors.torch import load_file
    model.save_pretrained(folder / "hugging")
    weights = load_file(folder / "hugging" / "model.safetensors")
    for file in (folder / "hugging").iterdir():
        file.unlink()
    (folder / "hugging").rmdir()
    return weights


def original_dinov2(weights):
    """The names of the publisher's own files for a Hugging Face Dinov2."""
    simple = {"embeddings.cls_token": "cls_token", "embeddings.mask_token": "mask_token",
              "embeddings.register_tokens": "register_tokens", "embeddings.position_embeddings": "pos_embed",
              "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
              "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
              "layernorm.weight": "norm.weight", "layernorm.bias": "norm.bias"}
    result = {}
    for name, value in weights.items():
        if name in simple:
            result[simple[name]] = value[0] if name == "embeddings.mask_token" and value.dim() == 3 else value
        elif ".query." in name:
            parts = [weights[name.replace(".query.", f".{part}.")] for part in ("query", "key", "value")]
            name = name.replace("encoder.layer.", "blocks.").replace("attention.attention.query", "attn.qkv")
            result[name] = torch.cat(parts)
        elif ".key." not in name and ".value." not in name:
            for old, new in (("encoder.layer.", "blocks."), ("attention.output.dense", "attn.proj"),
                             ("layer_scale1.lambda1", "ls1.gamma"), ("layer_scale2.lambda1", "ls2.gamma")):
                name = name.replace(old, new)
            result[name] = value
    return result


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(7)

    plain = timm_model(1)
    plain_results = run_timm(plain, generator)
    write(folder, "timm", plain.state_dict(), plain_results)
    registers = timm_model(2, reg_tokens=2, no_embed_class=True, init_values=1.0)
    write(folder, "timm_registers", registers.state_dict(), run_timm(registers, generator))

    vit = hugging_model(transformers.ViTModel, transformers.ViTConfig, 3, intermediate_size=2 * WIDTH)
    write(folder, "hf_vit", {f"vit.{k}": v for k, v in published_names(vit, folder).items()},
          run_hugging(vit, 1, generator, interpolate_pos_encoding=True))
    dinov2 = hugging_model(transformers.Dinov2Model, transformers.Dinov2Config, 4, mlp_ratio=2)
    dinov2_results = run_hugging(dinov2, 1, generator)
    write(folder, "hf_dinov2", published_names(dinov2, folder), dinov2_results)
    write(folder, "hf_dinov2_in_memory", dinov2.state_dict(), dinov2_results)
    with_registers = hugging_model(transformers.Dinov2WithRegistersModel, transformers.Dinov2WithRegistersConfig, 5, mlp_ratio=2,
                                   num_register_tokens=2)
    registers_weights = published_names(with_registers, folder)
    registers_results = run_hugging(with_registers, 3, generator)
    write(folder, "hf_dinov2_registers", {f"backbone.{k}": v for k, v in registers_weights.items()}, registers_results)
    write(folder, "dinov2_registers", original_dinov2(registers_weights), registers_results)

    # The .pth forms: an OrderedDict as state_dict() gives it, a plain dict inside a training checkpoint, and what is refused.
    # Their results are those of timm.safetensors.
    torch.save(plain.state_dict(), folder / "ordered.pth")
    prefixed = {f"module.backbone.{k}": v for k, v in plain.state_dict().items()}
    torch.save({"epoch": 3, "lr": 0.1, "names": ["a"], "teacher": prefixed}, folder / "teacher.pth")
    strided = torch.arange(24.0).reshape(4, 6)
    torch.save(collections.OrderedDict(
        transposed=strided.t(), column=strided[:, 2], tail=strided[2:, 3:], whole=strided, half=strided.half(), empty=torch.zeros(0, 3),
        bf16=strided.bfloat16(), integers=torch.tensor([-1, 1 << 40]), flags=torch.tensor([True, False]), scalar=torch.tensor(2.5),
        parameter=torch.nn.Parameter(torch.ones(2))), folder / "strided.pth")
    torch.save({"w": torch.ones(2)}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"w": torch.ones(2), "path": pathlib.PurePosixPath("x")}, folder / "object.pth")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
