#!/usr/bin/env python3
"""Takes the weights of a Dinov2-style backbone out of an ONNX file and writes them as safetensors, in Hugging Face names.

    onnx_to_safetensors.py model.onnx out.safetensors [--prefix backbone.]

Needs only the standard library. An exporter keeps the names of weights it stores as they were, but a linear layer's weight becomes
an anonymous matrix, transposed. The graph tells them apart: a MatMul with such a matrix feeds an Add with the layer's bias, and the
bias kept its name. The position embedding is split in two; the larger part is reshaped, and both are concatenated.
"""
import argparse
import array
import hashlib
import json
import os
import struct
import sys
import tempfile

FLOAT = 1  # TensorProto.DataType


class Problem(Exception):
    pass


def varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Problem("the protobuf data is cut off")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """(number, value) of each field: an int, or a view of the bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            if kind == 2:
                size, at = varint(data, at)
            elif kind in (1, 5):
                size = 8 if kind == 1 else 4
            else:
                raise Problem(f"the protobuf data has a field of wire type {kind}")
            if size > len(data) - at:
                raise Problem("the protobuf data is cut off")
            value = data[at:at + size]
            at += size
        yield key >> 3, value


def text(value):
    return bytes(value).decode()


def packed_integers(value):
    if isinstance(value, int):
        return [value]
    result, at = [], 0
    while at < len(value):
        number, at = varint(value, at)
        result.append(number)
    return result


class Tensor:
    def __init__(self, message):
        self.name, self.shape, self.data, kind, floats = "", [], None, None, []
        for number, value in fields(message):
            if number == 1:
                self.shape += packed_integers(value)
            elif number == 2:
                kind = value
            elif number == 4:
                floats.append(bytes(value))
            elif number == 8:
                self.name = text(value)
            elif number == 9:
                self.data = value
            elif number == 14 and value != 0:
                raise Problem(f"tensor {self.name}: its data is in another file, which is not supported")
        self.is_float = kind == FLOAT
        if self.is_float:
            if self.data is None:
                self.data = memoryview(b"".join(floats))
            size = 4
            for extent in self.shape:
                size *= extent
            if size != len(self.data):
                raise Problem(f"tensor {self.name}: has {len(self.data)} bytes, but shape {self.shape} asks for {size}")

    def transposed(self):
        rows, columns = self.shape
        # numbers are only moved, so integers of the same width will do, and keep every bit
        source = array.array("I", bytes(self.data))
        result = array.array("I", bytes(len(self.data)))
        for column in range(columns):
            result[column * rows:(column + 1) * rows] = source[column::columns]
        return [columns, rows], result.tobytes()


class Node:
    def __init__(self, message):
        self.inputs, self.outputs, self.kind = [], [], ""
        for number, value in fields(message):
            if number == 1:
                self.inputs.append(text(value))
            elif number == 2:
                self.outputs.append(text(value))
            elif number == 4:
                self.kind = text(value)


def read_graph(data):
    nodes, tensors = [], {}
    for number, value in fields(data):
        if number != 7:  # ModelProto.graph
            continue
        for inner, part in fields(value):
            if inner == 1:
                nodes.append(Node(part))
            elif inner == 5:
                tensor = Tensor(part)
                if tensor.is_float:
                    tensors[tensor.name] = tensor
    if not nodes:
        raise Problem("there is no ONNX graph in it")
    return nodes, tensors


def collect(nodes, tensors, prefix):
    result = {}  # name: (shape, bytes)
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            result[name[len(prefix):]] = (tensor.shape, bytes(tensor.data))
    if not result:
        raise Problem(f"no tensor's name begins with {prefix}")

    products = {}  # output of a MatMul: its matrix
    for node in nodes:
        if node.kind == "MatMul":
            for name in node.inputs:
                if name in tensors and not name.startswith(prefix) and len(tensors[name].shape) == 2:
                    products[node.outputs[0]] = tensors[name]
    for node in nodes:
        if node.kind != "Add":
            continue
        biases = [name for name in node.inputs if name.startswith(prefix) and name.endswith(".bias") and name in tensors]
        matrices = [products[name] for name in node.inputs if name in products]
        if len(biases) == 1 and len(matrices) == 1:
            shape, data = matrices[0].transposed()
            bias = tensors[biases[0]]
            if bias.shape != shape[:1]:
                raise Problem(f"{biases[0]}: has shape {bias.shape}, but the matrix before it is {shape}")
            result[biases[0][len(prefix):-len("bias")] + "weight"] = (shape, data)

    # [1, 1, C] for the class token and [1, patches, C]: the only other anonymous tensors of three dimensions
    width = result["embeddings.cls_token"][0][-1]
    parts = sorted((tensor for name, tensor in tensors.items()
                    if not name.startswith(prefix) and len(tensor.shape) == 3 and tensor.shape[0] == 1 and tensor.shape[2] == width),
                   key=lambda tensor: tensor.shape[1])
    concatenated = {name for node in nodes if node.kind == "Concat" for name in node.inputs}
    reshaped = {name for node in nodes if node.kind == "Reshape" for name in node.inputs}
    if len(parts) != 2 or parts[0].shape[1] != 1 or parts[0].name not in concatenated or parts[1].name not in reshaped:
        raise Problem(f"the position embedding is not in two parts: {[(part.name, part.shape) for part in parts]}")
    result["embeddings.position_embeddings"] = ([1, 1 + parts[1].shape[1], width], bytes(parts[0].data) + bytes(parts[1].data))

    missing = [name[:-4] + "weight" for name in result if name.endswith(".bias") and name[:-4] + "weight" not in result]
    if missing:
        raise Problem(f"no weight was found for {missing[0]} and {len(missing) - 1} others")
    return result


def write(path, weights, source):
    header, offset = {"__metadata__": {"format": "pt", "source": source}}, 0
    for name in sorted(weights):
        shape, data = weights[name]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    head = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    head += b" " * (-(len(head) + 8) % 64)
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=os.path.basename(path) + ".part-", delete=False) as out:
        try:
            for piece in [struct.pack("<Q", len(head)), head] + [weights[name][1] for name in sorted(weights)]:
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(out.name, 0o666 & ~mask)
            os.rename(out.name, path)
        except BaseException:
            os.unlink(out.name)
            raise
    return digest.hexdigest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--prefix", default="backbone.", help="what the backbone's names begin with (default: %(default)s)")
    parser.add_argument("--source", default="", help="a note on the origin, kept in the file")
    arguments = parser.parse_args()
    if sys.byteorder != "little":
        sys.exit("onnx_to_safetensors: needs a little-endian machine")
    try:
        with open(arguments.model, "rb") as file:
            nodes, tensors = read_graph(memoryview(file.read()))
        weights = collect(nodes, tensors, arguments.prefix)
        print(write(arguments.out, weights, arguments.source))
    except (Problem, OSError, KeyError, UnicodeDecodeError) as error:
        sys.exit(f"onnx_to_safetensors: {arguments.model}: {error}")


if __name__ == "__main__":
    main()
