// The input is a sequence of attributes as a graph may give them to an operator, and a region of interest in words.
#include "operators/registry.h"
#include "operators/image/region.h"
#include "tests/fuzz/target.h"

#include <algorithm>
#include <cstring>

namespace
{

class Reader
{
public:
    Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}

    template <typename T>
    T number()
    {
        T value{};
        const size_t taken = std::min(sizeof value, size_);
        std::memcpy(&value, data_, taken);
        skip(taken);
        return value;
    }

    std::string text()
    {
        const size_t length = std::min<size_t>(number<uint8_t>(), size_);
        std::string value(reinterpret_cast<const char*>(data_), length);
        skip(length);
        return value;
    }

    bool empty() const { return size_ == 0; }

private:
    void skip(size_t count)
    {
        data_ += count;
        size_ -= count;
    }

    const uint8_t* data_;
    size_t size_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    using namespace agpnet;
    return fuzz::answers(size,
                         [&]
                         {
                             Reader in(data, size);
                             const auto& operators = operatorList();
                             const OperatorEntry& entry = operators[in.number<uint8_t>() % operators.size()];
                             std::map<std::string, AttributeValue> given;
                             while (!in.empty())
                             {
                                 const auto which = in.number<uint8_t>();
                                 const auto& known = entry.schema.attributes;
                                 const std::string name = which < known.size() ? known[which].name : in.text();
                                 const auto kind = in.number<uint8_t>() % 3;
                                 given[name] = kind == 0   ? AttributeValue(in.number<int64_t>())
                                               : kind == 1 ? AttributeValue(in.number<double>())
                                                           : AttributeValue(in.text());
                                 if (name == "roi" && kind == 2)
                                     sharesOf(parsedPolygons(std::get<std::string>(given[name])), {});
                             }
                             const Attributes attributes(entry.schema, given);
                             if (!given.contains("model") && !given.contains("backbone")) // else files would be looked for
                                 entry.create(attributes);
                         });
}
