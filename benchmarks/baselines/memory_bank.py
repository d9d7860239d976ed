#!/usr/bin/env python3
"""Nearest neighbour in a memory bank of good tokens, after PatchCore (its coreset and pooling) and AnomalyDINO (its ViT tokens)."""
import cv2
import numpy as np
import torch
from torch.nn import functional as F

import backbone
import harness

SIGMA = 4  # of the Gaussian over the map
PROJECTED = 128  # numbers per token while the coreset is chosen
CANDIDATES = 4096  # tokens at a time while it is chosen


def described(model, batch, args):
    """A descriptor for each patch, images x patches x numbers: tokens of some blocks, side by side, averaged over 3 x 3."""
    with harness.autocast(args):
        blocks = model.forward_intermediates(
            batch, indices=[layer - 1 for layer in args.layers], norm=False, output_fmt="NCHW", intermediates_only=True
        )
    if args.normalise:
        blocks = [F.layer_norm(b.float().permute(0, 2, 3, 1), b.shape[1:2]).permute(0, 3, 1, 2) for b in blocks]
    tokens = torch.cat(blocks, 1).float()
    return F.avg_pool2d(tokens, 3, stride=1, padding=1, count_include_pad=False).flatten(2).transpose(1, 2)


def squared_distances(tokens, centres):
    return torch.addmm(centres.square().sum(1), tokens, centres.T, alpha=-2) + tokens.square().sum(1, keepdim=True)


def k_centre(tokens, count):
    """Indices of `count` tokens, each the farthest from those before it; distances after a random projection, as in PatchCore.

    Distances to the chosen only shrink. So the choice is made among the tokens that are farthest now, until the farthest of them is
    nearer than all others were; only then are the others brought up to date, in one matrix product. The result is the plain loop's.
    """
    projected = tokens @ (torch.randn(tokens.shape[1], PROJECTED) / PROJECTED**0.5)
    distance = torch.full((len(tokens),), torch.inf)  # squared, to the nearest chosen one
    chosen, known = [int(torch.randint(len(tokens), ()))], 0
    while len(chosen) < count:
        centres = projected[chosen[known:]]
        for near, part in zip(distance.split(CANDIDATES), projected.split(CANDIDATES), strict=True):
            torch.minimum(near, squared_distances(part, centres).amin(1), out=near)
        distance[chosen[known:]] = -torch.inf  # never twice, not even among equal tokens
        known = len(chosen)
        farthest, candidates = distance.topk(min(CANDIDATES + 1, len(tokens)))
        others, near, part = farthest[-1], farthest[:-1].clone(), projected[candidates[:-1]]
        while len(chosen) < count and near.max() >= others:
            best = near.argmax()
            chosen.append(int(candidates[best]))
            torch.minimum(near, squared_distances(part, part[best : best + 1])[:, 0], out=near)
            near[best] = -torch.inf
    return torch.tensor(chosen)


class Bank:
    def __init__(self, tokens):
        self.tokens = tokens
        self.half_squares = tokens.square().sum(1) / 2

    def distances(self, tokens):
        """Euclidean distance of each token to the nearest one in the bank."""
        # |q - b|² / 2 without q's part, which does not change which b is the nearest; the distance itself is then taken exactly
        nearest = torch.addmm(self.half_squares, tokens, self.tokens.T, alpha=-1).argmin(1)
        return (tokens - self.tokens[nearest]).norm(dim=1)


def fit(model, train, args):
    """The bank, and how many tokens it was chosen from."""
    tokens = []
    for first in range(0, len(train), harness.BATCH):
        with torch.inference_mode():
            batch = harness.batch_of([harness.read(path) for path in train[first : first + harness.BATCH]])
            tokens.append(described(model, batch, args).flatten(0, 1))
    tokens = torch.cat(tokens)
    total = len(tokens)
    if not args.shots and args.coreset < 1:
        with torch.inference_mode():
            tokens = tokens[k_centre(tokens, max(1, round(args.coreset * total)))]
    return Bank(tokens), total


def image_score(anomaly_map, kind):
    values = anomaly_map.ravel()
    if kind == "max":
        return values.max()
    count = max(1, values.size // 100)
    return np.partition(values, -count)[-count:].mean()


def main():
    options = harness.parser(__doc__)
    options.add_argument("--layers", type=int, nargs="+", default=[6, 9], help="blocks, from 1")
    options.add_argument("--normalise", action="store_true", help="layer-normalise each block's tokens, without learned factors")
    options.add_argument("--coreset", type=float, default=0.1, help="share of the tokens to keep; all of them with --shots")
    options.add_argument("--score", choices=["max", "top1"], default="max", help="top1: mean of the map's greatest 1 %%")
    args = options.parse_args()
    harness.prepare(args)
    train, test = harness.list_images(args)
    model = backbone.load(args.backbone)

    with harness.Clock() as training:
        bank, total = fit(model, train, args)
    print(f"{len(bank.tokens)} of {total} tokens of {len(train)} images kept, {training.seconds:.0f} s", flush=True)

    def detect(batch):
        maps, scores = [], []
        for tokens in described(model, batch, args):
            grid = bank.distances(tokens).reshape(backbone.GRID, backbone.GRID).numpy()
            full = cv2.resize(grid, (backbone.SIZE, backbone.SIZE), interpolation=cv2.INTER_LINEAR)
            maps.append(cv2.GaussianBlur(full, (0, 0), SIGMA))
            scores.append(image_score(maps[-1], args.score))
        return maps, scores

    inference = harness.write_maps(args, test, detect)
    print(f"{len(test)} maps in {args.out}, {1e3 * inference.seconds / len(test):.1f} ms per image")
    facts = {"steps": 0, "layers": args.layers, "normalise": args.normalise, "score": args.score, "sigma": SIGMA}
    facts |= {"bank_tokens": len(bank.tokens), "all_tokens": total}
    harness.write_run(args, "memory_bank", [], train, test, training, inference, facts)


if __name__ == "__main__":
    main()
