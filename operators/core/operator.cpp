#include "operators/core/operator.h"

#include "common/error.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace agpnet
{
namespace
{

const char* typeName(const AttributeValue& value)
{
    return std::holds_alternative<int64_t>(value) ? "int" : std::holds_alternative<double>(value) ? "float" : "string";
}

std::string valueText(const AttributeValue& value)
{
    if (const auto* integer = std::get_if<int64_t>(&value))
        return std::to_string(*integer);
    if (const auto* real = std::get_if<double>(&value))
        return fmt::format("{}", *real);
    return "'" + std::get<std::string>(value) + "'";
}

/// The given value in the schema's type: a whole number is also a real one, never the other way round.
AttributeValue converted(const OperatorSchema& op, const AttributeSchema& schema, const AttributeValue& given)
{
    if (given.index() == schema.fallback.index())
        return given;
    if (std::holds_alternative<double>(schema.fallback) && std::holds_alternative<int64_t>(given))
        return static_cast<double>(std::get<int64_t>(given));
    fail("{}: attribute '{}' is {} of type {}, expected {}", op.name, schema.name, valueText(given), typeName(given),
         typeName(schema.fallback));
}

void checkRange(const OperatorSchema& op, const AttributeSchema& schema, const AttributeValue& value)
{
    if (const auto* text = std::get_if<std::string>(&value))
    {
        require(!schema.required || !text->empty(), "{}: attribute '{}' is required: {}", op.name, schema.name, schema.doc);
        bool found = schema.choices.empty();
        for (const std::string& choice : schema.choices)
            found |= choice == *text;
        require(found, "{}: attribute '{}' is '{}', expected one of {}", op.name, schema.name, *text, fmt::join(schema.choices, ", "));
        return;
    }
    const double number = std::holds_alternative<double>(value) ? std::get<double>(value) : static_cast<double>(std::get<int64_t>(value));
    require(std::isfinite(number) && number >= schema.least && number <= schema.most, "{}: attribute '{}' is {}, expected {} to {}",
            op.name, schema.name, valueText(value), schema.least, schema.most);
}

} // namespace

AttributeSchema realAttribute(std::string name, std::string doc, double fallback, double least, double most)
{
    return {std::move(name), std::move(doc), fallback, least, most, {}, false};
}

AttributeSchema integerAttribute(std::string name, std::string doc, int64_t fallback, double least, double most)
{
    return {std::move(name), std::move(doc), fallback, least, most, {}, false};
}

AttributeSchema textAttribute(std::string name, std::string doc, std::string fallback, std::vector<std::string> choices)
{
    return {std::move(name), std::move(doc), std::move(fallback), 0, 0, std::move(choices), false};
}

AttributeSchema deviceAttribute()
{
    return textAttribute(
        "device",
        "where the networks compute: cpu, cuda or cuda:N, independent of the device of the input; empty: the device of the input");
}

AttributeSchema requiredText(std::string name, std::string doc)
{
    return {std::move(name), std::move(doc), std::string(), 0, 0, {}, true};
}

Attributes::Attributes(const OperatorSchema& schema, const std::map<std::string, AttributeValue>& given)
{
    for (const auto& [name, value] : given)
    {
        std::string known;
        bool found = false;
        for (const AttributeSchema& attribute : schema.attributes)
        {
            found |= attribute.name == name;
            known += (known.empty() ? "" : ", ") + attribute.name;
        }
        require(found, "{}: unknown attribute '{}'; known are {}", schema.name, name, known);
    }
    for (const AttributeSchema& attribute : schema.attributes)
    {
        const auto it = given.find(attribute.name);
        const AttributeValue value = it == given.end() ? attribute.fallback : converted(schema, attribute, it->second);
        checkRange(schema, attribute, value);
        values_.emplace(attribute.name, value);
    }
}

nlohmann::json describe(const OperatorSchema& schema)
{
    const auto ports = [](const std::vector<PortSchema>& list) {
        nlohmann::json json = nlohmann::json::array();
        for (const PortSchema& port : list)
        {
            json.push_back({{"name", port.name}, {"shape", port.shape}, {"doc", port.doc}});
            if (port.optional)
                json.back()["optional"] = true;
        }
        return json;
    };
    nlohmann::json attributes = nlohmann::json::array();
    for (const AttributeSchema& attribute : schema.attributes)
    {
        nlohmann::json json = {{"name", attribute.name}, {"type", typeName(attribute.fallback)}, {"doc", attribute.doc}};
        if (attribute.required)
            json["required"] = true;
        else
            std::visit([&](const auto& value) { json["default"] = value; }, attribute.fallback);
        if (!attribute.choices.empty())
            json["choices"] = attribute.choices;
        if (!std::holds_alternative<std::string>(attribute.fallback))
        {
            json["minimum"] = attribute.least;
            json["maximum"] = attribute.most;
        }
        attributes.push_back(json);
    }
    return {{"name", std::string(operatorDomain) + "." + schema.name},
            {"torch", "agpnet::" + schema.name},
            {"doc", schema.doc},
            {"inputs", ports(schema.inputs)},
            {"outputs", ports(schema.outputs)},
            {"attributes", attributes}};
}

std::string toText(const Shape& shape)
{
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

Shape shapeOf(const stages::View& view)
{
    return {view.size.begin(), view.size.end()};
}

void requireInputs(const char* name, const std::vector<Shape>& inputs, size_t count)
{
    require(inputs.size() == count, "{}: {} inputs, expected {}", name, inputs.size(), count);
    for (size_t i = 0; i < count; i++)
    {
        require(inputs[i].size() == 4, "{}: input {} has shape {}, expected 4 dimensions [N, C, H, W]", name, i, toText(inputs[i]));
        for (int extent : inputs[i])
            require(extent > 0, "{}: input {} has shape {}, expected no empty dimension", name, i, toText(inputs[i]));
    }
}

} // namespace agpnet
