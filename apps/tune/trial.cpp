// agpnet-trial: measures for `agpnet tune --deep`. As the hidden mode of agpnet, and takes schedules from shared libraries besides, which
// find Halide's runtime in this program.
//
//   {"do": "load", "library": "x.so", "function": "x_argv", and the fields of a row of variants.json}    {"loaded": "x_argv"}
#include "apps/tune/worker.h"
#include "common/error.h"
#include "halide_generators/runtime/choices.h"
#include "tuning/steps.h"

#include <deque>
#include <dlfcn.h>

namespace
{

using nlohmann::json;

/// Keeps the texts that a row points to.
struct Added
{
    std::string stage, api, name, target, layout, kind, parameters;
    agpnet::stages::CompiledVariant row;
};

std::string load(const json& request)
{
    static std::deque<Added> added;
    const std::string library = request.at("library").get<std::string>(), function = request.at("function").get<std::string>();
    void* opened = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    agpnet::require(opened != nullptr, "{}", opened ? "" : ::dlerror());
    auto* run = reinterpret_cast<int (*)(void**)>(::dlsym(opened, function.c_str()));
    agpnet::require(run != nullptr, "{}: has no {}", library, function);
    const auto text = [&](const char* key) { return request.value(key, ""); };
    Added& one = added.emplace_back(
        Added{text("stage"), text("api"), text("name"), text("target"), text("layout"), text("kind"), text("parameters"), {}});
    one.row = {one.stage.c_str(), one.api.c_str(),  one.name.c_str(),          one.target.c_str(),   one.layout.c_str(),
               one.kind.c_str(),  request.value("multiple", 1), one.parameters.c_str(), run};
    agpnet::stages::addVariant(one.row);
    return json{{"loaded", function}}.dump();
}

} // namespace

int main()
{
    agpnet::tuning::Steps steps;
    return agpnet::app::serve(
        [&](const std::string& line)
        {
            const json request = json::parse(line, nullptr, false);
            if (!request.is_object() || request.value("do", "") != "load")
                return steps.answer(line);
            try
            {
                return load(request);
            }
            catch (const std::exception& error)
            {
                return json{{"error", error.what()}}.dump(-1, ' ', false, json::error_handler_t::replace);
            }
        });
}
