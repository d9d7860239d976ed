#!/usr/bin/env python3
"""Dinomaly, as anomalib has it, on AGPNet's backbone: model, loss, initialisation, optimiser and schedule are anomalib's.

Different from anomalib's own training: the backbone's weights, 252 x 252 input without a crop, batches of 8, as many steps as
are asked for, and the schedule advances with every step, as Dinomaly's authors have it.
"""
import time
from unittest import mock

import torch
from anomalib.models.image.dinomaly import Dinomaly, torch_model
from anomalib.models.image.dinomaly.components import StableAdamW, WarmCosineScheduler
from anomalib.models.image.dinomaly.lightning_model import TRAINING_CONFIG

import backbone
import harness

PACE_STEPS = 4  # to measure a step's time for --minutes


def make(args):
    """The Lightning module, with our backbone in it. Its `model` does everything; the rest only gave it its initial values."""
    # anomalib always asks for timm's pretrained weights, that is for a download. The encoder made here has random weights instead
    # and is replaced at once.
    original = torch_model.TimmFeatureExtractor
    vit = backbone.load(args.backbone)
    with mock.patch.object(torch_model, "TimmFeatureExtractor", lambda **kw: original(**kw | {"pre_trained": False})):
        module = Dinomaly(
            encoder_name=f"vit_{'small' if vit.embed_dim == 384 else 'base'}_patch14_dinov2",
            pre_processor=False,
            post_processor=False,
            evaluator=False,
            visualizer=False,
        )
    module.model.encoder.feature_extractor = vit

    networks = module.model.get_encoder_decoder_outputs

    def in_precision(batch):
        with harness.autocast(args):
            encoded, decoded = networks(batch)
        return [e.float() for e in encoded], [d.float() for d in decoded]

    module.model.get_encoder_decoder_outputs = in_precision  # loss, maps and scores stay in float32
    return module


class Remembering(torch.nn.Module):
    """The encoder for training: runs once for each image, as in AGPNet's trainer; nothing is augmented, so nothing changes.

    Dinomaly uses the blocks only by their mean within a group, and the mean of all; so the groups' means are all there is to keep.
    """

    def __init__(self, encoder, model):
        super().__init__()
        self.encoder, self.kept, self.paths = encoder, {}, []
        self.patch_size, self.num_register_tokens = encoder.patch_size, encoder.num_register_tokens
        self.groups = [[f"blocks.{model.target_layers[i]}" for i in group] for group in model.fuse_layer_encoder]

    def forward(self, _):
        new = [path for path in self.paths if path not in self.kept]
        if new:
            features = self.encoder(harness.batch_of([harness.read(path) for path in new]))
            means = torch.stack([torch.stack([features[block] for block in group]).mean(0) for group in self.groups], 1)
            self.kept |= zip(new, means.half(), strict=True)
        means = torch.stack([self.kept[path].float() for path in self.paths])
        return {block: means[:, i] for i, group in enumerate(self.groups) for block in group}


def batches(train, generator):
    """Without end: every image once before any comes again; a set smaller than a batch is repeated in it."""
    waiting = []
    while True:
        while len(waiting) < harness.BATCH:
            waiting += [train[i] for i in torch.randperm(len(train), generator=generator)]
        yield waiting[: harness.BATCH]
        waiting = waiting[harness.BATCH :]


def fit(module, train, args):
    """Trains in place; returns the steps done and planned."""
    start = time.perf_counter()
    model = module.model.train()
    encoder = model.encoder
    model.encoder = Remembering(encoder, model)
    shape_only = torch.empty(harness.BATCH, 3, backbone.SIZE, backbone.SIZE)
    source = batches(train, torch.Generator().manual_seed(args.seed))
    parameters = list(module.trainable_modules.parameters())

    def backward(step):
        model.encoder.paths = next(source)
        loss = model(shape_only, global_step=step)
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, TRAINING_CONFIG["trainer"]["gradient_clip_val"])
        return loss.item()

    planned = args.steps
    deadline = start + 60 * args.minutes if args.minutes else float("inf")
    if args.minutes:  # the schedule needs to know its end, so the pace is measured first, on steps that change nothing
        backward(0)
        measured = time.perf_counter()
        for _ in range(PACE_STEPS):
            backward(0)
        possible = int((deadline - time.perf_counter()) / (time.perf_counter() - measured) * PACE_STEPS)
        planned = max(1, min(possible, planned or possible))

    optimiser = StableAdamW([{"params": parameters}], **TRAINING_CONFIG["optimizer"])
    schedule = dict(TRAINING_CONFIG["scheduler"])
    schedule |= {"total_iters": planned, "warmup_iters": min(schedule["warmup_iters"], planned // 5)}
    scheduler = WarmCosineScheduler(optimiser, **schedule)
    done = 0
    while done < planned and time.perf_counter() < deadline:
        loss = backward(done)
        optimiser.step()
        scheduler.step()
        done += 1
        if done % 50 == 0:
            print(f"step {done} of {planned}: loss {loss:.4f}, {time.perf_counter() - start:.0f} s", flush=True)
    model.encoder = encoder
    model.eval()
    return done, planned


def main():
    options = harness.parser(__doc__)
    options.add_argument("--steps", type=int, help="steps of 8 images; 500 unless --minutes is given")
    options.add_argument("--minutes", type=float, help="end training after this time; with --steps, whichever comes first")
    args = options.parse_args()
    if args.steps is None and args.minutes is None:
        args.steps = 500
    harness.prepare(args)
    train, test = harness.list_images(args)
    module = make(args)
    with harness.Clock() as training:
        done, planned = fit(module, train, args)
    print(f"{done} steps on {len(train)} images, {training.seconds:.0f} s", flush=True)

    def detect(batch):
        result = module.model(batch)
        # the map comes unsmoothed, though the score is made of a smoothed one; smoothed is how the authors evaluate it
        maps = module.model.gaussian_blur(result.anomaly_map)
        return maps[:, 0].numpy(), result.pred_score.flatten().tolist()

    inference = harness.write_maps(args, test, detect)
    print(f"{len(test)} maps in {args.out}, {1e3 * inference.seconds / len(test):.1f} ms per image")
    facts = {"steps": done, "planned_steps": planned, "minutes": args.minutes, "batch": harness.BATCH, "score": "anomalib's"}
    harness.write_run(args, "dinomaly", ["anomalib"], train, test, training, inference, facts)


if __name__ == "__main__":
    main()
