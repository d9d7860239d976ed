"""The Python package with the distribution's cv2 and numpy:  python_package.py SITE FOLDER SCORE, of FOLDER/tiny.agp on good/0.png."""
import concurrent.futures
import copy
import gc
import os
import pathlib
import pickle
import subprocess
import sys
import unittest

SITE, FOLDER, SCORE = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
sys.path.insert(0, SITE)

import cv2  # noqa: E402
import numpy as np  # noqa: E402

import agpnet  # noqa: E402

IMAGE = cv2.imread(str(FOLDER / "good/0.png"))
MODEL = FOLDER / "tiny.agp"


class Package(unittest.TestCase):
    def test_is_the_one_under_test(self):
        self.assertTrue(agpnet.__file__.startswith(SITE), agpnet.__file__)
        self.assertEqual(agpnet.build_information()["agpnet"], agpnet.__version__)

    def test_detector(self):
        detector = agpnet.Detector(MODEL, "fp32")
        anomaly_map, score = detector.detect(IMAGE)
        self.assertEqual((anomaly_map.shape, anomaly_map.dtype), (IMAGE.shape[:2], np.float32))
        self.assertAlmostEqual(agpnet.Detector(MODEL).detect(IMAGE)[1], SCORE, delta=1e-3)
        whole = detector.inspect(IMAGE)
        np.testing.assert_array_equal(whole.map, anomaly_map)
        self.assertEqual(whole.anomalous, score > whole.threshold)
        self.assertEqual(set(np.unique(whole.mask)) - {0, 255}, set())
        self.assertEqual(detector.header["config"]["height"], 32)

    def test_takes_what_it_says(self):
        detector = agpnet.Detector(str(MODEL), "fp32")
        expected = detector.detect(IMAGE)[1]
        for name, image in {
            "16 bits": IMAGE.astype(np.uint16) * 257,
            "float": (IMAGE / 255).astype(np.float32),
            "alpha": cv2.cvtColor(IMAGE, cv2.COLOR_BGR2BGRA),
            "part of a larger one": cv2.copyMakeBorder(IMAGE, 3, 3, 5, 5, cv2.BORDER_CONSTANT)[3:-3, 5:-5],
            "another order in memory": np.asfortranarray(IMAGE),
            "turned twice": IMAGE[::-1, ::-1].copy()[::-1, ::-1],
        }.items():
            self.assertAlmostEqual(detector.detect(image)[1], expected, delta=1e-4, msg=name)
        grey = IMAGE[:, :, 1]
        self.assertAlmostEqual(detector.detect(grey)[1], detector.detect(cv2.merge([grey] * 3))[1], delta=1e-3)
        self.assertEqual(detector.detect(grey[:, :, np.newaxis])[1], detector.detect(grey)[1])

    def test_warns_of_values_that_do_not_fit(self):
        with self.assertWarnsRegex(RuntimeWarning, "it is dark, or of 12 bits"):
            agpnet.Detector(MODEL).detect(IMAGE.astype(np.uint16) * 16)

    def test_refuses_with_a_sentence(self):
        detector = agpnet.Detector(MODEL)
        for image, part in [
            (IMAGE.astype(np.float64), "float64 of 3 dimensions"),
            ([1, 2], "list"),
            (IMAGE[np.newaxis], "4 dimensions"),
            (IMAGE[:, :, :2], "image.channels is 2"),
            (IMAGE[:0], "0 rows"),
            (IMAGE[:4], "8"),
            (np.full((40, 48), np.nan, np.float32), "finite"),
        ]:
            with self.assertRaises(agpnet.AgpnetError) as raised:
                detector.detect(image)
            self.assertIn(part, str(raised.exception))
        with self.assertRaisesRegex(agpnet.AgpnetError, "none.agp"):
            agpnet.Detector(FOLDER / "none.agp")
        with self.assertRaisesRegex(agpnet.AgpnetError, "precision is 'half'"):
            agpnet.Detector(MODEL, "half")
        with self.assertRaisesRegex(agpnet.AgpnetError, "ensitivity"):
            detector.sensitivity = 0

    def test_sensitivity(self):
        detector = agpnet.Detector(MODEL)
        before = detector.inspect(IMAGE).threshold
        detector.sensitivity = 2
        self.assertAlmostEqual(detector.inspect(IMAGE).threshold, before / 2)
        self.assertEqual(detector.sensitivity, 2)

    def test_copies(self):
        detector = agpnet.Detector(MODEL, "fp32")
        score = detector.detect(IMAGE)[1]
        for make in copy.copy, copy.deepcopy, pickle.dumps, lambda it: copy.deepcopy({"in": [it]}):
            with self.assertRaisesRegex(TypeError, "load the model once more"):
                make(detector)
        twin = object.__new__(agpnet.Detector)  # as a library of its own may make one
        twin.__dict__.update(vars(detector))
        del twin
        gc.collect()
        self.assertEqual(detector.detect(IMAGE)[1], score)
        detector.__init__(MODEL, "fp32")  # the first handle goes, the second works
        self.assertEqual(detector.detect(IMAGE)[1], score)
        empty = object.__new__(agpnet.Detector)
        self.assertRaises(AttributeError, empty.detect, IMAGE)

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
for use in lambda: agpnet.Detector(sys.argv[2]), agpnet.load_plugin, agpnet.build_information:
    try:
        use()
    except agpnet.AgpnetError as error:
        print(error)
os.chdir("/")
print(agpnet.Detector(sys.argv[2]).sensitivity)
"""
        sentence = "the working directory has been removed; expected one that is there when the library is loaded"
        self.assertEqual(self.in_a_process(code, "1"), [sentence] * 3 + ["1.0"])

    def test_forked(self):
        code = """
import multiprocessing, sys
sys.path.insert(0, sys.argv[1])
import cv2
import agpnet

def use(pipe):
    try:
        pipe.send(agpnet.Detector(sys.argv[2], "fp32").detect(cv2.imread(sys.argv[3]))[1])
    except agpnet.AgpnetError as error:
        pipe.send(str(error))

def in_child():
    here, there = multiprocessing.get_context("fork").Pipe()
    child = multiprocessing.get_context("fork").Process(target=use, args=(there,))
    child.start()
    answer = here.recv() if here.poll(60) else "hangs"
    child.kill()
    return answer

print(in_child())
print(agpnet.Detector(sys.argv[2], "fp32").detect(cv2.imread(sys.argv[3]))[1])
print(in_child())
"""
        before, own, after = self.in_a_process(code, "2")
        self.assertEqual(before, own)
        self.assertIn("forked from one that had computed with AGPNet", after)
        self.assertEqual(len(set(self.in_a_process(code, "1"))), 1)

    def test_threads(self):
        detector = agpnet.Detector(MODEL)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            scores = list(pool.map(lambda _: detector.detect(IMAGE)[1], range(40)))
        self.assertEqual(len(set(scores)), 1)

    def test_plugin(self):
        self.assertTrue(agpnet.load_plugin().endswith("libagpnet.so.0"))
        agpnet.load_plugin()
        net = cv2.dnn.readNetFromONNX(str(FOLDER / "tiny.onnx"))
        net.setInput(cv2.dnn.blobFromImage(IMAGE, 1 / 255.0, swapRB=True))
        anomaly_map, score = net.forward(["map", "score"])
        self.assertAlmostEqual(float(score[0, 0]), SCORE, delta=1e-3)
        self.assertEqual(anomaly_map.shape, (1, 1, *IMAGE.shape[:2]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
