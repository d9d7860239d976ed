// An operator is written once: a schema, the shapes it gives, and run(). The adapters (cv::dnn, torch, the listing, the docs
// page) read the schema and know nothing else. To add one: a file beside its family's others and a line in the family's operators.h.
#pragma once

#include "halide_generators/runtime/stages.h"

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace agpnet
{

using AttributeValue = std::variant<int64_t, double, std::string>;

struct AttributeSchema
{
    std::string name;
    std::string doc;
    AttributeValue fallback;          ///< the default; its alternative is the attribute's type
    double least, most;               ///< range of a number
    std::vector<std::string> choices; ///< values of a text; empty: any
    bool required;                    ///< a text that must be given and not be empty
};

AttributeSchema realAttribute(std::string name, std::string doc, double fallback, double least, double most);
AttributeSchema integerAttribute(std::string name, std::string doc, int64_t fallback, double least, double most);
AttributeSchema textAttribute(std::string name, std::string doc, std::string fallback = {}, std::vector<std::string> choices = {});
AttributeSchema deviceAttribute(); ///< "device": where an operator with networks computes
AttributeSchema requiredText(std::string name, std::string doc);

struct PortSchema
{
    std::string name;
    std::string shape; ///< for people, for instance "[N,C,H,W]"
    std::string doc;
    bool optional; ///< an output that a graph may leave out
};

struct OperatorSchema
{
    std::string name; ///< without the domain
    std::string doc;
    std::vector<PortSchema> inputs, outputs;
    std::vector<AttributeSchema> attributes;
};

/// The domain in ONNX and the prefix in cv::dnn: ai.agpnet.Residual.
constexpr char operatorDomain[] = "ai.agpnet";

/// Attribute values by name, complete and in range.
class Attributes
{
public:
    /// Fills in defaults; refuses what the schema does not know, wrong types and values out of range, by name.
    Attributes(const OperatorSchema& schema, const std::map<std::string, AttributeValue>& given);

    int64_t integer(const std::string& name) const { return std::get<int64_t>(values_.at(name)); }
    double real(const std::string& name) const { return std::get<double>(values_.at(name)); }
    const std::string& text(const std::string& name) const { return std::get<std::string>(values_.at(name)); }

private:
    std::map<std::string, AttributeValue> values_;
};

using Shape = std::vector<int>;

class Operator
{
public:
    virtual ~Operator() = default;

    /// Shapes of all outputs. Cheap: reads at most a model's header. Refuses shapes that do not fit, by name.
    virtual std::vector<Shape> outputShapes(const std::vector<Shape>& inputs) const = 0;

    /// float32 arrays; a score [N, 1] comes as the view [N, 1, 1, 1]. `out` may leave out trailing optional outputs. Not
    /// thread-safe on one instance.
    virtual void run(const std::vector<stages::View>& in, const std::vector<stages::View>& out, const stages::Device& device) = 0;
};

using OperatorFactory = std::unique_ptr<Operator> (*)(const Attributes&);

struct OperatorEntry
{
    OperatorSchema schema;
    OperatorFactory create;
};

/// Schema of one operator as JSON, for the listing and the docs page.
nlohmann::json describe(const OperatorSchema& schema);

/// "[1, 3, 252, 252]"
std::string toText(const Shape& shape);
Shape shapeOf(const stages::View& view);

/// Refuses another number of inputs or another rank than 4.
void requireInputs(const char* name, const std::vector<Shape>& inputs, size_t count);

} // namespace agpnet
