"""A DINOv2-style ViT/14 from the same safetensors file that AGPNet reads (Hugging Face's Dinov2 names), as a timm model."""
import timm
import torch
from safetensors.torch import load_file

SIZE = 252  # sides of the model's input, as AGPNet's default
PATCH = 14
GRID = SIZE // PATCH

NAMES = {  # width: what timm and anomalib call it
    384: "vit_small_patch14_dinov2",
    768: "vit_base_patch14_dinov2",
}

# Hugging Face's part of a name, and timm's; the query, key and value of a block are joined below.
RENAMED = [
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("encoder.layer.", "blocks."),
    (".attention.output.dense.", ".attn.proj."),
    (".layer_scale1.lambda1", ".ls1.gamma"),
    (".layer_scale2.lambda1", ".ls2.gamma"),
    ("layernorm.", "norm."),
]


def timm_names(weights):
    """The same tensors under timm's names."""
    renamed, joined = {}, {}
    for name, tensor in weights.items():
        if name == "embeddings.mask_token":  # only used in pre-training
            continue
        for old, new in RENAMED:
            name = name.replace(old, new)
        block, inner, part = name.partition(".attention.attention.")
        if inner:
            layer, kind = part.split(".")  # query.weight and the like
            joined.setdefault(f"{block}.attn.qkv.{kind}", {})[layer] = tensor
        else:
            renamed[name] = tensor
    for name, parts in joined.items():
        renamed[name] = torch.cat([parts[layer] for layer in ("query", "key", "value")])
    return renamed


def resampled_positions(positions):
    """The position embedding for GRID x GRID patches: bicubic without antialiasing, as DINOv2 without registers had it."""
    cls, grid = positions[:, :1], positions[:, 1:]
    side = round(grid.shape[1] ** 0.5)
    grid = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = torch.nn.functional.interpolate(grid, (GRID, GRID), mode="bicubic", align_corners=False)
    return torch.cat([cls, grid.flatten(2).transpose(1, 2)], 1)


def load(path):
    """The frozen backbone, for input of SIZE x SIZE."""
    weights = timm_names(load_file(path))
    width = weights["cls_token"].shape[-1]
    if width not in NAMES:
        raise SystemExit(f"{path}: tokens of {width} numbers; {' or '.join(map(str, NAMES))} expected")
    model = timm.create_model(NAMES[width], pretrained=False, img_size=SIZE, num_classes=0)
    weights["pos_embed"] = resampled_positions(weights["pos_embed"])
    model.load_state_dict(weights)  # strict: a name too many or too few is an error
    return model.requires_grad_(False).eval()
