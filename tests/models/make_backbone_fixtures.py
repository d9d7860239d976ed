#!/usr/bin/env python3
"""Makes the fixtures of the backbone families that make_fixtures.py does not: small networks with random weights, run by the
libraries that define them.

    pip install torch torchvision timm transformers open_clip_torch safetensors
    # the committed ones: torch 2.15, torchvision 0.29.2, timm 1.0.31, transformers 5.23, open_clip 3.3
    python make_backbone_fixtures.py fixtures

Transformers as in make_fixtures.py. For convolutional networks each layer is the reference's, brought to the grid as Cnn in
models/backbones/cnn.h says, and "energy" is what stands for attention. Weights and images are stored in half precision, and were rounded
to it before the run.
"""
import functools
import pathlib
import sys

import make_fixtures as plain
import open_clip.model
import timm.models.deit
import timm.models.efficientnet
import timm.models.resnet
import torch
import torch.nn.functional as F
import torchvision.models.efficientnet as tv_efficientnet
import transformers
from safetensors.torch import save_file

plain.DEPTH = 2


def rounded(model):
    return model.half().float().eval()


def write(folder, name, weights, results):
    tensors = {f"weights/{key}": value for key, value in weights.items() if not key.endswith("num_batches_tracked")} | results
    stored = {}
    for key, value in tensors.items():
        half = (key.startswith("weights/") or key.endswith("image")) and value.is_floating_point()
        stored[key] = value.detach().to(torch.float16 if half else torch.float32).contiguous().clone()
    save_file(stored, folder / f"{name}.safetensors")


def images(generator, sizes):
    return {name: torch.randn((1, 3, *size), generator=generator).half().float() for name, size in sizes.items()}


def run_transformer(blocks, attention, call, prefix, generator, sizes):
    """attention(block, its attention module's first input): [1, heads, tokens, tokens]"""
    result = {}
    for size, image in images(generator, sizes).items():
        streams, attentions, handles = [], [], []
        for block, module, take in [(block, *attention(block)) for block in blocks]:
            handles.append(block.register_forward_hook(
                lambda module, args, out: streams.append(out[0] if isinstance(out, tuple) else out)))
            handles.append(module.register_forward_hook(
                lambda module, args, out, take=take: attentions.append(take(module, args, out))))
        with torch.no_grad():
            call(image)
        for handle in handles:
            handle.remove()
        mean = torch.stack(attentions).mean(dim=(0, 2))
        assert len(streams) == len(attentions) == plain.DEPTH and torch.allclose(mean.sum(-1), torch.ones(()))
        result[f"{size}/image"] = image
        for i, stream in enumerate(streams):
            result[f"{size}/layer{i + 1}"] = stream[:, prefix:]
        result[f"{size}/class"] = mean[:, 0, prefix:]
        result[f"{size}/mean"] = mean[:, prefix:, prefix:].mean(1)
    return result


NATIVE = {"native": (24, 24)}
BOTH = NATIVE | {"oblong": (20, 36)}


def timm_attention(block):
    block.attn.fused_attn = False
    return block.attn.attn_drop, lambda module, args, out: args[0]


def packed_attention(block):
    """torch's own attention layer does not say what it saw unless asked to."""
    def take(module, args, out):
        x = args[0]
        q, k, _ = F.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
        heads = [t.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for t in (q, k)]
        return (heads[0] @ heads[1].transpose(-1, -2) / heads[0].shape[-1] ** 0.5).softmax(-1)
    return block.attn, take


def transformers_with(folder, generator):
    small = dict(patch_size=plain.PATCH, embed_dim=plain.WIDTH, depth=plain.DEPTH, num_heads=plain.HEADS, mlp_ratio=2,
                 num_classes=3, img_size=plain.SIZE)
    deit = rounded(plain.randomise(timm.models.deit.VisionTransformerDistilled(**small), 11))
    write(folder, "deit_distilled", deit.state_dict(),
          run_transformer(deit.blocks, timm_attention, deit.forward_features, 2, generator, NATIVE))

    config = dict(hidden_size=plain.WIDTH, num_hidden_layers=plain.DEPTH, num_attention_heads=plain.HEADS, image_size=plain.SIZE,
                  patch_size=plain.PATCH, intermediate_size=2 * plain.WIDTH)
    hf_deit = rounded(plain.randomise(
        transformers.DeiTModel(transformers.DeiTConfig(attn_implementation="eager", **config), add_pooling_layer=False), 12))
    write(folder, "hf_deit", {f"deit.{k}": v for k, v in plain.published_names(hf_deit, folder).items()},
          run_transformer(plain.hugging_blocks(hf_deit), lambda block: (block.attention, lambda m, args, out: out[1]),
                          lambda image: hf_deit(image, interpolate_pos_encoding=True), 2, generator, BOTH))

    # a whole CLIP: the text half must be passed over
    clip = open_clip.model.CLIP(
        8, dict(layers=plain.DEPTH, width=plain.WIDTH, head_width=plain.WIDTH // plain.HEADS, patch_size=plain.PATCH,
                image_size=plain.SIZE, mlp_ratio=2),
        dict(context_length=4, vocab_size=5, width=8, heads=2, layers=1), quick_gelu=True)
    clip = rounded(plain.randomise(clip, 13))
    write(folder, "clip", clip.state_dict(),
          run_transformer(clip.visual.transformer.resblocks, packed_attention, clip.encode_image, 1, generator, NATIVE))

    vision = transformers.CLIPVisionConfig(attn_implementation="eager", **config)
    hf_clip = rounded(plain.randomise(transformers.CLIPVisionModelWithProjection(vision), 14))
    blocks = hf_clip.vision_model.encoder.layers
    write(folder, "hf_clip", plain.published_names(hf_clip, folder),
          run_transformer(blocks, lambda block: (block.self_attn, lambda m, args, out: out[1]),
                          lambda image: hf_clip(image, interpolate_pos_encoding=True), 1, generator, BOTH))

    norm = functools.partial(torch.nn.LayerNorm, eps=1e-5)
    timm_clip = timm.models.vision_transformer.VisionTransformer(pre_norm=True, norm_layer=norm, **small)
    timm_clip = rounded(plain.randomise(timm_clip, 15))
    write(folder, "timm_clip", timm_clip.state_dict(),
          run_transformer(timm_clip.blocks, timm_attention, timm_clip.forward_features, 1, generator, NATIVE))


def randomise_cnn(model, seed):
    """Activations of about the same size in all layers, so that an error in any of them is seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.dim() == 1:
                tensor.copy_(0.2 * noise if name.endswith(("bias", "mean")) else 1 + 0.2 * noise)
            else:
                tensor.copy_(noise * (1.5 / tensor[0].numel()) ** 0.5)
    return rounded(model)


def run_cnn(model, stages, call, generator):
    result = {}
    for size, image in images(generator, {"small": (16, 48), "odd": (48, 32)}).items():
        layers, handles = [], [stage.register_forward_hook(lambda m, args, out: layers.append(out)) for stage in stages]
        with torch.no_grad():
            call(image)
        for handle in handles:
            handle.remove()
        grid = (image.shape[2] // 16, image.shape[3] // 16)

        def on_grid(x):
            if x.shape[2] >= grid[0]:
                return F.adaptive_avg_pool2d(x, grid)
            return F.interpolate(x, grid, mode="bilinear", align_corners=False)
        result[f"{size}/image"] = image
        energies = []
        for i, layer in enumerate(layers):
            result[f"{size}/layer{i + 1}"] = on_grid(layer).flatten(2).transpose(1, 2)
            energy = on_grid(layer.square().mean(1, True)).flatten(1)
            low, high = energy.amin(1, True), energy.amax(1, True)
            energies.append((energy - low) / (high - low))
        result[f"{size}/energy"] = torch.stack(energies).mean(0)
    return result


def without_classifier(model, *parts):
    return {k: v for k, v in model.state_dict().items() if not k.startswith(parts)}


def cnns(folder, generator):
    for name, seed, options in (("wide_resnet", 21, dict(layers=(2, 1, 1, 1), base_width=128)),
                                ("resnext", 22, dict(layers=(1, 1, 1, 1), base_width=16, cardinality=4)),
                                ("resnet_basic", 23, dict(layers=(1, 1, 1, 1), block=timm.models.resnet.BasicBlock))):
        block = options.pop("block", timm.models.resnet.Bottleneck)
        model = randomise_cnn(timm.models.resnet.ResNet(block, num_classes=2, channels=(4, 8, 8, 12), **options), seed)
        write(folder, name, model.state_dict(),
              run_cnn(model, [model.layer1, model.layer2, model.layer3, model.layer4], model.forward_features, generator))

    # few channels, but other ones in every stage, as it is in all published networks
    few = {16: 4, 24: 8, 40: 4, 80: 8, 112: 12, 192: 8, 320: 12}
    timm.models.efficientnet.round_channels = lambda channels, *args, **options: few.get(channels, 8)
    common = dict(pretrained=False, num_classes=2)
    lite = timm.models.efficientnet._gen_efficientnet_lite
    for name, seed, make, options in (
            ("efficientnet", 31, timm.models.efficientnet._gen_efficientnet, {}),
            ("tf_efficientnet", 31, timm.models.efficientnet._gen_efficientnet, dict(pad_type="same", bn_eps=1e-3)),
            ("tf_efficientnet_lite", 33, lite, dict(pad_type="same", bn_eps=1e-3))):
        variant = "efficientnet_b0" if make is not lite else "efficientnet_lite0"
        model = make(variant, channel_multiplier=1.0, depth_multiplier=0.5, **options, **common)
        model = randomise_cnn(model, seed)
        weights = without_classifier(model, "conv_head", "bn2", "classifier")
        if name == "tf_efficientnet":
            weights = {}  # those of "efficientnet", as the seed says
        write(folder, name, weights,
              run_cnn(model, list(model.blocks), model.forward_features, generator))

    kernels_strides = ((3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1))
    widths = (16, 8, 16, 8, 16, 8, 16, 8)
    config = [tv_efficientnet.MBConvConfig(1 if i == 0 else 2, k, s, widths[i], widths[i + 1], 2 if i in (1, 3) else 1)
              for i, (k, s) in enumerate(kernels_strides)]
    model = tv_efficientnet.EfficientNet(config, dropout=0.2, num_classes=2)
    model = randomise_cnn(model, 34)
    write(folder, "tv_efficientnet", without_classifier(model, "features.8", "classifier"),
          run_cnn(model, [model.features[i] for i in range(1, 8)], model.features, generator))


def main(folder):
    generator = torch.Generator().manual_seed(8)
    transformers_with(folder, generator)
    cnns(folder, generator)
    torch.jit.script(torch.nn.Linear(2, 2)).save(folder / "program.pt")  # to be refused


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
