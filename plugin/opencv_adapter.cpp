// The cv::dnn door: one Layer class around any operator.
#include "plugin/opencv_adapter.h"

#include "common/error.h"
#include "operators/core/array_binding.h"
#include "operators/core/forked.h"
#include "operators/core/opencv_exceptions.h"
#include "operators/registry.h"

#include <opencv2/dnn.hpp>
#include <opencv2/dnn/layer.details.hpp>

namespace agpnet
{
namespace
{

using namespace cv;      // MatShape is cv::dnn::MatShape in 4.x and cv::MatShape in 5.x
using namespace cv::dnn;

std::map<std::string, AttributeValue> valuesOf(const OperatorSchema& schema, const LayerParams& params)
{
    std::map<std::string, AttributeValue> values;
    for (auto it = params.begin(); it != params.end(); ++it)
    {
        const std::string name = it->first;
        if (name == "has_dynamic_shapes" || name == "depth") // the ONNX importer's own remarks, the second since 4.7
            continue;
        const DictValue& value = it->second;
        require(value.size() == 1, "{}: attribute '{}' is a list of {}, expected one value", schema.name, name, value.size());
        if (value.isString())
            values[name] = std::string(value.get<String>(0));
        else if (value.isInt())
            values[name] = static_cast<int64_t>(value.get<int64>(0));
        else
            values[name] = value.get<double>(0);
    }
    return values;
}

Shape shapeFrom(const MatShape& shape)
{
    return Shape(shape.begin(), shape.end());
}

Shape shapeFrom(const Mat& mat)
{
    return Shape(mat.size.p, mat.size.p + mat.dims);
}

class OperatorLayer final : public Layer
{
public:
    OperatorLayer(const OperatorEntry& entry, const LayerParams& params)
        : Layer(params), entry_(entry), operator_(entry.create(Attributes(entry.schema, valuesOf(entry.schema, params))))
    {
        // ONNX initialisers come as blobs in OpenCV 4 and as inputs in 5. They stand for the last inputs.
        for (const Mat& blob : params.blobs)
            constants_.push_back(blob);
    }

    bool getMemoryShapes(const std::vector<MatShape>& inputs, const int requiredOutputs, std::vector<MatShape>& outputs,
                         std::vector<MatShape>& internals) const CV_OVERRIDE
    {
        return guarded([&] {
            std::vector<Shape> shapes;
            for (const MatShape& shape : inputs)
                shapes.push_back(shapeFrom(shape));
            for (const Mat& constant : constants_)
                shapes.push_back(shapeFrom(constant));
            std::vector<Shape> given = operator_->outputShapes(shapes);
            given.resize(outputCount(requiredOutputs));
            outputs.clear();
            for (const Shape& shape : given)
                outputs.push_back(MatShape(shape.begin(), shape.end()));
            internals.clear();
            return false; // never in place
        });
    }

    bool supportBackend(int backendId) CV_OVERRIDE { return backendId == DNN_BACKEND_OPENCV; }

    void forward(InputArrayOfArrays inputArrays, OutputArrayOfArrays outputArrays, OutputArrayOfArrays) CV_OVERRIDE
    {
        guarded([&] {
            requireThreads();
            std::vector<Mat> inputs, outputs;
            inputArrays.getMatVector(inputs);
            outputArrays.getMatVector(outputs);
            inputs.insert(inputs.end(), constants_.begin(), constants_.end());
            std::vector<Shape> shapes;
            std::vector<stages::View> in, out;
            for (const Mat& mat : inputs)
            {
                in.push_back(viewOf(entry_.schema.name, mat));
                shapes.push_back(shapeFrom(mat));
            }
            // A host that calls forward() without a graph may have sized the outputs itself
            const std::vector<Shape> expected = operator_->outputShapes(shapes);
            require(outputs.size() >= outputCount(0) && outputs.size() <= expected.size(), "{}: {} outputs, expected {} to {}",
                    entry_.schema.name, outputs.size(), outputCount(0), expected.size());
            for (size_t i = 0; i < outputs.size(); i++)
            {
                require(shapeFrom(outputs[i]) == expected[i], "{}: output {} has shape {}, expected {}", entry_.schema.name, i,
                        toText(shapeFrom(outputs[i])), toText(expected[i]));
                out.push_back(viewOf(entry_.schema.name, outputs[i]));
            }
            operator_->run(in, out, {});
        });
    }

private:
    /// Optional outputs are made only where a graph asks for them.
    size_t outputCount(int required) const
    {
        size_t count = 0;
        for (const PortSchema& port : entry_.schema.outputs)
            count += !port.optional;
        return std::min(std::max(count, static_cast<size_t>(std::max(0, required))), entry_.schema.outputs.size());
    }

    const OperatorEntry& entry_;
    std::unique_ptr<Operator> operator_;
    std::vector<Mat> constants_;
};

/// LayerFactory takes plain function pointers: one for each place in the operator list.
template <size_t Index>
Ptr<Layer> createLayer(LayerParams& params)
{
    return guarded([&]() -> Ptr<Layer> { return makePtr<OperatorLayer>(operatorList().at(Index), params); });
}

template <size_t... Index>
std::vector<LayerFactory::Constructor> constructors(std::index_sequence<Index...>)
{
    return {&createLayer<Index>...};
}

std::string registerAll()
{
    try
    {
        const auto creators = constructors(std::make_index_sequence<16>());
        require(operatorList().size() <= creators.size(), "more than {} operators", creators.size());
        for (size_t i = 0; i < operatorList().size(); i++)
        {
            const std::string name = operatorList()[i].schema.name;
            LayerFactory::registerLayer(std::string(operatorDomain) + "." + name, creators[i]);
#if CV_VERSION_MAJOR >= 5
            // The new engine of 5.0.0 looks a node's type up without its domain; what goes by that name already stays.
            if (!LayerFactory::isLayerRegistered(name))
                LayerFactory::registerLayer(name, creators[i]);
#endif
        }
        return {};
    }
    catch (const std::exception& error)
    {
        return std::string("the layers could not be registered: ") + error.what();
    }
}

} // namespace

const std::string& registerInOpenCV()
{
    static const std::string outcome = registerAll();
    return outcome;
}

} // namespace agpnet
