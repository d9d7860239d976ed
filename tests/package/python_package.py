"""The Python package with the distribution's cv2 and numpy:  python_package.py SITE FOLDER SCORE, of FOLDER/tiny.agp on good/0.png."""
import concurrent.futures
import copy
import dataclasses
import functools
import gc
import json
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import unittest

SITE, FOLDER, SCORE = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
sys.path.insert(0, SITE)

import cv2  # noqa: E402
import numpy as np  # noqa: E402

import agpnet  # noqa: E402

IMAGES = [cv2.imread(str(FOLDER / f"good/{number}.png")) for number in range(6)]
IMAGE = IMAGES[0]
MODEL = FOLDER / "tiny.agp"
BACKBONE = FOLDER / "tiny.safetensors"
CONFIG = json.loads((FOLDER / "config.json").read_text())


def assert_same(found, expected):
    """Bit for bit."""
    for field in dataclasses.fields(found):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b)
        elif isinstance(a, list):
            assert len(a) == len(b), field.name
            for one, other in zip(a, b):
                assert_same(one, other)
        else:
            assert a == b, (field.name, a, b)


class Package(unittest.TestCase):
    def test_is_the_one_under_test(self):
        self.assertTrue(agpnet.__file__.startswith(SITE), agpnet.__file__)
        self.assertEqual(agpnet.build_information()["agpnet"], agpnet.__version__)
        self.assertTrue(all(hasattr(agpnet, name) for name in agpnet.__all__))

    def test_plugin(self):
        self.assertTrue(agpnet.load_plugin().endswith("libagpnet.so.0"))
        agpnet.load_plugin()
        net = cv2.dnn.readNetFromONNX(str(FOLDER / "tiny.onnx"))
        net.setInput(cv2.dnn.blobFromImage(IMAGE, 1 / 255.0, swapRB=True))
        anomaly_map, score = net.forward(["map", "score"])
        self.assertAlmostEqual(float(score[0, 0]), SCORE, delta=1e-3)
        self.assertEqual(anomaly_map.shape, (1, 1, *IMAGE.shape[:2]))

    def in_a_process(self, code, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=threads)
        done = subprocess.run([sys.executable, "-c", code, SITE, str(MODEL), str(FOLDER / "good/0.png")], env=environment,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def test_removed_working_directory(self):
        code = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
import agpnet
os.chdir(tempfile.mkdtemp())
os.rmdir(os.getcwd())
for use in lambda: agpnet.AnomalyDetector(sys.argv[2]), agpnet.load_plugin, agpnet.build_information:
    try:
        use()
    except agpnet.AgpnetError as error:
        print(error)
os.chdir("/")
print(agpnet.AnomalyDetector(sys.argv[2]).device)
"""
        sentence = "the working directory has been removed; expected one that is there when the library is loaded"
        self.assertEqual(self.in_a_process(code, "1"), [sentence] * 3 + ["cpu"])

    def test_forked(self):
        code = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
import cv2
import agpnet

def use(pipe):
    try:
        pipe.send(agpnet.AnomalyDetector(sys.argv[2], "fp32").detect(cv2.imread(sys.argv[3])).score)
    except agpnet.AgpnetStateError as error:
        pipe.send(str(error))

def in_child():
    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=use, args=(there,))
    child.start()
    answer = here.recv() if here.poll(60) else "hangs"
    child.kill()
    return answer

print(in_child())
print(agpnet.AnomalyDetector(sys.argv[2], "fp32").detect(cv2.imread(sys.argv[3])).score)
print(in_child())
"""
        before, own, after = self.in_a_process(code, "2")
        self.assertEqual(before, own)
        self.assertIn("forked from one that had computed with AGPNet", after)
        self.assertEqual(len(set(self.in_a_process(code, "1"))), 1)


class Detector(unittest.TestCase):
    def test_results(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        result = detector.detect(IMAGE)
        self.assertEqual((result.map.shape, result.map.dtype), (IMAGE.shape[:2], np.float32))
        self.assertIsNone(result.mask)
        self.assertAlmostEqual(agpnet.AnomalyDetector(MODEL).detect(IMAGE).score, SCORE, delta=1e-3)
        self.assertEqual(result.anomalous, result.score > result.threshold)
        self.assertEqual((result.product, result.warning), ("", ""))
        self.assertEqual(result.anomalous, result.calibrated > 0.5)
        self.assertIsNone(detector.detect(IMAGE, map=False).map)

    def test_properties(self):
        detector = agpnet.AnomalyDetector(str(MODEL), "fp32", "cpu")
        self.assertEqual(detector.header["config"]["height"], 32)
        self.assertEqual((detector.precision, detector.device, detector.input_size, detector.products), ("fp32", "cpu", (32, 24), []))
        score, pixel = detector.thresholds()
        result = detector.detect(IMAGE)
        self.assertEqual((result.threshold, result.pixel_threshold), (score, pixel))
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "product"):
            detector.thresholds("none")
        detector.set_drift_window(5)
        drift = detector.drift
        self.assertEqual((drift.images, drift.window, drift.drifting), (0, 5, False))

    def test_regions_and_mask(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        result = detector.detect(IMAGE, agpnet.DetectOptions(sensitivity=1.5), mask=True)
        np.testing.assert_array_equal(result.mask, np.where(result.map > result.pixel_threshold, 255, 0))
        self.assertEqual(sum(region.area for region in result.regions), np.count_nonzero(result.mask))
        self.assertGreater(len(result.regions), 0)
        for region in result.regions:
            x, y = region.peak
            self.assertEqual(np.float32(region.score), result.map[y, x])
            self.assertEqual(cv2.boundingRect(region.contour), region.box)
            contours, _ = cv2.findContours(result.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            self.assertIn(region.contour.tolist(), [contour.reshape(-1, 2).tolist() for contour in contours])
        least = result.regions[0].area + 1
        options = agpnet.DetectOptions(sensitivity=1.5, minimum_area=least)
        self.assertTrue(all(region.area >= least for region in detector.detect(IMAGE, options, mask=True).regions))

    def test_maps_outlive_everything(self):
        results = agpnet.AnomalyDetector(MODEL).detect_batch(IMAGES, mask=True)
        copies = [(result.map.copy(), result.mask.copy()) for result in results]
        maps = [(result.map, result.mask) for result in results]
        del results
        gc.collect()
        agpnet.AnomalyDetector(MODEL).detect_batch(IMAGES[::-1])  # takes memory that is free
        for (a, b), (c, d) in zip(maps, copies):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)
        maps[0][0][:] = 1  # may be written to
        np.testing.assert_array_equal(maps[1][0], copies[1][0])

    def test_batch(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        options = agpnet.DetectOptions(sensitivity=1.5)
        images = [IMAGE, IMAGES[1][:30], IMAGES[2].astype(np.uint16) * 257]
        for image, found in zip(images, detector.detect_batch(images, options, mask=True)):
            alone = detector.detect(image, options, mask=True)
            self.assertAlmostEqual(found.score, alone.score, delta=1e-4)
            np.testing.assert_allclose(found.map, alone.map, atol=1e-4)
        self.assertEqual(detector.detect_batch([]), [])

    def test_options(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        plain = detector.detect(IMAGE)
        height, width = IMAGE.shape[:2]

        def map_of(**options):
            return detector.detect(IMAGE, agpnet.DetectOptions(**options)).map

        self.assertEqual(map_of(map_size="model").shape, (32, 24))
        np.testing.assert_array_equal(map_of(threads=1, tile_side=0), plain.map)
        self.assertFalse(np.array_equal(map_of(tile_side=32, tile_overlap=0.5), plain.map))
        left = np.zeros((height, width), bool)
        left[:, : width // 2] = True
        masked = map_of(region_of_interest=left)
        self.assertTrue((masked[:, width // 2 :] == 0).all() and (masked[:, : width // 2 - 1] > 0).any())
        np.testing.assert_array_equal(map_of(region_of_interest=left.astype(np.uint8)), masked)
        half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
        polygon = map_of(region_polygons=[half])
        self.assertTrue((polygon[:, width // 2 + 1 :] == 0).all() and polygon.any())
        np.testing.assert_array_equal(map_of(region_polygons=[np.array(half) * (width, height)], region_image_size=(height, width)),
                                      polygon)
        np.testing.assert_array_equal(map_of(region_polygons=[]), plain.map)
        self.assertAlmostEqual(detector.detect(IMAGE, agpnet.DetectOptions(sensitivity=2)).threshold, plain.threshold / 2)
        own = detector.detect(IMAGE, agpnet.DetectOptions(threshold=7, pixel_threshold=8))
        self.assertEqual((own.threshold, own.pixel_threshold, own.anomalous), (7, 8, False))

        options = agpnet.DetectOptions(sensitivity=2)
        for own in agpnet.AnomalyDetector(MODEL, "fp32", options=options), detector:
            own.options = options
            self.assertIs(own.options, options)
            assert_same(own.detect(IMAGE), detector.detect(IMAGE, options))
        self.assertEqual(detector.detect(IMAGE, agpnet.DetectOptions()).threshold, plain.threshold)

    def test_takes_what_it_says(self):
        detector = agpnet.AnomalyDetector(str(MODEL), "fp32")
        expected = detector.detect(IMAGE).score
        for name, image in {
            "16 bits": IMAGE.astype(np.uint16) * 257,
            "float": (IMAGE / 255).astype(np.float32),
            "alpha": cv2.cvtColor(IMAGE, cv2.COLOR_BGR2BGRA),
            "part of a larger one": cv2.copyMakeBorder(IMAGE, 3, 3, 5, 5, cv2.BORDER_CONSTANT)[3:-3, 5:-5],
            "another order in memory": np.asfortranarray(IMAGE),
            "turned twice": IMAGE[::-1, ::-1].copy()[::-1, ::-1],
        }.items():
            self.assertAlmostEqual(detector.detect(image).score, expected, delta=1e-4, msg=name)
        grey = IMAGE[:, :, 1]
        self.assertAlmostEqual(detector.detect(grey).score, detector.detect(cv2.merge([grey] * 3)).score, delta=1e-3)
        self.assertEqual(detector.detect(grey[:, :, np.newaxis]).score, detector.detect(grey).score)

    def test_warns_of_values_that_do_not_fit(self):
        with self.assertWarnsRegex(RuntimeWarning, "it is dark, or of 12 bits") as warned:
            result = agpnet.AnomalyDetector(MODEL).detect(IMAGE.astype(np.uint16) * 16)
        self.assertIn("it is dark, or of 12 bits", result.warning)
        self.assertEqual(warned.filename, __file__)  # the caller's line, not the package's

    def test_refuses_with_a_message(self):
        detector = agpnet.AnomalyDetector(MODEL)
        for image, part in [
            (IMAGE.astype(np.float64), "float64 of 3 dimensions"),
            ([1, 2], "list"),
            (IMAGE[np.newaxis], "4 dimensions"),
            (IMAGE[:, :, :2], "image.channels is 2"),
            (IMAGE[:0], "0 rows"),
            (IMAGE[:4], "8"),
            (np.full((40, 48), np.nan, np.float32), "finite"),
        ]:
            with self.assertRaises(agpnet.AgpnetArgumentError) as raised:
                detector.detect(image)
            self.assertIn(part, str(raised.exception))
        for options, part in [
            ({"sensitivity": 0}, "sensitivity is 0"),
            ({"tile_side": 5}, "5"),
            ({"tile_side": 2**32}, "tile_side is 4294967296, expected an integer of 32 bits"),
            ({"tile_overlap": 2.0}, "2"),
            ({"map_size": "tall"}, "map_size is 'tall', expected 'image' or 'model'"),
            ({"region_of_interest": np.zeros((4, 4), np.uint8)}, "0 everywhere"),
            ({"region_polygons": [[[0, 0], [1, 1]]]}, "2 points"),
            ({"region_polygons": [[1, 2, 3]]}, "region_polygons[0] has the shape (3,), expected [points, 2]"),
            ({"region_polygons": [], "region_of_interest": np.ones((4, 4), np.uint8)}, "are both given"),
            ({"product": "x"}, "product is 'x'"),
            ({"threads": 1000}, "1000"),
        ]:
            with self.assertRaises(agpnet.AgpnetArgumentError) as raised:
                detector.detect(IMAGE, agpnet.DetectOptions(**options))
            self.assertIn(part, str(raised.exception))
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "options is dict"):
            detector.detect(IMAGE, {"sensitivity": 2})
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "none.agp"):
            agpnet.AnomalyDetector(FOLDER / "none.agp")
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "precision is 'half'"):
            agpnet.AnomalyDetector(MODEL, "half")
        with self.assertRaisesRegex(agpnet.AgpnetDeviceError, "device is 'tpu'"):
            agpnet.AnomalyDetector(MODEL, device="tpu")

    def test_errors_are_what_python_expects(self):
        for error, base in [
            (agpnet.AgpnetArgumentError, ValueError),
            (agpnet.AgpnetFileError, OSError),
            (agpnet.AgpnetMemoryError, MemoryError),
            (agpnet.AgpnetDeviceError, agpnet.AgpnetError),
            (agpnet.AgpnetStateError, agpnet.AgpnetError),
        ]:
            self.assertTrue(issubclass(error, agpnet.AgpnetError) and issubclass(error, RuntimeError) and issubclass(error, base))
            self.assertEqual(str(error("why")), "why")

    def test_copies(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        trainer = agpnet.AnomalyTrainer(BACKBONE, CONFIG)
        score = detector.detect(IMAGE).score
        for one in detector, trainer, agpnet.AnomalyStream(detector):
            for make in copy.copy, copy.deepcopy, pickle.dumps, lambda it: copy.deepcopy({"in": [it]}):
                with self.assertRaisesRegex(TypeError, f"{type(one).__name__} cannot be copied or pickled: create another one"):
                    make(one)
        twin = object.__new__(agpnet.AnomalyDetector)  # as a library of its own may make one
        twin.__dict__.update(vars(detector))
        del twin
        gc.collect()
        self.assertEqual(detector.detect(IMAGE).score, score)
        detector.__init__(MODEL, "fp32")  # the first handle goes, the second works
        self.assertEqual(detector.detect(IMAGE).score, score)
        empty = object.__new__(agpnet.AnomalyDetector)
        self.assertRaises(AttributeError, empty.detect, IMAGE)
        result = pickle.loads(pickle.dumps(detector.detect(IMAGE, mask=True)))  # results are data
        assert_same(result, detector.detect(IMAGE, mask=True))

    def test_threads(self):
        detector = agpnet.AnomalyDetector(MODEL)
        threshold = detector.thresholds()[0]

        def use(number):
            result = detector.detect(IMAGE, agpnet.DetectOptions(sensitivity=1 + number % 4))
            return result.score, result.threshold * (1 + number % 4)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = list(pool.map(use, range(40)))
        self.assertEqual(len({score for score, _ in found}), 1)
        np.testing.assert_allclose([own for _, own in found], threshold)


class Stream(unittest.TestCase):
    def test_order(self):
        detector = agpnet.AnomalyDetector(MODEL, "fp32")
        numbers = {}

        def camera(stream, source):
            for number, image in enumerate(IMAGES):
                numbers[stream.push(image, source)] = (source, number)

        with agpnet.AnomalyStream(detector, capacity=4, batch=1, mask=True) as stream:
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                cameras = [pool.submit(camera, stream, source) for source in range(2)]
                pool.submit(lambda: [one.result() for one in cameras] and stream.close())
                found = list(stream)
        self.assertEqual([one.number for one in found], list(range(12)))
        for one in found:
            source, number = numbers[one.number]
            self.assertEqual((one.source, one.error, one.batch), (source, "", 1))
            assert_same(one.result, detector.detect(IMAGES[number], mask=True))

    def test_end(self):
        detector = agpnet.AnomalyDetector(MODEL)
        with agpnet.AnomalyStream(detector, capacity=1) as stream:
            self.assertEqual(stream.try_push(IMAGE), 0)
            self.assertIsNone(stream.try_push(IMAGE))
            self.assertEqual(stream.under_way, 1)
            self.assertEqual(stream.pop().number, 0)
            self.assertIsNone(stream.pop(timeout=0.01))
            stream.push(IMAGE[:4])
            found = stream.pop()
            self.assertIsNone(found.result)
            self.assertIn("4", found.error)
        self.assertIsNone(stream.pop())
        with self.assertRaisesRegex(agpnet.AgpnetStateError, "closed"):
            stream.push(IMAGE)
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "capacity is 0"):
            agpnet.AnomalyStream(detector, capacity=0)
        agpnet.AnomalyStream(detector).push(IMAGE)  # and is gone with it

    def test_interrupt_while_it_waits(self):
        stream = agpnet.AnomalyStream(agpnet.AnomalyDetector(MODEL))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        self.assertRaises(KeyboardInterrupt, stream.pop)


class Trainer(unittest.TestCase):
    def train(self, images, **arguments):
        trainer = agpnet.AnomalyTrainer(BACKBONE, CONFIG)
        self.assertTrue(trainer.fit(images, **arguments))
        return trainer

    def test_fit(self):
        seen = []
        trainer = self.train(IMAGES, progress=seen.append)
        self.assertEqual([now.step for now in seen], list(range(1, CONFIG["steps"] + 1)))
        self.assertTrue(all(now.loss > 0 and now.steps == CONFIG["steps"] for now in seen))
        self.assertEqual((trainer.steps_done, trainer.steps, trainer.batch_size, trainer.input_size),
                         (CONFIG["steps"], CONFIG["steps"], 4, (32, 24)))
        self.assertEqual(trainer.config["decoder_depth"], 2)
        trainer.note("line", {"number": 7})
        self.assertEqual(trainer.record["line"], {"number": 7})
        path = FOLDER / "python.agp"
        trainer.save(path)
        detector = agpnet.AnomalyDetector(path)
        self.assertEqual(detector.header["training"]["line"], {"number": 7})
        assert_same(trainer.detector().detect(IMAGE), detector.detect(IMAGE))
        small = FOLDER / "small.agp"
        trainer.save(small, embed_backbone=False)
        self.assertLess(small.stat().st_size, path.stat().st_size)
        read = []
        for images in np.stack(IMAGES), agpnet.LazyImages(len(IMAGES), lambda i: read.append(i) or IMAGES[i].copy()):
            assert_same(self.train(images).detector().detect(IMAGE), detector.detect(IMAGE))
        self.assertEqual(set(read), set(range(6)))

    def test_products(self):
        detector = self.train({"a": IMAGES[:3], "b": IMAGES[3:]}).detector()
        self.assertEqual(detector.products, ["a", "b"])
        self.assertEqual(detector.detect(IMAGE, agpnet.DetectOptions(product="b")).product, "b")
        self.assertEqual(detector.detect(IMAGE, agpnet.DetectOptions(product="b")).threshold, detector.thresholds("b")[0])

    def test_stops_and_resumes(self):
        whole = self.train(IMAGES)
        trainer = agpnet.AnomalyTrainer(str(BACKBONE), FOLDER / "config.json")
        state = FOLDER / "state"

        def stop(now):
            trainer.save_state(state)
            return now.step < 2

        self.assertFalse(trainer.fit(IMAGES, stop))
        resumed = agpnet.AnomalyTrainer.resume(state, backbone=BACKBONE, config=CONFIG)
        self.assertEqual(resumed.steps_done, 2)
        self.assertTrue(resumed.fit(IMAGES))
        assert_same(resumed.detector().detect(IMAGE), whole.detector().detect(IMAGE))
        with self.assertRaisesRegex(agpnet.AgpnetError, "'seed' is 5"):
            agpnet.AnomalyTrainer.resume(state, config={"seed": 5})

    def test_steps(self):
        trainer = agpnet.AnomalyTrainer(BACKBONE, json.dumps(CONFIG))
        self.assertEqual(trainer.join_processes(), (0, 1))
        with self.assertRaisesRegex(agpnet.AgpnetStateError, "no step was taken"):
            trainer.save(FOLDER / "none.agp")
        self.assertGreater(trainer.step(IMAGES[:4]), 0)
        trainer.calibrate(IMAGES)
        self.assertEqual(trainer.steps_done, 1)
        self.assertGreater(trainer.detector().thresholds()[0], 0)

    def test_calibrate(self):
        model, out = FOLDER / "calibrated.agp", FOLDER / "other.agp"
        model.write_bytes(MODEL.read_bytes())
        before = agpnet.AnomalyDetector(model).thresholds()
        seen = []
        self.assertTrue(agpnet.calibrate(model, np.stack(IMAGES), rule="quantile", false_alarms=0.3,
                                         progress=lambda *now: seen.append(now)))
        self.assertEqual(seen, [(number, 6) for number in range(1, 7)])
        self.assertNotEqual(agpnet.AnomalyDetector(model).thresholds(), before)
        defect = IMAGE.copy()
        defect[:20] = 255
        mask = np.zeros(IMAGE.shape[:2], np.uint8)
        mask[:20] = 255
        labelled = IMAGES + [agpnet.CalibrationImage(defect, True, mask)]
        self.assertTrue(agpnet.calibrate(model, {"": labelled}, out, rule="f1"))
        self.assertIn("f1", json.dumps(agpnet.AnomalyDetector(out).header["scores"]))
        out.unlink()
        self.assertFalse(agpnet.calibrate(model, IMAGES, out, progress=lambda done, total: done < 3))
        self.assertFalse(out.exists())
        for expected, arguments in [
            (agpnet.AgpnetArgumentError, {"rule": "best"}),
            (agpnet.AgpnetArgumentError, {"false_alarms": 2.0}),
            (ZeroDivisionError, {"progress": lambda done, total: 1 // 0}),
        ]:
            with self.assertRaises(expected):
                agpnet.calibrate(model, IMAGES, out, **arguments)
            self.assertFalse(out.exists())

    def test_exceptions_come_through(self):
        class Mine(Exception):
            pass

        def fail(error):
            raise error

        def interrupt(_):
            os.kill(os.getpid(), signal.SIGINT)

        for images, progress, expected in [
            (agpnet.LazyImages(6, lambda i: fail(Mine())), None, Mine),
            (IMAGES, lambda now: fail(Mine()), Mine),
            (IMAGES, lambda now: sys.exit(3), SystemExit),
            (IMAGES, interrupt, KeyboardInterrupt),
            (agpnet.LazyImages(6, lambda i: IMAGE.astype(np.float64)), None, agpnet.AgpnetArgumentError),
            (agpnet.LazyImages(6, lambda i: [][i]), None, IndexError),
        ]:
            trainer = agpnet.AnomalyTrainer(BACKBONE, CONFIG)
            with self.assertRaises(expected):
                trainer.fit(images, progress)
            self.assertTrue(trainer.fit(IMAGES))  # and works on
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "no training images"):
            agpnet.AnomalyTrainer(BACKBONE, CONFIG).fit([])
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "none.safetensors"):
            agpnet.AnomalyTrainer(FOLDER / "none.safetensors")
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "stepps"):
            agpnet.AnomalyTrainer(BACKBONE, {"stepps": 1})


DEC_CONFIG = {"height": 32, "width": 24, "choose": "config", "whitening": "objects", "adapter": "mean"}
OBJECTS = {name: IMAGES[2 * number : 2 * number + 2] for number, name in enumerate(["a", "b", "c"])}


@functools.lru_cache(maxsize=None)
def parts_model():
    trainer = agpnet.DescriberTrainer(BACKBONE, DEC_CONFIG)
    assert trainer.fit([agpnet.ObjectViews(name, views) for name, views in OBJECTS.items()])
    trainer.save(FOLDER / "parts.agp")
    return FOLDER / "parts.agp"


def parts_gallery(describer):
    gallery = agpnet.Gallery(describer.width, describer.space)
    for number, (name, views) in enumerate(OBJECTS.items()):
        gallery.add(name, describer.describe(views), {"shelf": number} if number else None)
    return gallery


class Describer(unittest.TestCase):
    def test_describes(self):
        describer = agpnet.Describer(parts_model())
        descriptor = describer.describe(IMAGES[:3])
        self.assertEqual((descriptor.shape, descriptor.dtype), ((describer.width,), np.float32))
        self.assertAlmostEqual(float(np.linalg.norm(descriptor)), 1, delta=1e-6)
        embeddings = describer.embed(IMAGES[:3])
        self.assertEqual((embeddings.shape, embeddings.dtype), ((3, describer.width), np.float32))
        np.testing.assert_array_equal(describer.aggregate(embeddings), descriptor)
        np.testing.assert_array_equal(describer.describe(np.stack(IMAGES[:3])), descriptor)
        np.testing.assert_array_equal(describer.describe(IMAGE), describer.describe([IMAGE]))
        np.testing.assert_array_equal(describer.aggregate(embeddings[0]), describer.describe(IMAGE))
        np.testing.assert_array_equal(describer.embed(IMAGE), embeddings[:1])
        np.testing.assert_array_equal(describer.aggregate(embeddings.astype(np.float64)), descriptor)
        np.testing.assert_array_equal(describer.aggregate(np.asfortranarray(embeddings)), descriptor)
        self.assertTrue(np.isfinite(describer.describe([IMAGE, IMAGES[1][:30, :20], IMAGES[2][:, :, 0]], order="ring")).all())

    def test_properties(self):
        describer = agpnet.Describer(str(parts_model()), "fp32", "cpu")
        self.assertEqual((describer.width, describer.precision, describer.device, describer.input_size), (64, "fp32", "cpu", (32, 24)))
        self.assertEqual(describer.header["method"], "dec")
        self.assertEqual(describer.space, agpnet.Describer(parts_model(), "bf16").space)

    def test_refuses_with_a_message(self):
        describer = agpnet.Describer(parts_model())
        row = np.ones(describer.width, np.float32)
        for call, part in [
            (lambda: describer.describe([]), "no view given"),
            (lambda: describer.describe([IMAGE, IMAGE.astype(np.float64)]), "views[1] is float64"),
            (lambda: describer.describe([IMAGE], order="line"), "order is 'line', expected 'unordered' or 'ring'"),
            (lambda: describer.embed([IMAGE[:, :, :2]]), "images[0].channels is 2"),
            (lambda: describer.aggregate(row[:3]), "embeddings has the shape (3,), expected [rows, 64], or [64] for one row"),
            (lambda: describer.aggregate(row[np.newaxis, np.newaxis]), "embeddings has the shape (1, 1, 64)"),
            (lambda: describer.aggregate(7), "embeddings has the shape ()"),
            (lambda: describer.aggregate(row[np.newaxis][:0]), "embeddings is empty"),
            (lambda: describer.aggregate(["a"]), "embeddings is list, expected an array of numbers"),
            (lambda: describer.aggregate(row * np.nan), "not finite"),
        ]:
            with self.assertRaises(agpnet.AgpnetArgumentError) as raised:
                call()
            self.assertIn(part, str(raised.exception))
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "none.agp"):
            agpnet.Describer(FOLDER / "none.agp")
        with self.assertRaisesRegex(agpnet.AgpnetDeviceError, "device is 'tpu'"):
            agpnet.Describer(parts_model(), device="tpu")

    def test_threads(self):
        describer = agpnet.Describer(parts_model())
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: describer.describe(IMAGES[:2]).tobytes(), range(24)))
        self.assertEqual(len(set(found)), 1)


class Gallery(unittest.TestCase):
    def test_search(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        query = describer.describe(OBJECTS["b"])
        matches = gallery.search(query)
        self.assertEqual(matches[0].name, "b")
        self.assertEqual((matches[0].note, matches[0].chance), ({"shelf": 1}, None))
        self.assertAlmostEqual(matches[0].similarity, 1, delta=1e-5)
        similarities = {name: float(gallery.descriptor(name) @ query) for name in gallery.names}
        self.assertEqual([match.name for match in matches], sorted(similarities, key=similarities.get, reverse=True))
        for match in matches:
            self.assertAlmostEqual(match.similarity, similarities[match.name], delta=1e-5)
        self.assertEqual(gallery.search(query, 1), matches[:1])
        self.assertEqual(gallery.search(query, leave_out="b"), matches[1:])
        self.assertIs(next(match for match in matches if match.name == "a").note, None)
        self.assertEqual(gallery.search(query.astype(np.float64) * 5, 1)[0].name, "b")
        queries = np.stack([query, describer.describe(OBJECTS["c"])])
        self.assertEqual(gallery.search_batch(queries, 2)[0], matches[:2])
        self.assertEqual([found[0].name for found in gallery.search_batch(queries, leave_out=["", "c"])][0], "b")
        self.assertNotIn("c", [match.name for match in gallery.search_batch(queries, leave_out=["", "c"])[1]])
        self.assertEqual(agpnet.Gallery(64, "s").search(query), [])

    def test_changes_and_files(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        self.assertEqual((len(gallery), gallery.width, gallery.space, gallery.model), (3, 64, describer.space, ""))
        gallery.replace("c", describer.describe(IMAGE))
        gallery.replace("\u540d\u524d \u00e9", describer.describe(IMAGE), ["x", None])
        gallery.remove("a")
        gallery.model = parts_model()
        path = FOLDER / "own.agpx"
        gallery.save(path)
        for each in gallery, agpnet.Gallery.load(path), agpnet.Gallery.load(str(path), describer.space):
            self.assertEqual(sorted(each.names), ["b", "c", "\u540d\u524d \u00e9"])
            self.assertEqual((len(each), "a" in each, "b" in each), (3, False, True))
            self.assertEqual((each.note("\u540d\u524d \u00e9"), each.note("b"), each.note("c")), (["x", None], {"shelf": 1}, None))
            self.assertEqual(each.model, str(parts_model()))
            np.testing.assert_array_equal(each.descriptor("c"), gallery.descriptor("c"))
            np.testing.assert_allclose(each.descriptor("c"), describer.describe(IMAGE), atol=1e-6)
        self.assertTrue(agpnet.Gallery(8, "s"))
        self.assertEqual(agpnet.Gallery(8, "s").names, [])

    def test_calibrates(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        query = describer.describe(OBJECTS["b"])
        self.assertFalse(gallery.calibrated)
        for early in gallery.threshold, lambda: gallery.evidence(query):
            with self.assertRaisesRegex(agpnet.AgpnetError, "calibrated"):
                early()
        queries = np.stack([describer.describe(views[:1]) for views in OBJECTS.values()])
        gallery.calibrate(queries, list(OBJECTS))
        self.assertTrue(gallery.calibrated)
        for name, own in zip(OBJECTS, queries):  # one that is left out is not surely in the gallery
            self.assertLessEqual(gallery.evidence(own, leave_out=name), gallery.threshold(0.01) + 1e-6)
        self.assertLessEqual(gallery.threshold(0.5), gallery.threshold(0.01))
        self.assertGreaterEqual(gallery.evidence(query), gallery.search(query, 1)[0].similarity)
        self.assertTrue(all(0 <= match.chance <= 1 for match in gallery.search(query)))
        before = gallery.search(query, 3)[1].similarity
        gallery.smooth(2, 0)
        self.assertGreater(gallery.search(gallery.descriptor("b"), 3)[1].similarity, before)

    def test_refuses_with_a_message(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        row = np.ones(64, np.float32)
        for call, part in [
            (lambda: agpnet.Gallery(0, "s"), "width is 0, expected 1 to 65536"),
            (lambda: agpnet.Gallery(-1, "s"), "width is -1, expected 1 to 65536"),
            (lambda: gallery.add("b", row), "has an entry 'b' already"),
            (lambda: gallery.add("", row), "0 bytes"),
            (lambda: gallery.add("a\nb", row), "control characters"),
            (lambda: gallery.add("x\0y", row), "name is 'x\\x00y', expected a text without a zero character"),
            (lambda: gallery.add("\ud800", row), "expected a text that UTF-8 can hold"),
            (lambda: gallery.add(7, row), "name is 7"),
            (lambda: gallery.add("x", row[:5]), "descriptor has the shape (5,)"),
            (lambda: gallery.add("x", np.stack([row, row])), "descriptor has the shape (2, 64), expected [64]"),
            (lambda: gallery.add("x", row * 0), "is zero"),
            (lambda: gallery.replace("x", row * np.inf), "not finite"),
            (lambda: gallery.remove("x"), "no entry 'x'"),
            (lambda: gallery.note("x"), "no entry 'x'"),
            (lambda: gallery.descriptor("x"), "no entry 'x'"),
            (lambda: gallery.search(row, 0), "top is 0"),
            (lambda: gallery.search(row, 2**40), "top is 1099511627776, expected an integer of 32 bits"),
            (lambda: gallery.search_batch(row, leave_out=["a", "b"]), "leave_out has 2 names for 1 descriptors"),
            (lambda: gallery.search_batch(row, leave_out="a"), "leave_out is the text 'a', expected a list of texts"),
            (lambda: gallery.calibrate(row, ["a", "b"]), "2 names are given for 1 queries"),
            (lambda: gallery.calibrate(row, ["x"]), "no entry 'x'"),
            (lambda: gallery.smooth(0), "neighbours is 0"),
        ]:
            with self.assertRaises(agpnet.AgpnetArgumentError) as raised:
                call()
            self.assertIn(part, str(raised.exception))
        self.assertEqual(gallery.names, list(OBJECTS))
        (FOLDER / "damaged.agpx").write_bytes(b"no gallery")
        for path in "none.agpx", "damaged.agpx":
            with self.assertRaisesRegex(agpnet.AgpnetFileError, path):
                agpnet.Gallery.load(FOLDER / path)
        gallery.save(FOLDER / "shared.agpx")
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "of another model"):
            agpnet.Gallery.load(FOLDER / "shared.agpx", "other")
        late = agpnet.Gallery.load(FOLDER / "shared.agpx")
        gallery.remove("a")
        gallery.save(FOLDER / "shared.agpx")
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "was changed by another program"):
            late.save(FOLDER / "shared.agpx")

    def test_threads(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        row = describer.describe(OBJECTS["b"])

        def use(number):
            gallery.replace(f"new {number % 5}", -row)
            return gallery.search(row, 1)[0].name

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(set(pool.map(use, range(60))), {"b"})
        self.assertEqual(len(gallery), 8)


class DescriberTrainer(unittest.TestCase):
    def test_fit(self):
        seen, read = [], []
        trainer = agpnet.DescriberTrainer(str(BACKBONE), json.dumps(DEC_CONFIG))
        lazy = [agpnet.ObjectViews(name, agpnet.LazyImages(2, lambda i, own=own: read.append(i) or own[i].copy()))
                for name, own in OBJECTS.items()]
        self.assertTrue(trainer.fit(lazy, seen.append))
        self.assertEqual([now.step for now in seen], [2, 4, 6])
        self.assertEqual(read, [0, 1] * 3)
        self.assertEqual(trainer.config["adapter"], "mean")
        trainer.note("line", {"number": 7})
        self.assertEqual(trainer.record["line"], {"number": 7})
        trainer.save(FOLDER / "small-parts.agp", embed_backbone=False)
        self.assertLess((FOLDER / "small-parts.agp").stat().st_size, parts_model().stat().st_size)
        expected = agpnet.Describer(parts_model())
        self.assertEqual(trainer.describer().space, expected.space)
        np.testing.assert_array_equal(trainer.describer().describe(IMAGES), expected.describe(IMAGES))

    def test_classes_and_virtual_names(self):
        config = {**DEC_CONFIG, "whitening": "classes", "adapter": "cam_from_mean", "epochs": 2, "classes_per_batch": 2,
                  "objects_per_class": 2, "virtual_names": 2}
        spaces = set()
        for names in [], ["bolt", "nut", "gear", "spring"]:
            trainer = agpnet.DescriberTrainer(BACKBONE, config)
            if names:
                trainer.set_virtual_names(BACKBONE, names, np.random.default_rng(1).normal(size=(4, 64)))
            objects = [agpnet.ObjectViews(str(number), IMAGES[number : number + 2], ["bolt", "nut"][number % 2]) for number in range(4)]
            self.assertTrue(trainer.fit(objects))
            self.assertEqual(trainer.record["classes"], 2)
            spaces.add(trainer.describer().space)
        self.assertEqual(len(spaces), 2, "virtual features change what is learned")
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "'other' has no vector among the 4 virtual names"):
            trainer.fit([agpnet.ObjectViews("x", IMAGES, "other")])
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "1 names have 2 vectors"):
            trainer.set_virtual_names(BACKBONE, ["x"], np.ones((2, 64)))

    def test_exceptions_come_through(self):
        class Mine(Exception):
            pass

        def fail(error):
            raise error

        objects = [agpnet.ObjectViews(name, views) for name, views in OBJECTS.items()]
        for given, progress, expected in [
            ([agpnet.ObjectViews("a", agpnet.LazyImages(2, lambda i: fail(Mine())))], None, Mine),
            ([agpnet.ObjectViews("a", agpnet.LazyImages(2, lambda i: IMAGE.astype(np.float64)))], None, agpnet.AgpnetArgumentError),
            (objects, lambda now: fail(Mine()), Mine),
            (objects, lambda now: os.kill(os.getpid(), signal.SIGINT), KeyboardInterrupt),
            ([IMAGE], None, agpnet.AgpnetArgumentError),
            ([], None, agpnet.AgpnetArgumentError),
            ([objects[0], objects[0]], None, agpnet.AgpnetArgumentError),
        ]:
            trainer = agpnet.DescriberTrainer(BACKBONE, DEC_CONFIG)
            with self.assertRaises(expected):
                trainer.fit(given, progress)
            with self.assertRaisesRegex(agpnet.AgpnetStateError, "has not learned yet"):
                trainer.save(FOLDER / "none.agp")
            self.assertFalse(trainer.fit(objects, lambda now: now.step < 4))
            self.assertTrue(trainer.fit(objects))  # and works on
        with self.assertRaisesRegex(agpnet.AgpnetFileError, "none.safetensors"):
            agpnet.DescriberTrainer(FOLDER / "none.safetensors")
        with self.assertRaisesRegex(agpnet.AgpnetArgumentError, "adaptor"):
            agpnet.DescriberTrainer(BACKBONE, {"adaptor": "mean"})


class ObjectQuery(unittest.TestCase):
    def test_grows(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        query = agpnet.ObjectQuery(describer, gallery, top=2)
        self.assertEqual(query.answer(), agpnet.ObjectAnswer([], False, None, None, 0.0, 0))
        for number, view in enumerate(OBJECTS["b"]):
            answer = query.add(view)
            self.assertEqual((answer.views, answer.known, answer.evidence, answer.threshold, len(answer.matches)),
                             (number + 1, True, None, None, 2))
            self.assertEqual(answer.lead, answer.matches[0].similarity - answer.matches[1].similarity)
        self.assertEqual(answer.matches, gallery.search(describer.describe(OBJECTS["b"]), 2))
        self.assertEqual(query.answer(), answer)
        query.clear()
        self.assertEqual(query.answer().views, 0)
        gallery.calibrate(np.stack([describer.describe(views) for views in OBJECTS.values()]), list(OBJECTS), views=2)
        for view in OBJECTS["b"]:
            answer = query.add(view)
        self.assertEqual((answer.matches[0].name, answer.known), ("b", True))
        self.assertEqual((answer.evidence, answer.threshold),
                         (gallery.evidence(describer.describe(OBJECTS["b"]), views=2), gallery.threshold(views=2)))
        few = agpnet.ObjectQuery(describer, gallery, most=1)
        for view in IMAGES[:3]:
            answer = few.add(view)
        self.assertEqual(answer.views, 1)

    def test_keeps_what_it_needs(self):
        def make():
            describer = agpnet.Describer(parts_model())
            return agpnet.ObjectQuery(describer, parts_gallery(describer))

        query = make()
        gc.collect()
        self.assertEqual(query.add(OBJECTS["c"][0]).views, 1)

    def test_refuses_with_a_message(self):
        describer = agpnet.Describer(parts_model())
        gallery = parts_gallery(describer)
        for call, part in [
            (lambda: agpnet.ObjectQuery(describer, agpnet.Gallery(64, "other")), "of another model"),
            (lambda: agpnet.ObjectQuery(describer, gallery, rate=0.0), "rate is 0"),
            (lambda: agpnet.ObjectQuery(describer, gallery, top=0), "top is 0"),
            (lambda: agpnet.ObjectQuery(describer, gallery, most=0), "most is 0"),
            (lambda: agpnet.ObjectQuery(describer, gallery).add(IMAGE[:, :, :2]), "view.channels is 2"),
        ]:
            with self.assertRaises(agpnet.AgpnetArgumentError) as raised:
                call()
            self.assertIn(part, str(raised.exception))
        for one in describer, gallery, agpnet.ObjectQuery(describer, gallery), agpnet.DescriberTrainer(BACKBONE, DEC_CONFIG):
            self.assertRaisesRegex(TypeError, "cannot be copied or pickled", copy.copy, one)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
